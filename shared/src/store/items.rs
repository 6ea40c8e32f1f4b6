//! Items of the table: how they are read, written, and tried again.
//!
//! Writes that must hold together go into one transaction, which either happens whole or not at all. A transaction carries a token, so
//! the SDK's retry after a lost reply is harmless. A plain update has none, so each one says whether it may be tried again.

use crate::limits::sliding_log::SlidingLog;
use crate::runtime::aws::reason;
use crate::runtime::backoff::Backoff;
use crate::runtime::http::never_connected;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Config, retry::RetryConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, KeysAndAttributes, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use std::collections::{BTreeMap, HashMap};

/// An item's attributes.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Items as one read showed them, by key. One that didn't exist is empty.
pub(super) struct Snapshot(HashMap<String, Item>);

impl Snapshot {
    /// The item with this key; `None` if it was not read.
    pub(super) fn read(&self, pk: &str) -> Option<&Item> {
        self.0.get(pk)
    }

    /// The item with this key; `None` if it doesn't exist.
    pub(super) fn item(&self, pk: &str) -> Option<&Item> {
        self.read(pk).filter(|item| !item.is_empty())
    }
}

/// The items of one DynamoDB table.
#[derive(Clone, Debug)]
pub struct Items {
    /// The DynamoDB client.
    pub client: Client,
    /// The table's name.
    pub table_name: String,
    /// How often a write that collided with another one is tried again.
    pub backoff: Backoff,
}

/// Why the table gave no answer. Nothing is sent then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Other writes to the same item came in between each time.
    #[error("write conflict after {0} attempts; nothing was changed, retry")]
    Busy(u32),
    /// DynamoDB did not answer, or its answer is of no use.
    #[error(
        "DynamoDB is unavailable ({0}); if this persists, check the function's permissions, TABLE_NAME and DynamoDB's status"
    )]
    Unavailable(String),
    /// An item is not as this version writes it.
    #[error("corrupt table item ({0})")]
    Corrupt(&'static str),
}

/// How a transaction ended. Each write has a label; a refusal shows the items whose conditions failed, as they are in the table.
pub(super) enum Transaction<L> {
    Done,
    Refused(BTreeMap<L, Item>),
}

/// How a plain update ended.
pub(super) enum Updated {
    /// Written; the attributes that [`PlainUpdate::returns`] asked for.
    Done(Item),
    /// The condition failed; the item as it is in the table.
    Refused(Item),
}

impl Items {
    /// Reads items as they are now. A missing one is empty.
    pub(super) async fn read<const N: usize>(&self, pks: [&str; N]) -> Result<[Item; N], StoreError> {
        let Snapshot(mut items) = self.read_all(&pks.map(str::to_owned)).await?;
        Ok(pks.map(|pk| items.remove(pk).unwrap_or_default()))
    }

    /// Reads up to 100 different items as they are now.
    pub(super) async fn read_all(&self, pks: &[String]) -> Result<Snapshot, StoreError> {
        let mut left: Vec<Item> = pks.iter().map(|pk| Item::from([("pk".to_owned(), text(pk))])).collect();
        let mut found: HashMap<_, _> = pks.iter().map(|pk| (pk.clone(), Item::new())).collect();
        let mut tried = 0;
        while !left.is_empty() {
            let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let keys = keys.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let read = self.client.batch_get_item().request_items(&self.table_name, keys);
            let output = read.send().await.map_err(|error| StoreError::Unavailable(reason(&error)))?;
            let items = output.responses.unwrap_or_default().remove(&self.table_name).unwrap_or_default();
            found.extend(items.into_iter().filter_map(|item| Some((read_text(&item, "pk")?.to_owned(), item))));
            // A throttled table leaves items unread.
            let unprocessed = output.unprocessed_keys.unwrap_or_default().remove(&self.table_name);
            left = unprocessed.map(|keys| keys.keys).unwrap_or_default();
            tried += 1;
            if !left.is_empty() && !self.backoff.wait(tried).await {
                return Err(StoreError::Unavailable("it left items unread".to_owned()));
            }
        }
        Ok(Snapshot(found))
    }

    /// A write of the item with this key, still to be described.
    pub(super) fn write(&self, pk: &str) -> Write {
        Write {
            table: self.table_name.clone(),
            pk: pk.to_owned(),
            condition: None,
            names: None,
            values: HashMap::new(),
        }
    }

    /// Writes all or nothing. A conflict with another write is tried again; a failed condition is final.
    ///
    /// While the first write conflicts, the failed conditions of the others wait: what it would say has precedence.
    pub(super) async fn transact<L: Copy + Ord>(
        &self,
        writes: &[(L, TransactWriteItem)],
    ) -> Result<Transaction<L>, StoreError> {
        let mut tried = 0;
        loop {
            let items = writes.iter().map(|(_, write)| write.clone()).collect();
            let write = self.client.transact_write_items().set_transact_items(Some(items));
            let reasons = match write.send().await {
                Ok(_) => return Ok(Transaction::Done),
                Err(error) => match error.as_service_error() {
                    Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                        cancelled.cancellation_reasons().to_vec()
                    }
                    _ => return Err(StoreError::Unavailable(reason(&error))),
                },
            };
            tried += 1;
            let first_conflicts = reasons.first().is_some_and(is_transient);
            if reasons.iter().any(condition_failed) && !(first_conflicts && tried < self.backoff.tries) {
                let failed = writes.iter().zip(reasons).filter(|(_, reason)| condition_failed(reason));
                let items = failed.map(|((label, _), reason)| (*label, reason.item.unwrap_or_default()));
                return Ok(Transaction::Refused(items.collect()));
            }
            let is_final = |reason: &&CancellationReason| !(condition_failed(reason) || is_transient(reason));
            if let Some(code) = reasons.iter().filter(is_final).map(code).find(|code| *code != "None") {
                return Err(StoreError::Unavailable(format!("it cancelled a write with {code}")));
            }
            if !self.backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }

    /// Makes one update outside a transaction. A conflict with a transaction is tried again; a failed condition is final.
    pub(super) async fn update(&self, update: PlainUpdate) -> Result<Updated, StoreError> {
        let PlainUpdate { write, expression, returns, at_most_once } = update;
        // The SDK also repeats what may have been written, so such an update is repeated here.
        let of_client = self.client.config().retry_config().filter(|_| !at_most_once).cloned();
        let otherwise = if at_most_once { RetryConfig::disabled() } else { RetryConfig::standard() };
        let config = Config::builder().retry_config(of_client.unwrap_or(otherwise));
        let mut tried = 0;
        loop {
            let request = self
                .client
                .update_item()
                .table_name(&write.table)
                .key("pk", text(&write.pk))
                .update_expression(&expression)
                .set_condition_expression(write.condition.clone())
                .set_expression_attribute_names(write.names.clone())
                .set_expression_attribute_values(write.values())
                .return_values(returns.clone())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match request.customize().config_override(config.clone()).send().await {
                Ok(output) => return Ok(Updated::Done(output.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            tried += 1;
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    return Ok(Updated::Refused(failed.item().cloned().unwrap_or_default()));
                }
                Some(UpdateItemError::TransactionConflictException(_)) if self.backoff.wait(tried).await => {}
                Some(UpdateItemError::TransactionConflictException(_)) => return Err(StoreError::Busy(tried)),
                _ if at_most_once && wrote_nothing(&error) && self.backoff.wait(tried).await => {}
                _ => return Err(StoreError::Unavailable(reason(&error))),
            }
        }
    }
}

/// Whether a failed update certainly changed nothing: DynamoDB throttled it, or it was never transmitted.
fn wrote_nothing(error: &SdkError<UpdateItemError>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            let throttled = ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"];
            service.err().code().is_some_and(|code| throttled.contains(&code))
        }
        SdkError::DispatchFailure(failure) => failure.as_connector_error().is_some_and(never_connected),
        _ => false,
    }
}

fn code(reason: &CancellationReason) -> &str {
    reason.code.as_deref().unwrap_or_default()
}

fn condition_failed(reason: &CancellationReason) -> bool {
    code(reason) == "ConditionalCheckFailed"
}

/// Whether the same write may succeed in a moment.
fn is_transient(reason: &CancellationReason) -> bool {
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"].contains(&code(reason))
}

/// One write, described step by step.
pub(super) struct Write {
    table: String,
    pk: String,
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: HashMap<String, AttributeValue>,
}

/// An update outside a transaction.
pub(super) struct PlainUpdate {
    write: Write,
    expression: String,
    returns: ReturnValue,
    at_most_once: bool,
}

impl PlainUpdate {
    /// The attributes that a successful update returns; none by default.
    pub(super) fn returns(self, returns: ReturnValue) -> Self {
        Self { returns, ..self }
    }

    /// Never makes the update a second time. It is tried again only after a failure that certainly changed nothing, since a lost reply
    /// leaves open whether it happened.
    pub(super) fn at_most_once(self) -> Self {
        Self { at_most_once: true, ..self }
    }
}

impl Write {
    /// The condition of the write; an empty one always holds.
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
        // Everything that a builder requires is given above. DynamoDB refuses a write without its action; it is not lost.
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

    /// The write as an update outside a transaction, for [`Items::update`].
    pub(super) fn plain_update(self, expression: impl Into<String>) -> PlainUpdate {
        PlainUpdate { write: self, expression: expression.into(), returns: ReturnValue::None, at_most_once: false }
    }
}

/// 16 random bytes that tell our own write, whose reply was lost, from another's.
pub(super) fn nonce() -> Result<AttributeValue, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Unavailable(format!("no random numbers ({error})")))?;
    Ok(AttributeValue::B(bytes.to_vec().into()))
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn read_text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

pub(super) fn read_number(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

pub(super) fn read_numbers(item: &Item) -> HashMap<String, u64> {
    item.iter().filter_map(|(name, value)| Some((name.clone(), value.as_n().ok()?.parse().ok()?))).collect()
}

/// A sliding log, newest first; an empty slot is 0.
pub(super) fn read_log(item: &Item, log: SlidingLog) -> Vec<u64> {
    (1..=log.slots).map(|slot| read_number(item, &format!("{}{slot}", log.name)).unwrap_or_default()).collect()
}
