//! The delivery of outbound messages, on two independent tracks: a message moves through its states by the clock, and
//! its status callback is called for each state, one after the other, however slow it is. Both tracks are stored, so
//! both continue after a restart. A callback interrupted by the restart is repeated.

use crate::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use crate::faults::{FaultPoint, Kind};
use crate::limits::API_VERSION;
use crate::loopback::is_loopback;
use crate::message::{DeliveryPlan, DeliveryState, Message};
use crate::parameters::as_object;
use crate::store::ledger::Entry;
use crate::twilio::{FakeTwilio, WeakTwilio};
use crate::webhook::WebhookRequest;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

impl FakeTwilio {
    /// Continues deliveries that were under way when the process ended, and makes the status callbacks still due. Needs
    /// a Tokio runtime.
    pub fn resume_deliveries(&self) {
        for message in self.messages() {
            self.deliver(message);
        }
    }

    /// Decides how a message to this phone is delivered: normally, unless a fault applies, which is returned too.
    pub(crate) fn plan_delivery(&self, phone: &str) -> (DeliveryPlan, Option<Kind>) {
        let timing = self.timing();
        let in_ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut plan = DeliveryPlan {
            sent_after_ms: in_ms(timing.sent_after),
            delivered_after_ms: in_ms(timing.delivered_after),
            error_code: None,
        };
        let fault = self.faults().take(FaultPoint::Delivery, Some(phone));
        match fault {
            Some(Kind::LateDelivery { seconds }) => plan.delivered_after_ms = u64::from(seconds) * 1000,
            Some(Kind::TwilioError { code }) => plan.error_code = Some(code),
            _ => {}
        }
        (plan, fault)
    }

    /// Continues a message from its state. Status callbacks still due come first.
    pub(crate) fn deliver(&self, message: Message) {
        let pending = message.pending_notifications();
        if message.status.is_final() && pending.is_empty() {
            return;
        }
        self.spawn(move |twilio| async move {
            let (states, due) = unbounded_channel();
            for state in pending {
                let _ = states.send(state);
            }
            tokio::join!(progress(twilio.clone(), message, states), notify(twilio, due));
        });
    }
}

/// Moves a message through the remaining states.
async fn progress(twilio: WeakTwilio, message: Message, states: UnboundedSender<Message>) {
    for (after, status, error_code) in message.plan.after(message.status) {
        let due = message.created.checked_add(after).unwrap_or(Timestamp::MAX);
        let Some(twilio) = until(&twilio, &message.sid, due).await else { return };
        // The Messaging Service chooses its first sender. https://www.twilio.com/docs/messaging/services
        let sender = || twilio.account().numbers.into_iter().next();
        let from = if message.from.is_none() && status == DeliveryState::Queued { sender() } else { None };
        let changed = Entry::Changed { sid: message.sid.clone(), status, error_code, from, at: twilio.now() };
        // A deleted message has no further states.
        let Some(message) = twilio.change(changed) else { return };
        let _ = states.send(message);
    }
}

/// Waits for a time of the clock, which may be moved ahead meanwhile. Returns nothing if the message is deleted first.
async fn until(twilio: &WeakTwilio, sid: &str, due: Timestamp) -> Option<FakeTwilio> {
    let mut wake = twilio.upgrade()?.wake().subscribe();
    loop {
        let awake = twilio.upgrade().filter(|twilio| twilio.has_message(sid))?;
        let wait = Duration::try_from(due.duration_since(awake.now())).unwrap_or_default();
        drop(awake);
        if tokio::time::timeout(wait, wake.changed()).await.is_err() {
            return twilio.upgrade();
        }
    }
}

/// Calls the message's status callback for one state after the other.
async fn notify(twilio: WeakTwilio, mut due: UnboundedReceiver<Message>) {
    while let Some(message) = due.recv().await {
        let Some(url) = message.status_callback() else { continue };
        let Some(strong) = twilio.upgrade().filter(|twilio| twilio.has_message(&message.sid)) else { return };
        if !is_loopback(url) {
            strong.record_not_called(&message, url);
            strong.mark_notified(&message);
            continue;
        }
        let fault = strong.faults().take(FaultPoint::Webhook, Some(&message.to));
        if fault != Some(Kind::OutOfOrderWebhook) {
            strong.call_back(&message, url, fault).await;
            strong.mark_notified(&message);
            continue;
        }
        drop(strong);
        let mut all = vec![message];
        while let Some(message) = due.recv().await {
            all.push(message);
        }
        for message in all.iter().rev() {
            let (Some(twilio), Some(url)) = (twilio.upgrade(), message.status_callback()) else { return };
            twilio.call_back(message, url, fault).await;
        }
        if let (Some(twilio), Some(last)) = (twilio.upgrade(), all.last()) {
            twilio.mark_notified(last);
        }
    }
}

impl FakeTwilio {
    /// Stores that this state of the message has been reported.
    pub(crate) fn mark_notified(&self, message: &Message) {
        self.change(Entry::Notified { sid: message.sid.clone(), status: message.status });
    }

    async fn call_back(&self, message: &Message, url: &str, fault: Option<Kind>) {
        let mut call = WebhookRequest::new(Method::POST, url.to_owned(), callback_parameters(message));
        call.forged = fault == Some(Kind::ForgedSignature);
        for _ in 0..if fault == Some(Kind::DuplicateWebhook) { 2 } else { 1 } {
            let answer = self.call(&call).await;
            let (what, outcome, response) = match &answer {
                Ok(answer) => {
                    let failure = answer.failure.as_ref().map_or(String::new(), |failure| format!(", {failure}"));
                    (answer.summary() + &failure, answer.outcome(), answer.to_json())
                }
                Err(error) => (error.to_string(), ExchangeOutcome::Failed, Value::Null),
            };
            self.record_callback(message, &call, &(what + &call.hint()), outcome, response, fault);
        }
    }

    /// Records a callback that is not made because the URL is not on this machine.
    fn record_not_called(&self, message: &Message, url: &str) {
        let call = WebhookRequest::new(Method::POST, url.to_owned(), callback_parameters(message));
        let what = format!("not called, since {url} is not on this machine");
        self.record_callback(message, &call, &what, ExchangeOutcome::Refused, Value::Null, None);
    }

    fn record_callback(
        &self,
        message: &Message,
        call: &WebhookRequest,
        what: &str,
        outcome: ExchangeOutcome,
        response: Value,
        fault: Option<Kind>,
    ) {
        self.exchanges().record(NewExchange {
            kind: ExchangeKind::StatusCallback,
            title: &call.title(),
            summary: format!("{} → {what}", message.status.as_str()),
            outcome,
            number: Some(message.phone().to_owned()),
            request: as_object(call.parameters.iter().map(|(name, value)| (&**name, &**value))),
            response,
            fault: fault.map(Kind::as_str),
        });
    }

    /// Records that a reply was not sent, and why.
    pub(crate) fn record_unsent(&self, phone: &str, body: &str, summary: String) {
        self.exchanges().record(NewExchange {
            kind: ExchangeKind::Twilio,
            title: "<Message>",
            summary,
            outcome: ExchangeOutcome::Refused,
            number: Some(phone.to_owned()),
            request: json!({ "To": phone, "Body": body }),
            response: Value::Null,
            fault: None,
        });
    }
}

/// <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>
fn callback_parameters(message: &Message) -> Vec<(String, String)> {
    let status = message.status.as_str();
    let mut parameters = vec![
        ("AccountSid", message.account_sid.clone()),
        ("ApiVersion", API_VERSION.to_owned()),
        ("From", message.from.clone().unwrap_or_default()),
        ("MessageSid", message.sid.clone()),
        ("MessageStatus", status.to_owned()),
        ("SmsSid", message.sid.clone()),
        ("SmsStatus", status.to_owned()),
        ("To", message.to.clone()),
    ];
    parameters.extend(message.error_code.map(|code| ("ErrorCode", code.to_string())));
    parameters.extend(message.messaging_service_sid.clone().map(|sid| ("MessagingServiceSid", sid)));
    // The carrier's report includes its time.
    if matches!(message.status, DeliveryState::Delivered | DeliveryState::Undelivered) {
        parameters.push(("RawDlrDoneDate", message.updated.strftime("%y%m%d%H%M").to_string()));
    }
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
