//! The fake Twilio: its account, messages and numbers, and the background tasks.

use crate::account::TwilioAccount;
use crate::config::{DeliveryTiming, TwilioConfig};
use crate::exchanges::{Event, Exchanges};
use crate::faults::Faults;
use crate::limits::{TIMEOUTS, TwilioTimeouts};
use crate::message::Message;
use crate::number::IncomingNumber;
use crate::store::Store;
use crate::store::ledger::{Entry, Ledger};
use jiff::Timestamp;
use shared::runtime::clock::Clock;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// A fake Twilio with one account. Clones share their state.
#[derive(Clone)]
pub struct FakeTwilio(pub(crate) Arc<Inner>);

/// Does not keep the fake alive.
#[derive(Clone)]
pub(crate) struct WeakTwilio(Weak<Inner>);

impl WeakTwilio {
    pub(crate) fn upgrade(&self) -> Option<FakeTwilio> {
        self.0.upgrade().map(FakeTwilio)
    }
}

pub(crate) struct Inner {
    pub(crate) clock: Clock,
    http: reqwest::Client,
    exchanges: Exchanges,
    faults: Faults,
    timing: DeliveryTiming,
    timeouts: TwilioTimeouts,
    api_url: String,
    sms_url: String,
    started: Timestamp,
    store: Mutex<Store>,
    /// The phones whose text a webhook has answered.
    answered: broadcast::Sender<String>,
    /// The clock was moved or messages were deleted: waiting tasks recompute their wait.
    wake: watch::Sender<()>,
    /// The tasks of messages under way; none after [`FakeTwilio::end`].
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl FakeTwilio {
    /// A fake with this account, and the past of the journal. Nothing happens in the background yet: call
    /// [`FakeTwilio::resume_deliveries`] and [`FakeTwilio::resume_inbound`] for what the last process left unfinished.
    #[must_use]
    pub fn new(account: TwilioAccount, config: TwilioConfig) -> Self {
        Self::with_timeouts(account, config, TIMEOUTS)
    }

    pub(crate) fn with_timeouts(account: TwilioAccount, config: TwilioConfig, timeouts: TwilioTimeouts) -> Self {
        let TwilioConfig { clock, http, exchanges, faults, timing, journal, past, api_url, sms_url } = config;
        let ledger = Ledger::of(past);
        let started = timestamp(&clock);
        Self(Arc::new(Inner {
            clock,
            http,
            exchanges,
            faults,
            timing,
            timeouts,
            api_url,
            sms_url,
            started,
            store: Mutex::new(Store { account, ledger, journal }),
            answered: broadcast::Sender::new(64),
            wake: watch::Sender::default(),
            tasks: Mutex::new(Some(JoinSet::new())),
        }))
    }

    /// All messages, newest last.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.store().ledger.all().cloned().collect()
    }

    /// The messages from and to this phone, newest last.
    #[must_use]
    pub fn messages_of(&self, phone: &str) -> Vec<Message> {
        self.store().ledger.of_phone(phone).cloned().collect()
    }

    /// The message with this SID.
    #[must_use]
    pub fn message(&self, sid: &str) -> Option<Message> {
        self.store().ledger.get(sid).cloned()
    }

    /// Deletes the messages and the opt-out of a phone, and ends its deliveries; without a number, those of all phones
    /// and the settings of the account's numbers.
    pub fn forget(&self, number: Option<&str>) {
        self.change(Entry::Forgotten { number: number.map(str::to_owned) });
        self.0.wake.send_replace(());
    }

    /// The account as it is now.
    #[must_use]
    pub fn account(&self) -> TwilioAccount {
        self.store().account.clone()
    }

    /// Rotates the auth token: the old one stops authenticating and signing at once.
    pub fn set_auth_token(&self, auth_token: String) {
        self.store().account.auth_token = auth_token;
    }

    /// Rotates the API key's secret: the old one stops authenticating at once.
    pub fn set_api_key_secret(&self, secret: String) {
        self.store().account.api_key_secret = secret;
    }

    /// Call this after moving the clock: stores how far it is ahead, for [`clock_ahead_ms`](crate::clock_ahead_ms), and
    /// delivers what is due.
    pub fn remember_clock(&self, clock_ahead_ms: u64) {
        self.change(Entry::Clock { clock_ahead_ms });
        self.0.wake.send_replace(());
    }

    /// Ends all background tasks and closes the journal, so that another process can open it.
    pub fn end(&self) {
        drop(self.tasks().take());
        drop(self.store().journal.take());
    }

    /// Applies, stores and publishes a change. Returns the message concerned, if it exists.
    pub(crate) fn change(&self, entry: Entry) -> Option<Message> {
        self.change_in(&mut self.store(), entry)
    }

    /// Publishes under the store's lock, so that events are in the order of the changes.
    pub(crate) fn change_in(&self, store: &mut Store, entry: Entry) -> Option<Message> {
        let Store { ledger, journal, .. } = store;
        if let Some(journal) = journal {
            journal.append(&entry);
        }
        match &entry {
            Entry::Forgotten { number } => self.0.exchanges.publish(Event::Forgotten(number.clone())),
            Entry::Deleted { sid } => {
                if let Some(number) = ledger.get(sid).map(|message| message.phone().to_owned()) {
                    self.0.exchanges.publish(Event::Deleted { number, sid: sid.clone() });
                }
            }
            _ => {}
        }
        let changed = ledger.apply(entry).cloned();
        if let Some(message) = &changed {
            self.0.exchanges.publish(Event::Message(Box::new(message.clone())));
        }
        changed
    }

    /// Dates and stores a new message.
    pub(crate) fn add_message(&self, mut message: Message) -> Message {
        let mut store = self.store();
        message.date(store.ledger.date(message.phone(), self.now()));
        self.change_in(&mut store, Entry::Created(Box::new(message.clone()))).unwrap_or(message)
    }

    /// Whether a message exists.
    pub(crate) fn has_message(&self, sid: &str) -> bool {
        self.store().ledger.get(sid).is_some()
    }

    /// The message, if the account's log shows it.
    pub(crate) fn listed(&self, sid: &str) -> Option<Message> {
        self.message(sid).filter(|message| !message.by_twilio)
    }

    /// The account's numbers, as they are configured now.
    #[must_use]
    pub fn numbers(&self) -> Vec<IncomingNumber> {
        let Inner { sms_url, started, .. } = &*self.0;
        let store = self.store();
        let account = &store.account;
        let number = |number: &String| {
            IncomingNumber::new(&account.account_sid, number, sms_url, store.ledger.setup(number), *started)
        };
        account.numbers.iter().map(number).collect()
    }

    pub(crate) fn has_opted_out<'a>(&self, ours: impl Into<Option<&'a str>>, phone: &str) -> bool {
        self.store().ledger.has_opted_out(ours.into(), phone)
    }

    /// Where the API is served.
    pub(crate) fn api_url(&self) -> &str {
        &self.0.api_url
    }

    pub(crate) fn now(&self) -> Timestamp {
        timestamp(&self.0.clock)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn exchanges(&self) -> &Exchanges {
        &self.0.exchanges
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn timing(&self) -> DeliveryTiming {
        self.0.timing
    }

    pub(crate) fn timeouts(&self) -> TwilioTimeouts {
        self.0.timeouts
    }

    pub(crate) fn wake(&self) -> &watch::Sender<()> {
        &self.0.wake
    }

    pub(crate) fn answered(&self) -> &broadcast::Sender<String> {
        &self.0.answered
    }

    /// Starts a background task, which ends with Twilio. It must not keep Twilio alive for long.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(WeakTwilio) -> F) {
        let mut tasks = self.tasks();
        let Some(tasks) = &mut *tasks else { return };
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task(WeakTwilio(Arc::downgrade(&self.0))));
    }

    /// A panic can't leave the store half written, so poisoning is ignored.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeTwilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTwilio").field("account_sid", &self.store().account.account_sid).finish_non_exhaustive()
    }
}

fn timestamp(clock: &Clock) -> Timestamp {
    let now_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX)
}
