//! Inbound messages. Each is stored once, together with its one effect.

use super::items::{Item, StoreError, Transaction, number, text};
use super::table::{Table, expiry};
use crate::limits::rules::{MAX_WINDOW, Period, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

/// An inbound message to store.
#[derive(Clone, Copy)]
pub struct Inbound<'a> {
    /// Its MessageSid, under which it is stored once.
    pub message_sid: &'a str,
    /// The sender; not always a phone number.
    pub from: &'a str,
    /// The sender, if it is a number in E.164.
    pub sender: Option<&'a str>,
    /// Our number.
    pub to: &'a str,
    /// The text.
    pub body: &'a str,
    /// The URLs of pictures and other attachments.
    pub media: &'a [&'a str],
    /// The effect of the message.
    pub effect: Effect<'a>,
    /// How long it is stored.
    pub lifetime: Period,
}

/// What an inbound message does besides being stored.
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

/// A stored inbound message, the same each time that Twilio repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedMessage {
    /// Whether to reply.
    pub reply: bool,
    /// Whether it was stored before.
    pub repeated: bool,
}

/// The writes of an inbound message. The message comes first: a repeat decides nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum InboundWrite {
    Message,
    Effect,
    OptOutRecord,
}

impl Table {
    /// Stores an inbound message and its effect, once, and says whether to reply to it.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be stored.
    pub async fn take(&self, message: Inbound<'_>, now_ms: u64) -> Result<RecordedMessage, StoreError> {
        let effect = message.sender.and_then(|sender| self.effect_write(message.effect, sender, now_ms));
        let wants_reply = effect.is_some() && matches!(message.effect, Effect::Reply(_));
        // A webhook carries no time, so a captured one can be replayed at any later time, even after the message has expired. A
        // replayed START must never undo a later STOP, so a record without an end remembers that it took effect.
        let is_opt = matches!(message.effect, Effect::OptOut | Effect::OptIn);
        let once = is_opt.then(|| {
            self.items.write(&format!("opted#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put([])
        });
        let mut writes = vec![(InboundWrite::Message, self.message_write(message, wants_reply, now_ms))];
        writes.extend(effect.map(|write| (InboundWrite::Effect, write)));
        writes.extend(once.map(|write| (InboundWrite::OptOutRecord, write)));
        let refused = match self.items.transact(&writes).await? {
            Transaction::Done => return Ok(RecordedMessage { reply: wants_reply, repeated: false }),
            Transaction::Refused(refused) => refused,
        };
        if let Some(stored) = refused.get(&InboundWrite::Message) {
            return recorded_before(stored);
        }
        if !wants_reply {
            return Ok(RecordedMessage { reply: false, repeated: true });
        }
        // The sender has had its replies: the message is stored all the same.
        let write = self.message_write(message, false, now_ms);
        match self.items.transact(&[(InboundWrite::Message, write)]).await? {
            Transaction::Done => Ok(RecordedMessage { reply: false, repeated: false }),
            Transaction::Refused(refused) => refused
                .get(&InboundWrite::Message)
                .map_or(Ok(RecordedMessage { reply: false, repeated: true }), recorded_before),
        }
    }

    fn effect_write(&self, effect: Effect<'_>, sender: &str, now_ms: u64) -> Option<TransactWriteItem> {
        match effect {
            Effect::None => None,
            Effect::Reply(limits) => Some(self.reply_write(&self.pk("reply", sender), limits, now_ms)),
            // An opt-out must outlive every log, so its item loses its end.
            Effect::OptOut => Some(
                self.items
                    .write(&self.pk("phone", sender))
                    .number(":now", now_ms)
                    .update("SET opted_out = :now REMOVE expires_at"),
            ),
            Effect::OptIn => Some(
                self.items
                    .write(&self.pk("phone", sender))
                    .number(":exp", expiry(now_ms, MAX_WINDOW))
                    .update("SET expires_at = :exp REMOVE opted_out"),
            ),
        }
    }

    fn reply_write(&self, pk: &str, limits: &WindowRules, now_ms: u64) -> TransactWriteItem {
        let terms = SlidingLog::of("a", limits).admit(Some(limits), now_ms);
        self.items
            .write(pk)
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
        self.items.write(&format!("message#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put(item)
    }
}

fn recorded_before(item: &Item) -> Result<RecordedMessage, StoreError> {
    match item.get("replied") {
        Some(AttributeValue::Bool(reply)) => Ok(RecordedMessage { reply: *reply, repeated: true }),
        _ => Err(StoreError::Corrupt("a message lacks whether it was answered")),
    }
}
