//! A message as Twilio keeps it, and its life from taken to delivered.

use crate::errors::{self, MEDIA_TOO_LARGE};
use crate::limits::API_VERSION;
use crate::media::Media;
use crate::sid::random_sid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::twilio::segments::Segments;
use std::time::Duration;

/// Which way a message went, and who started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A phone texted one of our numbers.
    Inbound,
    /// The API was called.
    OutboundApi,
    /// The answer to an inbound message.
    OutboundReply,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// A Messaging Service has it and has yet to choose a sender.
    Accepted,
    /// It waits to be sent.
    Queued,
    /// The carrier has it.
    Sent,
    /// The phone has it.
    Delivered,
    /// The carrier reports that the phone did not get it.
    Undelivered,
    /// It could not be sent.
    Failed,
    /// A phone sent it to us.
    Received,
}

impl DeliveryState {
    /// Twilio's word for it.
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

    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.step() == Self::Delivered.step()
    }

    /// How many states come before it.
    const fn step(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Received => 3,
        }
    }
}

/// What will become of a message that we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryPlan {
    /// When it is sent, counted from its being taken.
    pub(crate) sent_after_ms: u64,
    /// When the phone has it, or the carrier gives up, counted from its being taken.
    pub(crate) delivered_after_ms: u64,
    /// Why it fails; `None` if it doesn't.
    pub(crate) error_code: Option<u32>,
}

impl DeliveryPlan {
    /// The states that are still to come, and when, counted from its being taken.
    pub(crate) fn after(self, status: DeliveryState) -> Vec<(Duration, DeliveryState, Option<u32>)> {
        let (sent, delivered) =
            (Duration::from_millis(self.sent_after_ms), Duration::from_millis(self.delivered_after_ms));
        let end = match self.error_code {
            // What has not left Twilio has failed: https://www.twilio.com/docs/messaging/api/message-resource
            // "queue overflows, account suspensions and media errors". Of all else the carrier reports.
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

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `SM…`, or `MM…` with media.
    pub sid: String,
    /// The account's.
    pub account_sid: String,
    /// Which way it went.
    pub direction: Direction,
    /// The sender; none while a Messaging Service has yet to choose one.
    pub from: Option<String>,
    /// The recipient.
    pub to: String,
    /// The text, empty for media alone.
    pub body: String,
    /// The Messaging Service that it went through.
    pub messaging_service_sid: Option<String>,
    /// What it carries beside the text.
    pub media: Vec<Media>,
    /// How far it has come.
    pub status: DeliveryState,
    /// Why it was not delivered.
    pub error_code: Option<u32>,
    /// The parameters of the request, for those that Twilio never shows again: `ValidityPeriod`, `RiskCheck`, …
    pub parameters: Vec<(String, String)>,
    /// Whether Twilio itself says it, in answer to STOP and the like: the phone gets it, the account's log doesn't show it.
    pub by_twilio: bool,
    pub(crate) segments: usize,
    pub(crate) created: Timestamp,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) updated: Timestamp,
    #[serde(rename = "fate")]
    pub(crate) plan: DeliveryPlan,
    /// The last state that whoever asked for it was told of; of an inbound message, whether anybody was.
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
        Self {
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
            // None is known before there is a sender.
            segments: from.map_or(0, |_| Segments::of(body).count),
            created: now,
            sent: (status == DeliveryState::Received).then_some(now),
            updated: now,
            plan: DeliveryPlan::default(),
            last_notified: None,
        }
    }

    /// It is taken only now.
    pub(crate) fn date(&mut self, now: Timestamp) {
        (self.created, self.updated) = (now, now);
        self.sent = self.sent.map(|_| now);
    }

    /// The message as it was in each state that its status callback has yet to hear of.
    pub(crate) fn pending_notifications(&self) -> Vec<Self> {
        if self.status_callback().is_none() {
            return Vec::new();
        }
        let passed = |status: DeliveryState| status.step() < self.status.step();
        let queued = Some(DeliveryState::Queued).filter(|status| passed(*status));
        // One that failed was never sent.
        let sent = Some(DeliveryState::Sent).filter(|status| passed(*status) && self.sent.is_some());
        // Nobody hears of what is merely accepted.
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
            self.segments = self.segments.min(1);
        }
        self.media = media;
        self
    }

    /// The number that is not ours.
    #[must_use]
    pub fn phone(&self) -> &str {
        match self.direction {
            Direction::Inbound => self.from.as_deref().unwrap_or_default(),
            Direction::OutboundApi | Direction::OutboundReply => &self.to,
        }
    }

    /// When it was taken.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How many SMS it is billed as; none is known before there is a sender.
    #[must_use]
    pub fn num_segments(&self) -> usize {
        self.segments
    }

    /// The URL that is told how far it has come.
    #[must_use]
    pub fn status_callback(&self) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, value)| name == "StatusCallback" && !value.is_empty())
            .map(|(_, url)| &**url)
    }

    /// A Messaging Service chooses the sender.
    pub(crate) fn choose(&mut self, sender: &str) {
        self.from = Some(sender.to_owned());
        self.segments = if self.media.is_empty() { Segments::of(&self.body).count } else { 1 };
    }

    /// Its path in the API, without an extension.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{API_VERSION}/Accounts/{}/Messages/{}", self.account_sid, self.sid)
    }

    /// The resource, as the API answers it.
    #[must_use]
    pub fn resource(&self) -> Value {
        let path = self.path();
        json!({
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": rfc2822(self.created),
            // What is queued has not been sent.
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
            // The price depends on the sender, and so does its currency.
            "price_unit": self.from.as_ref().map(|_| "USD"),
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": { "media": format!("{path}/Media.json") },
            "to": self.to,
            "uri": format!("{path}.json"),
        })
    }
}

/// A time as the API writes it.
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
            // The 77th euro sign would be torn in two.
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
