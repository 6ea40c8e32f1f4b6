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
use shared::messages::locale::Locale;
use shared::phone::code::VerificationCode;
use shared::phone::number::{PhoneNumber, Region};
use shared::runtime::metrics::Metric;
use shared::store::inbound::{Effect, Inbound, RecordedMessage, Reply, Texted};
use shared::store::items::StoreError;
use shared::store::text_to_verify::{OpenOffer, TextToVerify};
use shared::store::verification::Verification;
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
            let twiml = text.map_or_else(|| twiml::NO_REPLY.to_owned(), |text| twiml::reply(&text));
            reception::answer(StatusCode::OK, "text/xml; charset=utf-8", twiml)
        }
        Err(error) => error.answer("inbound-sms"),
    }
}

/// The reply to a message, if it gets one, the sender's region, and whether Twilio repeated the message.
struct Answer {
    text: Option<ReplyText>,
    region: Option<Region>,
    repeated: bool,
}

async fn process(state: &State, event: Value) -> Result<Answer, WebhookError> {
    let webhook = receive(event, state.settings.public_url.as_ref(), &state.signer).await?;
    let message = InboundMessage::read(&webhook)
        .map_err(|reason| WebhookError::Unexpected(format!("This is not an inbound message: {reason}.")))?;

    let offer = offer(state, &message).await?;
    let keyword = message.keyword.or_else(|| stop_beside_phrase(state, &message));
    let stored = store(state, &message, keyword, offer.as_ref()).await?;
    tracing::info!(
        message_sid = message.message_sid,
        from = message.masked_sender(),
        keyword = keyword.map(Keyword::as_str),
        reply = stored.reply,
        verifies = stored.texted_for.is_some(),
        repeated = stored.repeated,
        "message stored"
    );
    let text = match &stored.texted_for {
        Some((verification, locale)) => Some(code_reply(state, verification, locale.as_ref(), message.message_sid).1),
        None => state.settings.reply_text.clone(),
    };
    let region = message.phone.as_ref().and_then(PhoneNumber::region);
    Ok(Answer { text: text.filter(|_| stored.reply), region, repeated: stored.repeated })
}

/// A reply is an SMS and costs money. For a repeated message it is not estimated again, though the first answer may not have arrived.
fn metric(state: &State, result: &Result<Answer, WebhookError>) -> Option<Metric> {
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

/// The offer that the message was texted for. Only an SMS counts, from the very number that the offer is for.
async fn offer(state: &State, message: &InboundMessage<'_>) -> Result<Option<OpenOffer>, StoreError> {
    if state.settings.text_to_verify == TextToVerify::Off {
        return Ok(None);
    }
    match message.sms_phone().zip(message.phrase()) {
        Some((phone, phrase)) => state.table.open_offer(phone, phrase, state.clock.now_ms()).await,
        None => Ok(None),
    }
}

/// A STOP that was written beside a phrase. What belongs to the text that we offered is left out.
fn stop_beside_phrase(state: &State, message: &InboundMessage<'_>) -> Option<Keyword> {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let offered = letters(&state.settings.messages.to_be_texted(message.phrase()?));
    let beside: Vec<_> = message.body.split_whitespace().filter(|word| !offered.contains(&letters(word))).collect();
    Keyword::of_message(None, &beside.join(" ")).filter(|&keyword| keyword == Keyword::Stop)
}

/// The code that answers a text for a verification, and the text that it is in. The same each time that Twilio repeats the message.
fn code_reply(
    state: &State,
    verification: &Verification,
    locale: Option<&Locale>,
    message_sid: &str,
) -> (VerificationCode, ReplyText) {
    let code = state.table.reply_code(verification, message_sid);
    let text = state.settings.messages.text(locale, code.as_str());
    (code, ReplyText::of(&text))
}

async fn store(
    state: &State,
    message: &InboundMessage<'_>,
    keyword: Option<Keyword>,
    offer: Option<&OpenOffer>,
) -> Result<RecordedMessage, StoreError> {
    let settings = &state.settings;
    // A reply is an SMS, so the policy for codes applies to it. A reply to ourselves would start a loop.
    let phone = message.sms_phone().filter(|phone| {
        settings.policy.check(phone).is_ok() && !settings.is_ours(message.from) && message.from != message.to
    });
    let reply = |text: &ReplyText| {
        phone.map(|to| Reply { to, price: price(state, text, to.region()), limits: &settings.reply_limits })
    };
    let code = offer.map(|offer| code_reply(state, &offer.verification, offer.locale.as_ref(), message.message_sid));
    let code = code.as_ref().and_then(|(code, text)| Some((code, reply(text)?)));
    let texted = match (settings.text_to_verify, offer.zip(message.sms_phone()), code) {
        (TextToVerify::Direct, Some((offer, phone)), _) => Some(Texted { phone, offer, code: None }),
        (TextToVerify::Confirm, Some((offer, phone)), Some(code)) => Some(Texted { phone, offer, code: Some(code) }),
        _ => None,
    };
    let effect = match keyword {
        Some(Keyword::Stop) => Effect::OptOut,
        Some(Keyword::Start) => Effect::OptIn,
        // Twilio answers it.
        Some(Keyword::Help) => Effect::None,
        None => match (texted, settings.reply_text.as_ref().and_then(reply)) {
            (Some(texted), _) => Effect::Verify(texted),
            (None, Some(reply)) => Effect::Reply(reply),
            (None, None) => Effect::None,
        },
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
