//! Delivery status of outbound messages. Each status is recorded once; late or repeated reports never move a message backwards.
//!
//! A status has a rank, and one conditional write moves a message only upwards. That write decides whether something is counted, so a
//! repeat, a late report and the replay of a captured request count nothing.
//!
//! This is not part of [`Table`](super::table::Table): it needs no key, so the function that uses it can't read that secret.

use super::items::{Items, StoreError, Updated, nonce};
use crate::phone::number::Region;

/// How long a status is remembered. Twilio's signature carries no time: after this, a captured request could count once more.
const MEMORY_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The status of a message, in Twilio's words. <https://www.twilio.com/docs/messaging/api/message-resource>
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum MessageStatus {
    /// A Messaging Service accepted it and is selecting a sender.
    Accepted,
    /// It is queued to be sent.
    Queued,
    /// Twilio is sending it to the carrier.
    Sending,
    /// The nearest carrier accepted it.
    Sent,
    /// The carrier confirmed delivery.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// It could not be sent.
    Failed,
    /// It was canceled.
    Canceled,
}

/// The longest name of a status that is kept.
const MAX_STATUS: usize = 40;

/// A status as Twilio reports it. One that this release doesn't know is kept, not refused: Twilio may add some at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportedStatus<'a> {
    /// It moves its message forward.
    Known(MessageStatus),
    /// `partially_delivered`, which Twilio doesn't explain, or a newer one. It has no place in the order of the others.
    Other(&'a str),
}

/// Not the name of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be lower-case letters and underscores, at most {MAX_STATUS}")]
pub struct InvalidStatusName;

impl<'a> ReportedStatus<'a> {
    /// Reads a status.
    ///
    /// # Errors
    /// [`InvalidStatusName`] if it is not a word.
    pub fn read(text: &'a str) -> Result<Self, InvalidStatusName> {
        let is_name =
            |text: &str| text.len() <= MAX_STATUS && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        match MessageStatus::of(text) {
            Some(status) => Ok(Self::Known(status)),
            None if is_name(text) => Ok(Self::Other(text)),
            None => Err(InvalidStatusName),
        }
    }

    /// Twilio's name for it.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Known(status) => status.as_str(),
            Self::Other(name) => name,
        }
    }
}

impl MessageStatus {
    /// Twilio's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// How far along it is. Final statuses are equal, so the first one stays.
    const fn rank(self) -> u64 {
        match self {
            Self::Accepted => 1,
            Self::Queued => 2,
            Self::Sending => 3,
            Self::Sent => 4,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Canceled => 5,
        }
    }

    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "accepted" | "scheduled" => Self::Accepted,
            "queued" => Self::Queued,
            "sending" => Self::Sending,
            "sent" => Self::Sent,
            // A message that was read was delivered. SMS has no "read", but other channels of a Messaging Service do.
            "delivered" | "read" => Self::Delivered,
            "undelivered" => Self::Undelivered,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => return None,
        })
    }
}

/// A status of a message, as Twilio reports it.
#[derive(Clone, Copy, Debug)]
pub struct StatusReport<'a> {
    /// Its MessageSid.
    pub message_sid: &'a str,
    /// Its status.
    pub status: ReportedStatus<'a>,
    /// The recipient's country.
    pub country: Option<Region>,
    /// Why it was not delivered, if it was not.
    pub error_code: Option<u32>,
}

/// The delivery status of messages in the table.
#[derive(Clone, Debug)]
pub struct Deliveries {
    /// The items of the table.
    pub items: Items,
}

impl Deliveries {
    /// Records a report; `false` if this status, or a later one, was recorded before.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be recorded. Then Twilio should report again.
    pub async fn record(&self, report: StatusReport<'_>, now_ms: u64) -> Result<bool, StoreError> {
        let status = match report.status {
            ReportedStatus::Known(status) => status,
            ReportedStatus::Other(name) => return self.keep(report.message_sid, name, now_ms).await,
        };
        let nonce = nonce()?;
        let country = report.country.map_or_else(|| "none".to_owned(), |country| country.to_string());
        let mut write = self
            .items
            .write(&format!("delivery#{}", report.message_sid))
            .only_if("attribute_not_exists(reached) OR reached < :reached")
            .name("#status", "status")
            .name("#at", "at")
            .number(":reached", status.rank())
            .text(":status", status.as_str())
            .value(":report", nonce.clone())
            .number(":at", now_ms)
            .text(":country", &country)
            .number(":exp", (now_ms + MEMORY_MS) / 1000);
        let mut set = "SET reached = :reached, #status = :status, report = :report, #at = :at, country = :country, \
                       expires_at = :exp"
            .to_owned();
        if let Some(code) = report.error_code {
            write = write.number(":code", code.into());
            set.push_str(", error_code = :code");
        }
        match self.items.update(write.plain_update(set)).await? {
            Updated::Done(_) => Ok(true),
            // Our own update, whose reply was lost and which the SDK sent again, has this nonce.
            Updated::Refused(item) => Ok(item.get("report") == Some(&nonce)),
        }
    }

    /// Keeps a status that is not known, next to the one that its message has reached. Nothing is counted.
    async fn keep(&self, message_sid: &str, status: &str, now_ms: u64) -> Result<bool, StoreError> {
        let write = self
            .items
            .write(&format!("delivery#{message_sid}"))
            .text(":status", status)
            .number(":at", now_ms)
            .number(":exp", (now_ms + MEMORY_MS) / 1000)
            .plain_update("SET other_status = :status, other_at = :at, expires_at = :exp".to_owned());
        self.items.update(write).await?;
        Ok(false)
    }
}
