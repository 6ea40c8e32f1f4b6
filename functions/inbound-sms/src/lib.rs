//! inbound-sms: Twilio calls when somebody texts us; we answer only Twilio.
//!
//! ```text
//! event ─▶ signature ─▶ message ─▶ one TransactWriteItems ─▶ TwiML
//!          403 if not    400 if not  kept once, with its
//!                                    effect, before the answer
//! ```
//!
//! What was answered was not lost, and a message that Twilio repeats has no second effect and gets the same answer.

pub mod message;
pub mod settings;
pub mod state;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::StatusCode;
use message::{InboundMessage, Keyword};
use serde_json::Value;
use shared::runtime::metrics::Metric;
use shared::store::inbound::{Effect, Inbound, RecordedMessage};
use shared::store::table::StoreError;
use shared::twilio::reception::{self, Declined, receive};
use shared::twilio::segments::Segments;
use shared::twilio::twiml::{self, ReplyText};
use state::State;

/// Answers one call of the webhook. Whatever comes in, there is an answer.
pub async fn handle(state: &State, event: Value) -> ApiGatewayV2httpResponse {
    let taking = tokio::time::timeout(state.deadline, take_event(state, event));
    let taken = taking.await.unwrap_or(Err(Declined::TooSlow));
    state.meter.record(metric(state, &taken).as_slice(), state.clock.now_ms());
    match taken {
        Ok(Replied { text, .. }) => {
            let twiml = text.map_or_else(|| twiml::NO_REPLY.to_owned(), twiml::reply);
            reception::answer(StatusCode::OK, "text/xml; charset=utf-8", twiml)
        }
        Err(declined) => declined.answer("inbound-sms"),
    }
}

/// What a message is replied with, if anything, and whether it was before.
struct Replied<'a> {
    text: Option<&'a ReplyText>,
    repeated: bool,
}

async fn take_event(state: &State, event: Value) -> Result<Replied<'_>, Declined> {
    let webhook = receive(event, state.settings.public_url.as_ref(), &state.signer).await?;
    let message = InboundMessage::read(&webhook)
        .map_err(|reason| Declined::Unfit(format!("This is not an inbound message: {reason}.")))?;

    let taken = take(state, &message).await?;
    tracing::info!(
        message_sid = message.message_sid,
        from = message.masked_sender(),
        keyword = message.keyword.map(Keyword::as_str),
        reply = taken.reply,
        repeated = taken.repeated,
        "message taken"
    );
    Ok(Replied { text: state.settings.reply_text.as_ref().filter(|_| taken.reply), repeated: taken.repeated })
}

/// A reply is an SMS, which costs; the same answer to a repeat texts nothing more.
fn metric(state: &State, taken: &Result<Replied<'_>, Declined>) -> Option<Metric> {
    match taken {
        Ok(Replied { text: Some(text), repeated: false }) => {
            let segments = Segments::of(text.as_str()).count;
            Some(Metric::EstimatedSpend(state.settings.segment_price.of(segments)))
        }
        Ok(_) => None,
        Err(declined) => declined.metric(),
    }
}

async fn take(state: &State, message: &InboundMessage<'_>) -> Result<RecordedMessage, StoreError> {
    let settings = &state.settings;
    // A reply is an SMS: it goes only where a code may go. One to ourselves would start a loop.
    let may_be_answered = message.phone.as_ref().is_some_and(|phone| settings.policy.check(phone).is_ok())
        && !settings.is_ours(message.from)
        && message.from != message.to;
    let effect = match message.keyword {
        Some(Keyword::Stop) => Effect::OptOut,
        Some(Keyword::Start) => Effect::OptIn,
        None if settings.reply_text.is_some() && may_be_answered => Effect::Reply(&settings.reply_limit),
        // Twilio answers HELP itself, and has answered STOP and START.
        Some(Keyword::Help) | None => Effect::None,
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
