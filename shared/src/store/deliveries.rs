//! How messages of ours fare: each state of each message is taken once, and whatever the order in which they come, the last one of a
//! message's life stands at the end.
//!
//! The one idea: states have a rank, and one conditional write moves a message only upwards. That write decides whether something
//! is counted, so a repeat, a latecomer and a replay of a captured request count nothing.
//!
//! This is not a part of [`super::table::Table`]: it needs no key, so the function that uses it can't read that secret.

use super::table::{StoreError, number, text};
use crate::phone::number::Region;
use crate::runtime::aws::reason;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use std::str::FromStr;

/// How long it is remembered what became of a message. Twilio's signature carries no time: a request that somebody captured could
/// count once more after this.
const MEMORY_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// Where a message is in its life, in Twilio's words. <https://www.twilio.com/docs/messaging/api/message-resource>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// A Messaging Service has it, and looks for a sender.
    Accepted,
    /// It waits for its turn.
    Queued,
    /// It is on its way to the carrier.
    Sending,
    /// The nearest carrier has it.
    Sent,
    /// The phone has it, as far as the carrier says.
    Delivered,
    /// The carrier, or the phone, did not take it.
    Undelivered,
    /// It was never sent.
    Failed,
    /// It was called back.
    Canceled,
}

/// Not a state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state of an outgoing message")]
pub struct UnknownStatus;

impl MessageStatus {
    /// The word that Twilio has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// How far along it is. The last ones are equal, so the first of them that comes stays.
    const fn rank(self) -> u64 {
        match self {
            Self::Accepted => 1,
            Self::Queued => 2,
            Self::Sending => 3,
            Self::Sent => 4,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Canceled => 5,
        }
    }
}

impl FromStr for MessageStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "accepted" | "scheduled" => Self::Accepted,
            "queued" => Self::Queued,
            "sending" => Self::Sending,
            "sent" => Self::Sent,
            // Who has read it has it. SMS knows no "read", but other channels of a Messaging Service do.
            "delivered" | "read" => Self::Delivered,
            "undelivered" => Self::Undelivered,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => return Err(UnknownStatus),
        })
    }
}

/// A state of a message, as Twilio reports it.
#[derive(Clone, Copy, Debug)]
pub struct StatusReport<'a> {
    /// The message.
    pub message_sid: &'a str,
    /// Its state.
    pub status: MessageStatus,
    /// Where it goes.
    pub country: Option<Region>,
    /// Why it did not arrive, if it did not.
    pub error_code: Option<u32>,
}

/// The deliveries in the table.
#[derive(Clone, Debug)]
pub struct Deliveries {
    /// The DynamoDB client.
    pub client: Client,
    /// The table's name.
    pub table_name: String,
}

impl Deliveries {
    /// Takes a report; `false` if this state, or one that comes after it, was taken before.
    ///
    /// A plain update: only reports write these items, so there is nothing to collide with. The nonce tells our own write, whose
    /// answer was lost, from another's.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be told. Then Twilio is told so.
    pub async fn take(&self, report: StatusReport<'_>, now_ms: u64) -> Result<bool, StoreError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| StoreError::Unavailable(format!("no random numbers ({error})")))?;
        let nonce = AttributeValue::B(Blob::new(nonce));
        let country = report.country.map_or_else(|| "none".to_owned(), |country| country.to_string());
        let set = "SET reached = :reached, #status = :status, report = :report, #at = :at, country = :country, expires_at = :exp";
        let (set_code, code) = match report.error_code {
            Some(code) => (", error_code = :code", Some(number(code.into()))),
            None => ("", None),
        };
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table_name)
            .key("pk", text(&format!("delivery#{}", report.message_sid)))
            .update_expression(format!("{set}{set_code}"))
            .condition_expression("attribute_not_exists(reached) OR reached < :reached")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":reached", number(report.status.rank()))
            .expression_attribute_values(":status", text(report.status.as_str()))
            .expression_attribute_values(":report", nonce.clone())
            .expression_attribute_values(":at", number(now_ms))
            .expression_attribute_values(":country", text(&country))
            .expression_attribute_values(":exp", number((now_ms + MEMORY_MS) / 1000))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(code) = code {
            update = update.expression_attribute_values(":code", code);
        }
        let Err(error) = update.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(failed.item().and_then(|item| item.get("report")) == Some(&nonce))
            }
            _ => Err(StoreError::Unavailable(reason(&error))),
        }
    }
}
