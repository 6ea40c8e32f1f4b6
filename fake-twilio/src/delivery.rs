//! The life of a message that we send, and who is told of it.
//!
//! The one idea: two tracks. A message goes through its states by the clock, whatever its listener does; the listener is told of
//! them one after the other, however long it takes over each. Both tracks are written down, so that both go on after a restart:
//! what was being told then is told again, for better twice than never.

use crate::exchanges::{Between, Outcome, Telling};
use crate::faults::{Kind, Place};
use crate::limits::API_VERSION;
use crate::loopback::is_here;
use crate::message::{Fate, Message, Status};
use crate::parameters::as_object;
use crate::store::ledger::Entry;
use crate::twilio::{FakeTwilio, WeakTwilio};
use crate::webhook::Call;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

impl FakeTwilio {
    /// Delivers the messages that were under way when the process ended, and makes the status callbacks that are still due. It
    /// must be called in a Tokio runtime.
    pub fn resume_deliveries(&self) {
        for message in self.messages() {
            self.deliver(message);
        }
    }

    /// What becomes of a message to this phone: as a rule it is delivered, at the usual pace. With it, the fault that decides
    /// otherwise.
    pub(crate) fn decide(&self, phone: &str) -> (Fate, Option<Kind>) {
        let pace = self.pace();
        let in_ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut fate = Fate {
            sent_after_ms: in_ms(pace.sent_after),
            delivered_after_ms: in_ms(pace.delivered_after),
            error_code: None,
        };
        let fault = self.faults().take(Place::Delivery, Some(phone));
        match fault {
            Some(Kind::LateDelivery { seconds }) => fate.delivered_after_ms = u64::from(seconds) * 1000,
            Some(Kind::TwilioError { code }) => fate.error_code = Some(code),
            _ => {}
        }
        (fate, fault)
    }

    /// Lets a message live on from the state that it has. What its listener has yet to hear is told first.
    pub(crate) fn deliver(&self, message: Message) {
        let untold = message.untold();
        if message.status.is_final() && untold.is_empty() {
            return;
        }
        self.spawn(move |twilio| async move {
            let (told, due) = unbounded_channel();
            for state in untold {
                let _ = told.send(state);
            }
            tokio::join!(live(twilio.clone(), message, told), tell(twilio, due));
        });
    }
}

/// Goes through the states that are still to come.
async fn live(twilio: WeakTwilio, message: Message, told: UnboundedSender<Message>) {
    for (after, status, error_code) in message.fate.after(message.status) {
        let due = message.created.checked_add(after).unwrap_or(Timestamp::MAX);
        let Some(twilio) = until(&twilio, &message.sid, due).await else { return };
        // The Messaging Service chooses its first sender. https://www.twilio.com/docs/messaging/services
        let sender = || twilio.account().numbers.into_iter().next();
        let from = if message.from.is_none() && status == Status::Queued { sender() } else { None };
        let changed = Entry::Changed { sid: message.sid.clone(), status, error_code, from, at: twilio.now() };
        // A message that was deleted has no further states.
        let Some(message) = twilio.change(changed) else { return };
        let _ = told.send(message);
    }
}

/// Waits until the clock of the system says so, which may be moved ahead meanwhile. In vain if the message is forgotten.
async fn until(twilio: &WeakTwilio, sid: &str, due: Timestamp) -> Option<FakeTwilio> {
    let mut stirred = twilio.upgrade()?.stirred().subscribe();
    loop {
        let awake = twilio.upgrade().filter(|twilio| twilio.has(sid))?;
        let wait = Duration::try_from(due.duration_since(awake.now())).unwrap_or_default();
        drop(awake);
        if tokio::time::timeout(wait, stirred.changed()).await.is_err() {
            return twilio.upgrade();
        }
    }
}

/// Tells the message's status callback of one state after the other.
async fn tell(twilio: WeakTwilio, mut due: UnboundedReceiver<Message>) {
    while let Some(message) = due.recv().await {
        let Some(url) = message.status_callback() else { continue };
        let Some(strong) = twilio.upgrade().filter(|twilio| twilio.has(&message.sid)) else { return };
        if !is_here(url) {
            strong.tell_outside(&message, url);
            strong.told(&message);
            continue;
        }
        let fault = strong.faults().take(Place::Webhook, Some(&message.to));
        if fault != Some(Kind::OutOfOrderWebhook) {
            strong.call_back(&message, url, fault).await;
            strong.told(&message);
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
            twilio.told(last);
        }
    }
}

impl FakeTwilio {
    /// Writes down that whoever asked to hear of a message has heard of the state that it has.
    pub(crate) fn told(&self, message: &Message) {
        self.change(Entry::Told { sid: message.sid.clone(), status: message.status });
    }

    async fn call_back(&self, message: &Message, url: &str, fault: Option<Kind>) {
        let mut call = Call::new(Method::POST, url.to_owned(), callback_parameters(message));
        call.forged = fault == Some(Kind::ForgedSignature);
        for _ in 0..if fault == Some(Kind::DuplicateWebhook) { 2 } else { 1 } {
            let answer = self.call(&call).await;
            let (what, outcome, response) = match &answer {
                Ok(answer) if answer.is_success() => (answer.status.to_string(), Outcome::Ok, answer.told()),
                Ok(answer) => (format!("{}, code 11200", answer.status), answer.outcome(), answer.told()),
                Err(error) => (error.to_string(), Outcome::Failed, Value::Null),
            };
            self.tell_callback(message, &call, &(what + &call.hint()), outcome, response, fault);
        }
    }

    /// Nothing leaves this machine.
    fn tell_outside(&self, message: &Message, url: &str) {
        let call = Call::new(Method::POST, url.to_owned(), callback_parameters(message));
        let what = format!("not called: {url} is outside this machine");
        self.tell_callback(message, &call, &what, Outcome::Refused, Value::Null, None);
    }

    fn tell_callback(
        &self,
        message: &Message,
        call: &Call,
        what: &str,
        outcome: Outcome,
        response: Value,
        fault: Option<Kind>,
    ) {
        self.feed().happened(Telling {
            between: Between::StatusCallback,
            title: &call.title(),
            summary: format!("{} → {what}", message.status.as_str()),
            outcome,
            number: Some(message.phone().to_owned()),
            request: as_object(call.parameters.iter().map(|(name, value)| (&**name, &**value))),
            response,
            fault: fault.map(Kind::as_str),
        });
    }

    /// Tells that a message of ours was not sent at all, and why.
    pub(crate) fn tell_unsent(&self, phone: &str, body: &str, summary: String) {
        self.feed().happened(Telling {
            between: Between::Twilio,
            title: "<Message>",
            summary,
            outcome: Outcome::Refused,
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
    // The carrier's report is passed on, with the time that stands in it.
    if matches!(message.status, Status::Delivered | Status::Undelivered) {
        parameters.push(("RawDlrDoneDate", message.updated.strftime("%y%m%d%H%M").to_string()));
    }
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
