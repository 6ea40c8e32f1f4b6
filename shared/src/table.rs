//! The DynamoDB table: every item, and the one kind of write.
//!
//! The one idea: one transaction decides. The phone's limit, the IP's limit and the idempotency record change together or not
//! at all, so a refusal by one costs the others nothing and nothing slips through between a read and a write. *Every* write
//! is a transaction: the SDK gives it a token that makes a retry after a lost reply harmless, which a plain update lacks.
//!
//! | Item | `pk` | Attributes |
//! |---|---|---|
//! | phone | `phone#<HMAC>` | `a1…aL`, the sliding log of sends; `opted_out` |
//! | IP | `ip#<HMAC>` | `a1…aL` |
//! | send | `send#<HMAC of the idempotency key>` | `state`: `reserved` → `sent`, `refused` or `unknown`; `at`; `request`; `answer` |
//! | reply | `reply#<HMAC of the sender>` | `a1…aL`, the sliding log of automatic replies |
//! | opted | `opted#<MessageSid>` | nothing, for good: that this STOP or START has had its effect |
//! | message | `message#<MessageSid>` | the inbound message: `from`, `to`, `body`, `media`, `at`, `replied` |
//!
//! Times in logs are milliseconds; `expires_at`, the table's TTL attribute, is in seconds. Nothing here depends on when
//! DynamoDB deletes an expired item.

use crate::aws::reason;
use crate::backoff::Backoff;
use crate::credentials::HmacKey;
use crate::ip::ClientIp;
use crate::limits::{Exceeded, Limits, MAX_WINDOW, Span};
use crate::phone_number::PhoneNumber;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

/// How long a send's record answers for repeats. Lambda retries an asynchronous invocation for at most 6 hours.
const SEND_RECORD_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a send may be under way, which is longer than send-code's time-out: a reservation older than this belongs to an
/// invocation that has ended without a word.
const IN_PROGRESS_MS: u64 = 30 * 1000;
/// How much longer than its longest window a log is kept.
const LOG_MARGIN_MS: u64 = 60 * 60 * 1000;

type Item = HashMap<String, AttributeValue>;

/// The table.
pub struct Table {
    /// The DynamoDB client.
    pub client: Client,
    /// The table's name.
    pub name: String,
    /// The key under which people stand in the table.
    pub key: HmacKey,
    /// How often a write that collided with another one is tried again.
    pub backoff: Backoff,
}

/// A caller's name for one send: the same key never sends twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The key is empty, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key must have 1 to 255 characters")]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=255).contains(&text.chars().count()) { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

/// One wish to send, as the table judges it.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Whom to text.
    pub phone: &'a PhoneNumber,
    /// Who asks.
    pub ip: &'a ClientIp,
    /// The name of this send.
    pub idempotency_key: &'a IdempotencyKey,
    /// The code that the caller chose, if it did: part of what must be the same under the same idempotency key.
    pub code: Option<&'a str>,
}

/// The limits of a send.
#[derive(Clone, Debug)]
pub struct SendLimits {
    /// Per phone number.
    pub phone: Limits,
    /// Per IP address.
    pub ip: Limits,
}

/// What the table says to a wish.
#[derive(Debug)]
pub enum Decision {
    /// Go ahead, once.
    Admitted(Admission),
    /// The recipient has opted out by STOP.
    OptedOut,
    /// A limit is reached.
    Limited(Limited),
    /// This send was asked for before.
    Repeated(Earlier),
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Whose limit it is.
    pub by: LimitedBy,
    /// Its rule, and until when.
    pub exceeded: Exceeded,
}

/// Whose limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// The phone number's.
    Phone,
    /// The IP address's.
    Ip,
}

/// What became of a send that was asked for before under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It was answered with this JSON.
    Answered(String),
    /// It is under way.
    InProgress,
    /// It ended without recording what became of it: the message may have gone.
    Lost,
    /// It was another request: another phone number, IP or code.
    Different,
}

/// The right to send one message: counted already, and recorded. It is used up by [`Table::record`] or [`Table::release`].
#[derive(Debug)]
pub struct Admission {
    send: String,
    logs: [String; 2],
    at_ms: u64,
}

/// How an admitted send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Twilio has taken the message.
    Sent,
    /// Twilio refused it.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

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
    pub lifetime: Span,
}

/// What an inbound message does beside being kept.
#[derive(Clone, Copy)]
pub enum Effect<'a> {
    /// Nothing.
    None,
    /// It asks for a reply, as long as the sender is within these limits.
    Reply(&'a Limits),
    /// Its sender opts out of our messages.
    OptOut,
    /// Its sender opts in again.
    OptIn,
}

/// An inbound message that is kept now, and whether it is answered with a reply: the same each time that Twilio repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether to reply.
    pub reply: bool,
    /// Whether it had been taken before.
    pub repeated: bool,
}

/// Why the table could not say anything. Nothing is sent then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Other writes to the same item came in between, each time.
    #[error(
        "the table is busy: the same item was written by others {0} times in a row; nothing was changed, try again"
    )]
    Busy(u32),
    /// DynamoDB did not answer, or not with what we can go on.
    #[error(
        "the table can't be reached: {0}; if it stays so, check the function's permissions, TABLE_NAME and DynamoDB's status"
    )]
    Unavailable(String),
    /// An item is not as we write them.
    #[error("an item of the table is not as Tollgate writes it: {0}")]
    Corrupt(&'static str),
}

impl Table {
    /// Decides on a send, and counts and records it if it may go: all in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] if no decision came about. The send may have been counted then, but is never to be made.
    pub async fn admit(&self, wish: Wish<'_>, limits: &SendLimits, now_ms: u64) -> Result<Decision, StoreError> {
        let admission = Admission {
            send: self.pk("send", &wish.idempotency_key.0),
            logs: [self.pk("phone", wish.phone.as_str()), self.pk("ip", &wish.ip.canonical())],
            at_ms: now_ms,
        };
        let request = self.mac(&["request", wish.phone.as_str(), &wish.ip.canonical(), wish.code.unwrap_or_default()]);

        let record = self
            .write(&admission.send)
            .only_if("attribute_not_exists(pk) OR expires_at <= :now_s")
            .number(":now_s", now_ms / 1000)
            .put([
                ("state", text("reserved")),
                ("at", number(now_ms)),
                ("request", text(&request)),
                ("expires_at", number((now_ms + SEND_RECORD_MS) / 1000)),
            ]);
        let phone = self.log_write(&admission.logs[0], &limits.phone, now_ms, "attribute_not_exists(opted_out) AND ");
        let ip = self.log_write(&admission.logs[1], &limits.ip, now_ms, "");

        let refused = match self.transact(&[record, phone, ip]).await? {
            Transaction::Done => return Ok(Decision::Admitted(admission)),
            Transaction::Refused(refused) => refused,
        };
        if let Some(earlier) = refused.get(&0) {
            return Ok(Decision::Repeated(earlier_send(earlier, &request, now_ms)?));
        }
        if refused.get(&1).is_some_and(|phone| phone.contains_key("opted_out")) {
            return Ok(Decision::OptedOut);
        }
        // Of two that refuse for equally long, the last is named: the phone's, which says more to its owner.
        let by = [(2, LimitedBy::Ip, &limits.ip), (1, LimitedBy::Phone, &limits.phone)];
        let limited = by.into_iter().filter_map(|(index, by, limits)| {
            let exceeded = limits.check(&log(refused.get(&index)?, "a", limits), now_ms).err()?;
            Some(Limited { by, exceeded })
        });
        limited
            .max_by_key(|limited| limited.exceeded.until_ms)
            .map(Decision::Limited)
            .ok_or(StoreError::Corrupt("a limit refused, but its log allows the send"))
    }

    /// When this phone may next be texted at the wish of this IP, in milliseconds; it may be now. One read for each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the table can't be read.
    pub async fn next_send_ms(
        &self,
        admission: &Admission,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let [phone, ip] = &admission.logs;
        let (phone, ip) = tokio::try_join!(self.read(phone), self.read(ip))?;
        let until = |item: &Item, limits: &Limits| {
            limits.check(&log(item, "a", limits), now_ms).err().map_or(now_ms, |exceeded| exceeded.until_ms)
        };
        Ok(until(&phone, &limits.phone).max(until(&ip, &limits.ip)))
    }

    /// Records how an admitted send ended, and the answer that every repeat gets.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be recorded: repeats are then told that nobody knows.
    pub async fn record(&self, admission: Admission, outcome: Outcome, answer: &str) -> Result<(), StoreError> {
        let record = self
            .write(&admission.send)
            .only_if("#state = :reserved AND #at = :at")
            .name("#state", "state")
            .name("#at", "at")
            .text(":reserved", "reserved")
            .text(":state", outcome.as_str())
            .text(":answer", answer)
            .number(":at", admission.at_ms)
            .update("SET #state = :state, answer = :answer");
        match self.transact(&[record]).await? {
            Transaction::Done => Ok(()),
            Transaction::Refused(_) => {
                Err(StoreError::Corrupt("the record of a send is not the one that was reserved"))
            }
        }
    }

    /// Gives an admission back, as if the send had never been asked for: the record goes, and the logs are as they would have
    /// been. Only for a send that certainly has not gone.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be given back: it then stays counted.
    pub async fn release(&self, admission: Admission, limits: &SendLimits) -> Result<(), StoreError> {
        let [phone, ip] = &admission.logs;
        let unrecord = self
            .write(&admission.send)
            .only_if("#state = :reserved AND #at = :at")
            .name("#state", "state")
            .name("#at", "at")
            .text(":reserved", "reserved")
            .number(":at", admission.at_ms)
            .delete();
        // Two transactions, so that an IP that many share can't keep a phone's from being given back. The record goes even if
        // its phone's log can't be shifted: a repeat must not be told that the message may have gone.
        let phone = match self.shift_back(phone, &limits.phone, admission.at_ms, Some(unrecord.clone())).await {
            Ok(()) => Ok(()),
            Err(error) => self.transact(&[unrecord]).await.and(Err(error)),
        };
        self.shift_back(ip, &limits.ip, admission.at_ms, None).await.and(phone)
    }

    /// Takes an admission out of a log, wherever it stands by now, together with another write.
    async fn shift_back(
        &self,
        pk: &str,
        limits: &Limits,
        at_ms: u64,
        beside: Option<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        // Others that come or go in the meantime move it, so each try may find it elsewhere.
        let backoff = Backoff { tries: 4 * self.backoff.tries, ..self.backoff };
        let (mut slot, mut tried) = (Some(1), 0);
        loop {
            let shift = slot.and_then(|slot| limits.release("a", slot, at_ms)).map(|terms| {
                self.write(pk).only_if(&terms.condition).numbers(&terms.values).update(&format!("SET {}", terms.set))
            });
            let with_shift = shift.is_some();
            let writes: Vec<_> = shift.into_iter().chain(beside.clone()).collect();
            if writes.is_empty() {
                return Ok(()); // It has left the log by itself.
            }
            let refused = match self.transact(&writes).await? {
                Transaction::Done => return Ok(()),
                Transaction::Refused(refused) => refused,
            };
            let Some(item) = refused.get(&0).filter(|_| with_shift && refused.len() == 1) else {
                return Err(StoreError::Corrupt("the record of a send is not the one that was reserved"));
            };
            let position = log(item, "a", limits).iter().position(|&entry_ms| entry_ms == at_ms);
            slot = position.and_then(|position| u32::try_from(position + 1).ok());
            tried += 1;
            if !backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }

    /// Keeps an inbound message and its effect, once, and says whether to reply to it.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be kept.
    pub async fn take(&self, message: Inbound<'_>, now_ms: u64) -> Result<Taken, StoreError> {
        let effect = message.sender.and_then(|sender| match message.effect {
            Effect::None => None,
            Effect::Reply(limits) => Some(self.log_write(&self.pk("reply", sender), limits, now_ms, "")),
            // An opt-out must outlive every log, so its item loses its end.
            Effect::OptOut => Some(
                self.write(&self.pk("phone", sender))
                    .number(":now", now_ms)
                    .update("SET opted_out = :now REMOVE expires_at"),
            ),
            Effect::OptIn => Some(
                self.write(&self.pk("phone", sender))
                    .number(":exp", (now_ms + MAX_WINDOW.as_ms() + LOG_MARGIN_MS) / 1000)
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
            Transaction::Done => return Ok(Taken { reply: wants_reply, repeated: false }),
            Transaction::Refused(refused) => refused,
        };
        if let Some(earlier) = refused.get(&0) {
            return taken_earlier(earlier);
        }
        if !wants_reply {
            return Ok(Taken { reply: false, repeated: true });
        }
        // The sender has had its replies: the message is kept all the same.
        match self.transact(&[self.message_write(message, false, now_ms)]).await? {
            Transaction::Done => Ok(Taken { reply: false, repeated: false }),
            Transaction::Refused(refused) => {
                refused.get(&0).map_or(Ok(Taken { reply: false, repeated: true }), taken_earlier)
            }
        }
    }

    fn log_write(&self, pk: &str, limits: &Limits, now_ms: u64, condition: &str) -> TransactWriteItem {
        let terms = limits.admission("a", now_ms);
        let until_ms = now_ms + limits.longest_window().as_ms() + LOG_MARGIN_MS;
        self.write(pk)
            .numbers(&terms.values)
            .only_if(&format!("{condition}{}", terms.condition))
            .number(":exp", until_ms / 1000)
            .update(&format!("SET {}, expires_at = :exp", terms.set))
    }

    fn message_write(&self, message: Inbound<'_>, replied: bool, now_ms: u64) -> TransactWriteItem {
        let item = [
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

    /// The key of an item about somebody: an HMAC, so that a copy of the table names nobody.
    fn pk(&self, kind: &'static str, subject: &str) -> String {
        format!("{kind}#{}", self.mac(&[kind, subject]))
    }

    fn mac(&self, parts: &[&str]) -> String {
        // A key of any length will do for HMAC, so the fallback is never taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()) else { return String::new() };
        for part in parts {
            // The length keeps ("ab", "c") from "a", "bc".
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    fn write(&self, pk: &str) -> Write {
        Write { table: self.name.clone(), pk: pk.to_owned(), condition: None, names: None, values: HashMap::new() }
    }

    async fn read(&self, pk: &str) -> Result<Item, StoreError> {
        let get = self.client.get_item().table_name(&self.name).key("pk", text(pk)).consistent_read(true);
        let output = get.send().await.map_err(|error| StoreError::Unavailable(reason(&error)))?;
        Ok(output.item.unwrap_or_default())
    }

    /// Writes all or nothing. A collision with another write is tried again; a condition that does not hold is final.
    async fn transact(&self, writes: &[TransactWriteItem]) -> Result<Transaction, StoreError> {
        let mut tried = 0;
        loop {
            let write = self.client.transact_write_items().set_transact_items(Some(writes.to_vec()));
            let reasons = match write.send().await {
                Ok(_) => return Ok(Transaction::Done),
                Err(error) => match error.as_service_error() {
                    Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                        cancelled.cancellation_reasons().to_vec()
                    }
                    _ => return Err(StoreError::Unavailable(reason(&error))),
                },
            };
            let code = |reason: &CancellationReason| reason.code.clone().unwrap_or_default();
            // What the first write would say decides over the others; while it collides, theirs can wait.
            let first_collides = reasons
                .first()
                .is_some_and(|first| !["None", "ConditionalCheckFailed"].contains(&code(first).as_str()));
            let tries_left = tried + 1 < self.backoff.tries;
            let refused = reasons.iter().any(|reason| code(reason) == "ConditionalCheckFailed");
            if refused && !(first_collides && tries_left) {
                let failed =
                    reasons.into_iter().enumerate().filter(|(_, reason)| code(reason) == "ConditionalCheckFailed");
                return Ok(Transaction::Refused(
                    failed.map(|(i, reason)| (i, reason.item.unwrap_or_default())).collect(),
                ));
            }
            let passing = [
                "None",
                "ConditionalCheckFailed",
                "TransactionConflict",
                "ThrottlingError",
                "ProvisionedThroughputExceeded",
            ];
            if let Some(reason) = reasons.iter().map(code).find(|code| !passing.contains(&code.as_str())) {
                return Err(StoreError::Unavailable(format!("it cancelled a write with {reason}")));
            }
            tried += 1;
            if !self.backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }
}

/// How a transaction ended: written, or refused by some of its items, each shown as it stands in the table.
enum Transaction {
    Done,
    Refused(BTreeMap<usize, Item>),
}

/// One write of a transaction, in the making.
struct Write {
    table: String,
    pk: String,
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: HashMap<String, AttributeValue>,
}

impl Write {
    fn only_if(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_owned());
        self
    }

    /// A placeholder for an attribute whose name is a reserved word of DynamoDB.
    fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.get_or_insert_default().insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    fn number(mut self, placeholder: &str, value: u64) -> Self {
        self.values.insert(placeholder.to_owned(), number(value));
        self
    }

    fn numbers(mut self, values: &BTreeMap<String, u64>) -> Self {
        self.values.extend(values.iter().map(|(placeholder, value)| (placeholder.clone(), number(*value))));
        self
    }

    fn text(mut self, placeholder: &str, value: &str) -> Self {
        self.values.insert(placeholder.to_owned(), text(value));
        self
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }

    fn put(self, attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> TransactWriteItem {
        let item = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
        let put = Put::builder()
            .table_name(&self.table)
            .set_expression_attribute_values(self.values())
            .set_item(Some(item.chain([("pk".to_owned(), text(&self.pk))]).collect()))
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(self.names)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // What a builder would miss is given above. A write without its action would be refused by DynamoDB, not lost.
        TransactWriteItem::builder().set_put(put.build().ok()).build()
    }

    fn update(self, expression: &str) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.table)
            .set_expression_attribute_values(self.values())
            .key("pk", text(&self.pk))
            .update_expression(expression)
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(self.names)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().set_update(update.build().ok()).build()
    }

    fn delete(self) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_expression_attribute_values(self.values())
            .key("pk", text(&self.pk))
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(self.names)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().set_delete(delete.build().ok()).build()
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read_number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// A sliding log, newest first; an empty slot is 0.
fn log(item: &Item, name: &str, limits: &Limits) -> Vec<u64> {
    (1..=limits.slots()).map(|slot| read_number(item, &format!("{name}{slot}")).unwrap_or_default()).collect()
}

fn earlier_send(item: &Item, request: &str, now_ms: u64) -> Result<Earlier, StoreError> {
    let field = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    if field("request") != Some(request) {
        return Ok(Earlier::Different);
    }
    match (field("state"), field("answer")) {
        (Some("reserved"), _) => {
            let at_ms = read_number(item, "at").ok_or(StoreError::Corrupt("a send's record has no time"))?;
            Ok(if now_ms < at_ms + IN_PROGRESS_MS { Earlier::InProgress } else { Earlier::Lost })
        }
        (Some(_), Some(answer)) => Ok(Earlier::Answered(answer.to_owned())),
        _ => Err(StoreError::Corrupt("a send's record has no state or no answer")),
    }
}

fn taken_earlier(item: &Item) -> Result<Taken, StoreError> {
    match item.get("replied") {
        Some(AttributeValue::Bool(reply)) => Ok(Taken { reply: *reply, repeated: true }),
        _ => Err(StoreError::Corrupt("a message does not say whether it was answered")),
    }
}
