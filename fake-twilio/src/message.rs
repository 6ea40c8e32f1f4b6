//! A message and its states.

use crate::errors::{self, MEDIA_TOO_LARGE};
use crate::limits::API_VERSION;
use crate::media::Media;
use crate::sid::random_sid;
use crate::smart_encoding;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::twilio::segments::Segments;
use std::borrow::Cow;
use std::time::Duration;

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a phone.
    Inbound,
    /// Created over the API.
    OutboundApi,
    /// A reply to an inbound message, by TwiML or by Twilio.
    OutboundReply,
}

/// The status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// A Messaging Service has yet to choose the sender.
    Accepted,
    /// Waiting to be sent.
    Queued,
    /// The carrier has it.
    Sent,
    /// The phone has it.
    Delivered,
    /// The carrier reports that the phone did not receive it.
    Undelivered,
    /// It could not be sent.
    Failed,
    /// A phone sent it.
    Received,
}

impl DeliveryState {
    /// Twilio's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Received => "received",
        }
    }

    /// Whether it is the last state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.step() == Self::Delivered.step()
    }

    /// How many states precede it.
    const fn step(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Received => 3,
        }
    }
}

/// How an outbound message will be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryPlan {
    /// From creation until it is sent.
    pub(crate) sent_after_ms: u64,
    /// From creation until the phone has it or the carrier gives up.
    pub(crate) delivered_after_ms: u64,
    /// The error it ends with, if any.
    pub(crate) error_code: Option<u32>,
}

impl DeliveryPlan {
    /// The remaining states, and when they are due after creation.
    pub(crate) fn after(self, status: DeliveryState) -> Vec<(Duration, DeliveryState, Option<u32>)> {
        let (sent, delivered) =
            (Duration::from_millis(self.sent_after_ms), Duration::from_millis(self.delivered_after_ms));
        let end = match self.error_code {
            // These fail before they leave Twilio: "queue overflows, account suspensions and media errors",
            // https://www.twilio.com/docs/messaging/api/message-resource. The carrier reports all others.
            code @ Some(30_001 | 30_002 | MEDIA_TOO_LARGE) => {
                let all = [(Duration::ZERO, DeliveryState::Queued, None), (sent, DeliveryState::Failed, code)];
                return all.into_iter().skip(status.step().into()).collect();
            }
            Some(code) => (delivered, DeliveryState::Undelivered, Some(code)),
            None => (delivered, DeliveryState::Delivered, None),
        };
        let all = [(Duration::ZERO, DeliveryState::Queued, None), (sent, DeliveryState::Sent, None), end];
        all.into_iter().skip(status.step().into()).collect()
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `SM…`, or `MM…` with media.
    pub sid: String,
    /// The account's SID.
    pub account_sid: String,
    /// Its direction.
    pub direction: Direction,
    /// The sender; none until a Messaging Service chooses one.
    pub from: Option<String>,
    /// The recipient.
    pub to: String,
    /// The text; empty for media alone.
    pub body: String,
    /// The Messaging Service it was sent through.
    pub messaging_service_sid: Option<String>,
    /// Its media.
    pub media: Vec<Media>,
    /// Its status.
    pub status: DeliveryState,
    /// The error that prevented delivery.
    pub error_code: Option<u32>,
    /// The parameters of the request, including those that Twilio never returns: `ValidityPeriod`, `RiskCheck`, …
    pub parameters: Vec<(String, String)>,
    /// Whether it is Twilio's own answer to a keyword, which the account's log doesn't show.
    pub by_twilio: bool,
    pub(crate) segments: usize,
    pub(crate) created: Timestamp,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) updated: Timestamp,
    #[serde(rename = "fate")]
    pub(crate) plan: DeliveryPlan,
    /// The last status reported to the status callback; for an inbound message, set once the webhook has been called.
    #[serde(default, rename = "told")]
    pub(crate) last_notified: Option<DeliveryState>,
}

impl Message {
    pub(crate) fn new(
        account_sid: &str,
        direction: Direction,
        from: Option<&str>,
        to: &str,
        body: &str,
        now: Timestamp,
    ) -> Self {
        let status = match (direction, from) {
            (Direction::Inbound, _) => DeliveryState::Received,
            (_, None) => DeliveryState::Accepted,
            (_, Some(_)) => DeliveryState::Queued,
        };
        let mut message = Self {
            sid: random_sid("SM"),
            account_sid: account_sid.to_owned(),
            direction,
            from: from.map(str::to_owned),
            to: to.to_owned(),
            body: body.to_owned(),
            messaging_service_sid: None,
            media: Vec::new(),
            status,
            error_code: None,
            parameters: Vec::new(),
            by_twilio: false,
            segments: 0,
            created: now,
            sent: (status == DeliveryState::Received).then_some(now),
            updated: now,
            plan: DeliveryPlan::default(),
            last_notified: None,
        };
        message.count_segments();
        message
    }

    /// The second of the epoch at which it was sent, as the API shows it. One that isn't sent yet counts as of its creation.
    pub(crate) fn sent_second(&self) -> i64 {
        self.sent.unwrap_or(self.created).as_second()
    }

    /// Dates the message.
    pub(crate) fn date(&mut self, now: Timestamp) {
        (self.created, self.updated) = (now, now);
        self.sent = self.sent.map(|_| now);
    }

    /// The message as it was in each state that the status callback has yet to receive.
    pub(crate) fn pending_notifications(&self) -> Vec<Self> {
        if self.status_callback().is_none() {
            return Vec::new();
        }
        let passed = |status: DeliveryState| status.step() < self.status.step();
        let queued = Some(DeliveryState::Queued).filter(|status| passed(*status));
        // A failed message was never sent.
        let sent = Some(DeliveryState::Sent).filter(|status| passed(*status) && self.sent.is_some());
        // Twilio doesn't report `accepted`.
        let now = Some(self.status).filter(|status| *status != DeliveryState::Accepted);
        let notified = self.last_notified.map_or(0, DeliveryState::step);
        let states = [queued, sent, now].into_iter().flatten().filter(|status| status.step() > notified);
        let as_it_was =
            |status| Self { status, error_code: self.error_code.filter(|_| status == self.status), ..self.clone() };
        states.map(as_it_was).collect()
    }

    pub(crate) fn with_media(mut self, media: Vec<Media>) -> Self {
        if !media.is_empty() {
            self.sid.replace_range(..2, "MM");
        }
        self.media = media;
        self.count_segments();
        self
    }

    /// With the parameters of its request.
    pub(crate) fn with_parameters(mut self, parameters: Vec<(String, String)>) -> Self {
        self.parameters = parameters;
        self.count_segments();
        self
    }

    /// Unknown until there is a sender. With media, also if they are deleted later, it is one message.
    fn count_segments(&mut self) {
        let count = if self.sid.starts_with("MM") { 1 } else { Segments::of(&self.text()).count };
        self.segments = self.from.as_ref().map_or(0, |_| count);
    }

    /// The phone's number.
    #[must_use]
    pub fn phone(&self) -> &str {
        match self.direction {
            Direction::Inbound => self.from.as_deref().unwrap_or_default(),
            Direction::OutboundApi | Direction::OutboundReply => &self.to,
        }
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How many SMS it is billed as; 0 until there is a sender.
    #[must_use]
    pub fn num_segments(&self) -> usize {
        self.segments
    }

    /// The text as the phone gets it: with `SmartEncoded`, characters outside GSM-7 are replaced by similar ones.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let is_smart = self.parameter("SmartEncoded").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_smart { smart_encoding::replaced(&self.body) } else { Cow::Borrowed(&self.body) }
    }

    /// The URL to report its status to.
    #[must_use]
    pub fn status_callback(&self) -> Option<&str> {
        self.parameter("StatusCallback")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let given = self.parameters.iter().find(|(key, value)| key == name && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// Sets the sender that a Messaging Service has chosen.
    pub(crate) fn choose(&mut self, sender: &str) {
        self.from = Some(sender.to_owned());
        self.count_segments();
    }

    /// Its path in the API, without an extension.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{API_VERSION}/Accounts/{}/Messages/{}", self.account_sid, self.sid)
    }

    /// The resource, as the API returns it.
    #[must_use]
    pub fn resource(&self) -> Value {
        let path = self.path();
        json!({
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": rfc2822(self.created),
            // A queued message has not been sent.
            "date_sent": self.sent.map(rfc2822),
            "date_updated": rfc2822(self.updated),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": self.error_code.and_then(errors::of_delivery),
            "from": self.from,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": self.media.len().to_string(),
            "num_segments": self.segments.to_string(),
            "price": null,
            // Price and currency depend on the sender.
            "price_unit": self.from.as_ref().map(|_| "USD"),
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": { "media": format!("{path}/Media.json") },
            "to": self.to,
            "uri": format!("{path}.json"),
        })
    }
}

/// A time in the API's format.
pub(crate) fn rfc2822(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_as_they_are_billed() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // The 77th euro sign would be split.
            ("€".repeat(153), 3),
            ("é".repeat(160), 1),
            ("`".repeat(70), 1),
            ("`".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            let message = Message::new("AC", Direction::OutboundApi, Some("+1"), "+2", &text, Timestamp::UNIX_EPOCH);
            assert_eq!(message.num_segments(), expected, "{text}");
        }
    }
}
