//! Inbound messages: each is kept once, together with its one effect.

use super::table::{Item, StoreError, Table, Transaction, expiry, number, text};
use crate::limits::rules::{MAX_WINDOW, Period, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

/// An inbound message, as it is kept.
#[derive(Clone, Copy)]
pub struct Inbound<'a> {
    /// Its MessageSid, under which it is taken once.
    pub message_sid: &'a str,
    /// Who texts; not always a phone number.
    pub from: &'a str,
    /// The same, if it is a number in E.164.
    pub sender: Option<&'a str>,
    /// Our number.
    pub to: &'a str,
    /// The text.
    pub body: &'a str,
    /// The URLs of pictures and other attachments.
    pub media: &'a [&'a str],
    /// What the message does beside being kept.
    pub effect: Effect<'a>,
    /// How long it is kept.
    pub lifetime: Period,
}

/// What an inbound message does beside being kept.
#[derive(Clone, Copy)]
pub enum Effect<'a> {
    /// Nothing.
    None,
    /// It asks for a reply, as long as the sender is within these limits.
    Reply(&'a WindowRules),
    /// Its sender opts out of our messages.
    OptOut,
    /// Its sender opts in again.
    OptIn,
}

/// An inbound message that is kept now, and whether it is answered with a reply: the same each time that Twilio repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedMessage {
    /// Whether to reply.
    pub reply: bool,
    /// Whether it had been taken before.
    pub repeated: bool,
}

impl Table {
    /// Keeps an inbound message and its effect, once, and says whether to reply to it.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be kept.
    pub async fn take(&self, message: Inbound<'_>, now_ms: u64) -> Result<RecordedMessage, StoreError> {
        let effect = message.sender.and_then(|sender| match message.effect {
            Effect::None => None,
            Effect::Reply(limits) => Some(self.reply_write(&self.pk("reply", sender), limits, now_ms)),
            // An opt-out must outlive every log, so its item loses its end.
            Effect::OptOut => Some(
                self.write(&self.pk("phone", sender))
                    .number(":now", now_ms)
                    .update("SET opted_out = :now REMOVE expires_at"),
            ),
            Effect::OptIn => Some(
                self.write(&self.pk("phone", sender))
                    .number(":exp", expiry(now_ms, MAX_WINDOW))
                    .update("SET expires_at = :exp REMOVE opted_out"),
            ),
        });
        let wants_reply = effect.is_some() && matches!(message.effect, Effect::Reply(_));
        // A webhook carries no time, so a captured one can be replayed for ever, also when the message is long forgotten. A
        // replayed START must never undo a later STOP: that it has had its effect is remembered for good.
        let once = matches!(message.effect, Effect::OptOut | Effect::OptIn)
            .then(|| self.write(&format!("opted#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put([]));
        let mut writes = vec![self.message_write(message, wants_reply, now_ms)];
        writes.extend(effect.into_iter().chain(once));
        let refused = match self.transact(&writes).await? {
            Transaction::Done => return Ok(RecordedMessage { reply: wants_reply, repeated: false }),
            Transaction::Refused(refused) => refused,
        };
        if let Some(earlier) = refused.get(&0) {
            return taken_earlier(earlier);
        }
        if !wants_reply {
            return Ok(RecordedMessage { reply: false, repeated: true });
        }
        // The sender has had its replies: the message is kept all the same.
        match self.transact(&[self.message_write(message, false, now_ms)]).await? {
            Transaction::Done => Ok(RecordedMessage { reply: false, repeated: false }),
            Transaction::Refused(refused) => {
                refused.get(&0).map_or(Ok(RecordedMessage { reply: false, repeated: true }), taken_earlier)
            }
        }
    }

    fn reply_write(&self, pk: &str, limits: &WindowRules, now_ms: u64) -> TransactWriteItem {
        let terms = SlidingLog::of("a", limits).admit(Some(limits), now_ms);
        self.write(pk)
            .numbers(&terms.values)
            .only_if(&terms.condition)
            .number(":exp", expiry(now_ms, limits.longest_window()))
            .update(&format!("SET {}, expires_at = :exp", terms.set))
    }

    fn message_write(&self, message: Inbound<'_>, replied: bool, now_ms: u64) -> TransactWriteItem {
        let item = [
            ("message_sid", text(message.message_sid)),
            ("from", text(message.from)),
            ("to", text(message.to)),
            ("body", text(message.body)),
            ("media", AttributeValue::L(message.media.iter().map(|url| text(url)).collect())),
            ("at", number(now_ms)),
            ("replied", AttributeValue::Bool(replied)),
            ("expires_at", number((now_ms + message.lifetime.as_ms()) / 1000)),
        ];
        self.write(&format!("message#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put(item)
    }
}

fn taken_earlier(item: &Item) -> Result<RecordedMessage, StoreError> {
    match item.get("replied") {
        Some(AttributeValue::Bool(reply)) => Ok(RecordedMessage { reply: *reply, repeated: true }),
        _ => Err(StoreError::Corrupt("a message does not say whether it was answered")),
    }
}
