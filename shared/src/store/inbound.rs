//! Inbound messages. Each is stored once, together with its one effect.
//!
//! A reply is an SMS that costs money, so it needs places like a code: in its sender's log, in the number range, in the country, in total and in
//! the spend. In the range and the country replies have places of their own. Whoever writes to our number must not fill those of
//! verifications.

use super::counters::{Counter, CounterEntries, CounterLimit, CounterScope};
use super::items::{Item, StoreError, Transaction, number, read_text, text};
use super::send_limits::LimitKind;
use super::table::{Table, expiry};
use super::text_to_verify::OpenOffer;
use super::verification::Verification;
use crate::limits::rules::{CounterRules, MAX_WINDOW, Mode, Period, SpendRules, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use crate::messages::locale::Locale;
use crate::phone::code::VerificationCode;
use crate::phone::number::{PhoneNumber, handset};
use crate::runtime::settings::{Environment, SettingError};
use crate::twilio::price::Dollars;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use std::time::Duration;

/// How long the counters of a reply may take. Storing the message needs the rest of the webhook's time.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than a webhook takes.
const WEBHOOK_MS: u64 = 30 * 1000;

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
    /// It asks for a reply, as long as there are places for one.
    Reply(Reply<'a>),
    /// It is the phrase of an offer.
    Verify(Texted<'a>),
    /// Its sender opts out of our messages.
    OptOut,
    /// Its sender opts in again.
    OptIn,
}

/// A text for an offer.
#[derive(Clone, Copy)]
pub struct Texted<'a> {
    /// Who texted.
    pub phone: &'a PhoneNumber,
    /// What for.
    pub offer: &'a OpenOffer,
    /// The code that answers it, as long as there are places for a reply. Without one, the text approves the verification.
    pub code: Option<(&'a VerificationCode, Reply<'a>)>,
}

/// A reply to be decided.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// Whom to text.
    pub to: &'a PhoneNumber,
    /// What it costs.
    pub price: Dollars,
    /// Its limits.
    pub limits: &'a ReplyLimits,
}

/// The limits of automatic replies.
#[derive(Clone, Debug)]
pub struct ReplyLimits {
    /// Per sender.
    pub sender: WindowRules,
    /// Per number range, apart from codes.
    pub range: Mode<WindowRules>,
    /// Per country, apart from codes.
    pub country: Mode<CounterRules>,
    /// Together with codes.
    pub total: Mode<CounterRules>,
    /// The price, together with codes.
    pub spend: Mode<CounterRules>,
}

impl ReplyLimits {
    /// Reads `REPLY_LIMIT`, `RANGE_LIMIT`, `COUNTRY_LIMIT`, `TOTAL_LIMIT` and `SPEND_LIMIT`.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            sender: environment.parsed("REPLY_LIMIT")?,
            range: environment.parsed("RANGE_LIMIT")?,
            country: environment.parsed("COUNTRY_LIMIT")?,
            total: environment.parsed("TOTAL_LIMIT")?,
            spend: environment.parsed::<Mode<SpendRules>>("SPEND_LIMIT")?.map(CounterRules::from),
        })
    }
}

/// A stored inbound message, the same each time that Twilio repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedMessage {
    /// Whether to reply.
    pub reply: bool,
    /// Whether it was stored before.
    pub repeated: bool,
    /// The verification that it was texted for, and the language of the reply.
    pub texted_for: Option<(Verification, Option<Locale>)>,
}

impl RecordedMessage {
    const fn without_reply(repeated: bool) -> Self {
        Self { reply: false, repeated, texted_for: None }
    }
}

/// The writes of an inbound message. The message comes first: a repeat decides nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum InboundWrite {
    Message,
    Offer,
    Effect,
    Range,
    OptOutRecord,
}

impl Table {
    /// Stores an inbound message and its effect, once, and says whether to reply to it.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be stored.
    pub async fn take(&self, message: Inbound<'_>, now_ms: u64) -> Result<RecordedMessage, StoreError> {
        let reply = message.effect.reply();
        // The counters are too busy for the transaction. What they count is released if the transaction needs no reply.
        let counted = match reply {
            Some(reply) => self.count_reply_in_time(reply, now_ms).await,
            None => None,
        };
        let wants_reply = counted.is_some();
        // Without a place for its reply, a message is stored without its effect. An offer stays open then.
        let effect = if wants_reply || reply.is_none() { message.effect } else { Effect::None };
        let message = Inbound { effect, ..message };
        let writes = self.inbound_writes(message, now_ms);
        let refused = match self.items.transact(&writes).await {
            Ok(Transaction::Done) => {
                let texted_for = effect.texted().map(|texted| texted.offer);
                let texted_for = texted_for.map(|offer| (offer.verification.clone(), offer.locale.clone()));
                return Ok(RecordedMessage { reply: wants_reply, repeated: false, texted_for });
            }
            Ok(Transaction::Refused(refused)) => refused,
            Err(error) => {
                // Otherwise it may have been stored, with its reply.
                if let (StoreError::Busy(_), Some(counted)) = (&error, counted) {
                    self.release_reply(counted, now_ms).await;
                }
                return Err(error);
            }
        };
        if let Some(counted) = counted {
            self.release_reply(counted, now_ms).await;
        }
        if let Some(stored) = refused.get(&InboundWrite::Message) {
            return self.recorded_before(stored, message.sender);
        }
        if !wants_reply && !refused.contains_key(&InboundWrite::Offer) {
            return Ok(RecordedMessage::without_reply(true));
        }
        // The sender or the range has had its replies, or the offer is used up: the message is stored all the same.
        let message = Inbound { effect: Effect::None, ..message };
        let write = self.message_write(message, now_ms);
        match self.items.transact(&[(InboundWrite::Message, write)]).await? {
            Transaction::Done => Ok(RecordedMessage::without_reply(false)),
            Transaction::Refused(refused) => {
                refused.get(&InboundWrite::Message).map_or(Ok(RecordedMessage::without_reply(true)), |stored| {
                    self.recorded_before(stored, message.sender)
                })
            }
        }
    }

    /// Counts a reply; `None` if there is no place for it, or nobody knows in time. A message is never lost for the sake of its reply.
    async fn count_reply_in_time(&self, reply: Reply<'_>, now_ms: u64) -> Option<CounterEntries> {
        let counted = tokio::time::timeout(COUNT_TIMEOUT, self.count_reply(reply, now_ms)).await;
        match counted {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => {
                tracing::error!(%error, "a reply could not be counted, so it is not sent");
                None
            }
            Err(_) => {
                tracing::error!("a reply could not be counted in {COUNT_TIMEOUT:?}, so it is not sent");
                None
            }
        }
    }

    /// Counts a reply in the counters; `None` if one of them is full.
    async fn count_reply(&self, reply: Reply<'_>, now_ms: u64) -> Result<Option<CounterEntries>, StoreError> {
        let Reply { to, price, limits } = reply;
        let country = to.region().and_then(|region| {
            Counter::new(CounterScope::Replies(region), [CounterLimit::new(LimitKind::Country, &limits.country, 1)])
        });
        let price = price.hundredths_of_a_cent();
        let all = [
            CounterLimit::new(LimitKind::Total, &limits.total, 1),
            CounterLimit::new(LimitKind::Spend, &limits.spend, price),
        ];
        let counters: Vec<_> = country.into_iter().chain(Counter::new(CounterScope::Total, all)).collect();
        let mut counted = CounterEntries::default();
        let result = self.count(&counters, now_ms, &mut counted).await;
        if !matches!(result, Ok(None)) {
            self.release_reply(counted, now_ms).await;
            return result.map(|_| None);
        }
        Ok(Some(counted))
    }

    async fn release_reply(&self, counted: CounterEntries, now_ms: u64) {
        // A bucket that has begun meanwhile counts it as well.
        if let Err(error) = self.release_counted(counted, now_ms, now_ms + WEBHOOK_MS).await {
            tracing::error!(%error, "a reply that is not sent could not be released; it stays counted");
        }
    }

    fn inbound_writes(&self, message: Inbound<'_>, now_ms: u64) -> Vec<(InboundWrite, TransactWriteItem)> {
        let effect = message.sender.and_then(|sender| self.effect_write(message.effect, sender, now_ms));
        let offer = message
            .effect
            .texted()
            .map(|Texted { phone, offer, code }| self.texted_write(phone, offer, code.map(|(code, _)| code), now_ms));
        let range = message
            .effect
            .reply()
            .and_then(|Reply { to, limits, .. }| self.log_write(&self.replies_pk(to), &limits.range, now_ms));
        // A webhook carries no time, so a captured one can be replayed at any later time, even after the message has expired. A
        // replayed START must never undo a later STOP, so a record without an end remembers that it took effect.
        let is_opt = matches!(message.effect, Effect::OptOut | Effect::OptIn);
        let once = is_opt.then(|| {
            self.items.write(&format!("opted#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put([])
        });
        let mut writes = vec![(InboundWrite::Message, self.message_write(message, now_ms))];
        writes.extend(offer.map(|write| (InboundWrite::Offer, write)));
        writes.extend(effect.map(|write| (InboundWrite::Effect, write)));
        writes.extend(range.map(|write| (InboundWrite::Range, write)));
        writes.extend(once.map(|write| (InboundWrite::OptOutRecord, write)));
        writes
    }

    /// The key of the item that counts the replies to a number range.
    fn replies_pk(&self, to: &PhoneNumber) -> String {
        self.pk("replies", to.range().as_str())
    }

    fn effect_write(&self, effect: Effect<'_>, sender: &str, now_ms: u64) -> Option<TransactWriteItem> {
        match effect {
            Effect::None => None,
            Effect::Reply(_) | Effect::Verify(_) => effect
                .reply()
                .map(|reply| self.reply_write(&self.pk("reply", &handset(sender)), &reply.limits.sender, now_ms)),
            // An opt-out must outlive every log, so its item loses its end.
            Effect::OptOut => Some(
                self.items
                    .write(&self.pk("phone", &handset(sender)))
                    .number(":now", now_ms)
                    .update("SET opted_out = :now REMOVE expires_at"),
            ),
            Effect::OptIn => Some(
                self.items
                    .write(&self.pk("phone", &handset(sender)))
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

    fn message_write(&self, message: Inbound<'_>, now_ms: u64) -> TransactWriteItem {
        let mut item = vec![
            ("message_sid", text(message.message_sid)),
            ("from", text(message.from)),
            ("to", text(message.to)),
            ("body", text(message.body)),
            ("media", AttributeValue::L(message.media.iter().map(|url| text(url)).collect())),
            ("at", number(now_ms)),
            ("replied", AttributeValue::Bool(message.effect.reply().is_some())),
            ("expires_at", number((now_ms + message.lifetime.as_ms()) / 1000)),
        ];
        if let Some(Texted { phone, offer, code }) = message.effect.texted() {
            item.push(("v", AttributeValue::B(offer.verification.id.to_vec().into())));
            item.extend(offer.locale.as_ref().map(|locale| ("locale", text(locale.as_str()))));
            // An event tells the app that this verification is approved, so it needs the name.
            if code.is_none() {
                item.push(("verification", text(offer.verification.as_str())));
                item.push(("phone_number", text(phone.as_str())));
            }
        }
        self.items.write(&format!("message#{}", message.message_sid)).only_if("attribute_not_exists(pk)").put(item)
    }

    fn recorded_before(&self, item: &Item, sender: Option<&str>) -> Result<RecordedMessage, StoreError> {
        let Some(AttributeValue::Bool(reply)) = item.get("replied") else {
            return Err(StoreError::Corrupt("a message lacks whether it was answered"));
        };
        let id = item.get("v").and_then(|id| id.as_b().ok()?.as_ref().try_into().ok());
        let locale = || read_text(item, "locale").and_then(|locale| locale.parse().ok());
        let texted_for = sender.zip(id).map(|(sender, id)| (self.verification(sender, id), locale()));
        Ok(RecordedMessage { reply: *reply, repeated: true, texted_for })
    }
}

impl<'a> Effect<'a> {
    /// The reply that it asks for.
    fn reply(self) -> Option<Reply<'a>> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Verify(Texted { code, .. }) => code.map(|(_, reply)| reply),
            Self::None | Self::OptOut | Self::OptIn => None,
        }
    }

    const fn texted(self) -> Option<Texted<'a>> {
        match self {
            Self::Verify(texted) => Some(texted),
            Self::None | Self::Reply(_) | Self::OptOut | Self::OptIn => None,
        }
    }
}
