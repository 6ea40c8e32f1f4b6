//! inbound-sms: Twilio calls it with each message that our number receives.
//!
//! ```text
//! event ─▶ signature ─▶ message ─▶ one TransactWriteItems ─▶ TwiML
//!          403 if not    400 if not  stored once, with its
//!                                    effect, before the answer
//! ```
//!
//! A message is stored before it is answered, so an answered message is never lost. When Twilio repeats one, it has no second
//! effect and gets the same answer.

pub mod message;
pub mod settings;
pub mod state;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::StatusCode;
use message::InboundMessage;
use serde_json::Value;
use shared::phone::number::{PhoneNumber, Region};
use shared::runtime::metrics::Metric;
use shared::store::inbound::{Effect, Inbound, RecordedMessage, Reply};
use shared::store::items::StoreError;
use shared::twilio::keywords::Keyword;
use shared::twilio::price::Dollars;
use shared::twilio::reception::{self, receive};
use shared::twilio::segments::Segments;
use shared::twilio::twiml::{self, ReplyText};
use shared::twilio::webhook::WebhookError;
use state::State;

/// Answers one call of the webhook. Errors are answers too.
pub async fn handle(state: &State, event: Value) -> ApiGatewayV2httpResponse {
    let result = tokio::time::timeout(state.deadline, process(state, event)).await;
    let result = result.unwrap_or(Err(WebhookError::TimedOut));
    state.meter.record(metric(state, &result).as_slice(), state.clock.now_ms());
    match result {
        Ok(Answer { text, .. }) => {
            let twiml = text.map_or_else(|| twiml::NO_REPLY.to_owned(), twiml::reply);
            reception::answer(StatusCode::OK, "text/xml; charset=utf-8", twiml)
        }
        Err(error) => error.answer("inbound-sms"),
    }
}

/// The reply to a message, if it gets one, the sender's region, and whether Twilio repeated the message.
struct Answer<'a> {
    text: Option<&'a ReplyText>,
    region: Option<Region>,
    repeated: bool,
}

async fn process(state: &State, event: Value) -> Result<Answer<'_>, WebhookError> {
    let webhook = receive(event, state.settings.public_url.as_ref(), &state.signer).await?;
    let message = InboundMessage::read(&webhook)
        .map_err(|reason| WebhookError::Unexpected(format!("This is not an inbound message: {reason}.")))?;

    let stored = store(state, &message).await?;
    tracing::info!(
        message_sid = message.message_sid,
        from = message.masked_sender(),
        keyword = message.keyword.map(Keyword::as_str),
        reply = stored.reply,
        repeated = stored.repeated,
        "message stored"
    );
    let text = state.settings.reply_text.as_ref().filter(|_| stored.reply);
    Ok(Answer { text, region: message.phone.as_ref().and_then(PhoneNumber::region), repeated: stored.repeated })
}

/// A reply is an SMS and costs money. For a repeated message it is not estimated again, though the first answer may not have arrived.
fn metric(state: &State, result: &Result<Answer<'_>, WebhookError>) -> Option<Metric> {
    match result {
        Ok(Answer { text: Some(text), region, repeated: false }) => {
            Some(Metric::EstimatedSpend(price(state, text, *region)))
        }
        Ok(_) => None,
        Err(error) => error.metric(),
    }
}

fn price(state: &State, reply: &ReplyText, region: Option<Region>) -> Dollars {
    state.settings.segment_prices.of(region, Segments::of(reply.as_str()).count)
}

async fn store(state: &State, message: &InboundMessage<'_>) -> Result<RecordedMessage, StoreError> {
    let settings = &state.settings;
    // A reply is an SMS, so the policy for codes applies to it. A reply to ourselves would start a loop.
    let phone = message.sms_phone().filter(|phone| {
        settings.policy.check(phone).is_ok() && !settings.is_ours(message.from) && message.from != message.to
    });
    let reply = settings.reply_text.as_ref().zip(phone).map(|(text, to)| Reply {
        to,
        price: price(state, text, to.region()),
        limits: &settings.reply_limits,
    });
    let effect = match message.keyword {
        Some(Keyword::Stop) => Effect::OptOut,
        Some(Keyword::Start) => Effect::OptIn,
        // Twilio answers it.
        Some(Keyword::Help) => Effect::None,
        None => reply.map_or(Effect::None, Effect::Reply),
    };
    let inbound = Inbound {
        message_sid: message.message_sid,
        from: message.from,
        sender: message.sender(),
        to: message.to,
        body: message.body,
        media: &message.media,
        effect,
        lifetime: settings.message_lifetime,
    };
    state.table.take(inbound, state.clock.now_ms()).await
}
