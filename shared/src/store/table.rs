//! The DynamoDB table: every item, and how they are written.
//!
//! The one idea: one transaction decides. The limits of the phone, the IP and the number range and the idempotency record change
//! together or not at all, so a refusal by one costs the others nothing and nothing slips through between a read and a write. A
//! transaction has a token, which makes the SDK's retry after a lost reply harmless; a plain update has none. So every write
//! is a transaction, but three: the counters of [`budgets`], too busy for one, the attempts of [`checks`], which must read what
//! they write, and [`deliveries`], which nothing else goes with.
//!
//! | Item | `pk` | Attributes |
//! |---|---|---|
//! | phone | `phone#<HMAC>` | `a1…aL`, the sliding log of sends; `c1…cK`, the code of each of the newest: `{mac, ip}`; `f1…fM`, the log of failed checks; `attempt`, the last one's nonce; `opted_out` |
//! | IP | `ip#<HMAC>` | `a1…aL` |
//! | range | `range#<HMAC>` | `a1…aL` |
//! | test | `test#<HMAC>` | `f1…fM`, `attempt`, of a test number |
//! | budget | `country#US#1000/1d`, `total#10000/1d` | the counter of [`crate::limits::bucket_counter`] |
//! | send | `send#<HMAC of the idempotency key>` | `state`: `reserved` → `sent`, `refused` or `unknown`; `at`; `request`; `answer` |
//! | reply | `reply#<HMAC of the sender>` | `a1…aL`, the sliding log of automatic replies |
//! | opted | `opted#<MessageSid>` | nothing, for good: that this STOP or START has had its effect |
//! | message | `message#<MessageSid>` | the inbound message: `message_sid`, `from`, `to`, `body`, `media`, `at`, `replied` |
//! | delivery | `delivery#<MessageSid>` | how a message of ours fares: `status`, its rank `reached`, `at`, `country`, `error_code`, `report`, the last report's nonce |
//!
//! Times in logs are milliseconds; `expires_at`, the table's TTL attribute, is in seconds. Nothing here depends on when
//! DynamoDB deletes an expired item.

use crate::limits::rules::Period;
use crate::limits::sliding_log::SlidingLog;
use crate::runtime::aws::reason;
use crate::runtime::backoff::Backoff;
use crate::runtime::credentials::HmacKey;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap};

/// How much longer than its longest window a log is kept.
const LOG_MARGIN_MS: u64 = 60 * 60 * 1000;

pub(super) type Item = HashMap<String, AttributeValue>;

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
    /// The key of an item about somebody: an HMAC, so that a copy of the table names nobody.
    pub(super) fn pk(&self, kind: &'static str, subject: &str) -> String {
        format!("{kind}#{}", URL_SAFE_NO_PAD.encode(self.mac(&[kind, subject])))
    }

    pub(super) fn mac(&self, parts: &[&str]) -> [u8; 32] {
        // A key of any length will do for HMAC, so the fallback is never taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()) else { return [0; 32] };
        for part in parts {
            // The length keeps ("ab", "c") from "a", "bc".
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    pub(super) fn write(&self, pk: &str) -> Write {
        Write { table: self.name.clone(), pk: pk.to_owned(), condition: None, names: None, values: HashMap::new() }
    }

    /// Reads items, each as it is now; one that is not there is empty.
    pub(super) async fn read<const N: usize>(&self, pks: [&str; N]) -> Result<[Item; N], StoreError> {
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(pks.map(|pk| Item::from([("pk".to_owned(), text(pk))])).into()))
            .consistent_read(true);
        let keys = keys.build().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let read = self.client.batch_get_item().request_items(&self.name, keys);
        let output = read.send().await.map_err(|error| StoreError::Unavailable(reason(&error)))?;
        if output.unprocessed_keys().is_some_and(|keys| !keys.is_empty()) {
            return Err(StoreError::Unavailable("it left items unread".to_owned()));
        }
        let mut items = output.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
        Ok(pks.map(|pk| {
            let found = items.iter().position(|item| item.get("pk") == Some(&text(pk)));
            found.map(|index| items.swap_remove(index)).unwrap_or_default()
        }))
    }

    /// Writes all or nothing. A collision with another write is tried again; a condition that does not hold is final.
    pub(super) async fn transact(&self, writes: &[TransactWriteItem]) -> Result<Transaction, StoreError> {
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
pub(super) enum Transaction {
    Done,
    Refused(BTreeMap<usize, Item>),
}

/// One write of a transaction, in the making.
pub(super) struct Write {
    table: String,
    pk: String,
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: HashMap<String, AttributeValue>,
}

impl Write {
    /// The condition of the write; an empty one is none.
    pub(super) fn only_if(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_owned()).filter(|condition| !condition.is_empty());
        self
    }

    /// A placeholder for an attribute whose name is a reserved word of DynamoDB.
    pub(super) fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.get_or_insert_default().insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    pub(super) fn number(self, placeholder: &str, value: u64) -> Self {
        self.value(placeholder, number(value))
    }

    pub(super) fn numbers(mut self, values: &BTreeMap<String, u64>) -> Self {
        self.values.extend(values.iter().map(|(placeholder, value)| (placeholder.clone(), number(*value))));
        self
    }

    pub(super) fn text(self, placeholder: &str, value: &str) -> Self {
        self.value(placeholder, text(value))
    }

    pub(super) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }

    pub(super) fn put(self, attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> TransactWriteItem {
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

    pub(super) fn update(self, expression: &str) -> TransactWriteItem {
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

    pub(super) fn delete(self) -> TransactWriteItem {
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

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn read_number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// A sliding log, newest first; an empty slot is 0.
pub(super) fn read_log(item: &Item, log: SlidingLog) -> Vec<u64> {
    (1..=log.slots).map(|slot| read_number(item, &format!("{}{slot}", log.name)).unwrap_or_default()).collect()
}

/// When an item may be deleted whose longest window is this, in seconds since the epoch.
pub(super) fn expiry(now_ms: u64, longest_window: Period) -> u64 {
    (now_ms + longest_window.as_ms() + LOG_MARGIN_MS) / 1000
}

pub(super) const NOT_RESERVED: StoreError =
    StoreError::Corrupt("the record of a send is not the one that was reserved");
