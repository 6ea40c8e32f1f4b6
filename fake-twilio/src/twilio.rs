//! The fake Twilio: one account, its messages and numbers, and what happens to them.

use crate::account::Account;
use crate::config::{Pace, World};
use crate::exchanges::{Event, Feed};
use crate::faults::Faults;
use crate::limits::{LIMITS, Limits};
use crate::message::Message;
use crate::number::OurNumber;
use crate::store::Books;
use crate::store::ledger::{Entry, Ledger};
use jiff::Timestamp;
use reqwest::Url;
use shared::runtime::clock::Clock;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// Twilio with one account. Clones are the same one.
#[derive(Clone)]
pub struct FakeTwilio(pub(crate) Arc<Inner>);

/// Does not keep it alive.
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
    feed: Feed,
    faults: Faults,
    pace: Pace,
    limits: Limits,
    sms_url: String,
    started: Timestamp,
    books: Mutex<Books>,
    /// The phones whose message a webhook has answered.
    answered: broadcast::Sender<String>,
    /// The clock was moved, or something was forgotten: whoever waits looks again for how long.
    stirred: watch::Sender<()>,
    /// The lives of the messages that are under way; none any more after the end.
    lives: Mutex<Option<JoinSet<()>>>,
}

impl FakeTwilio {
    /// A Twilio that knows this account and what happened before. Messages that were under way go on, for which it must be
    /// called in a Tokio runtime; what phones texted waits for [`FakeTwilio::resume_inbound`].
    #[must_use]
    pub fn new(account: Account, world: World) -> Self {
        Self::with_limits(account, world, LIMITS)
    }

    pub(crate) fn with_limits(account: Account, world: World, limits: Limits) -> Self {
        let World { clock, http, feed, faults, pace, journal, past, sms_url } = world;
        let ledger = Ledger::of(past);
        let started = timestamp(&clock);
        Self(Arc::new(Inner {
            clock,
            http,
            feed,
            faults,
            pace,
            limits,
            sms_url,
            started,
            books: Mutex::new(Books { account, ledger, journal }),
            answered: broadcast::Sender::new(64),
            stirred: watch::Sender::default(),
            lives: Mutex::new(Some(JoinSet::new())),
        }))
    }

    /// Every message, the newest last.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.books().ledger.all().cloned().collect()
    }

    /// The messages from and to this phone, the newest last.
    #[must_use]
    pub fn messages_of(&self, phone: &str) -> Vec<Message> {
        self.books().ledger.of_phone(phone).cloned().collect()
    }

    /// One message.
    #[must_use]
    pub fn message(&self, sid: &str) -> Option<Message> {
        self.books().ledger.get(sid).cloned()
    }

    /// Forgets the messages and the opt-out of a phone, and ends what is under way with it; without a number, those of all, and how
    /// our numbers were set up.
    pub fn forget(&self, number: Option<&str>) {
        self.change(Entry::Forgotten { number: number.map(str::to_owned) });
        self.0.stirred.send_replace(());
    }

    /// The account as it is now.
    #[must_use]
    pub fn account(&self) -> Account {
        self.books().account.clone()
    }

    /// Rotates the auth token: from now on the old one opens nothing, and signs nothing.
    pub fn set_auth_token(&self, auth_token: String) {
        self.books().account.auth_token = auth_token;
    }

    /// Rotates the API key's secret: from now on the old one opens nothing.
    pub fn set_api_key_secret(&self, secret: String) {
        self.books().account.api_key_secret = secret;
    }

    /// The clock was moved: writes down how far it is ahead of the machine's, for [`clock_ahead_ms`], and delivers what is due.
    pub fn remember_clock(&self, clock_ahead_ms: u64) {
        self.change(Entry::Clock { clock_ahead_ms });
        self.0.stirred.send_replace(());
    }

    /// Ends everything that goes on by itself, and closes the journal, so that another one can open it.
    pub fn end(&self) {
        drop(self.lives().take());
        drop(self.books().journal.take());
    }

    /// Makes a change, writes it down and tells of it; the message that it was about, if it is still there.
    pub(crate) fn change(&self, entry: Entry) -> Option<Message> {
        self.change_in(&mut self.books(), entry)
    }

    /// What is told is told before anybody else can change something, so that the order is right.
    pub(crate) fn change_in(&self, books: &mut Books, entry: Entry) -> Option<Message> {
        let Books { ledger, journal, .. } = books;
        if let Some(journal) = journal {
            journal.append(&entry);
        }
        match &entry {
            Entry::Forgotten { number } => self.0.feed.tell(Event::Forgotten(number.clone())),
            Entry::Deleted { sid } => {
                if let Some(number) = ledger.get(sid).map(|message| message.phone().to_owned()) {
                    self.0.feed.tell(Event::Deleted { number, sid: sid.clone() });
                }
            }
            _ => {}
        }
        let changed = ledger.apply(entry).cloned();
        if let Some(message) = &changed {
            self.0.feed.tell(Event::Message(Box::new(message.clone())));
        }
        changed
    }

    /// Takes a message, and dates it: as it is now.
    pub(crate) fn take(&self, mut message: Message) -> Message {
        let mut books = self.books();
        message.date(books.ledger.date(message.phone(), self.now()));
        self.change_in(&mut books, Entry::Taken(Box::new(message.clone()))).unwrap_or(message)
    }

    /// Whether a message has not been forgotten.
    pub(crate) fn has(&self, sid: &str) -> bool {
        self.books().ledger.get(sid).is_some()
    }

    /// A message that the account's log shows.
    pub(crate) fn listed(&self, sid: &str) -> Option<Message> {
        self.message(sid).filter(|message| !message.by_twilio)
    }

    /// Our numbers, as they are set up now.
    #[must_use]
    pub fn numbers(&self) -> Vec<OurNumber> {
        let Inner { sms_url, started, .. } = &*self.0;
        let books = self.books();
        let account = &books.account;
        let number = |number: &String| {
            OurNumber::new(&account.account_sid, number, sms_url, books.ledger.setup(number), *started)
        };
        account.numbers.iter().map(number).collect()
    }

    pub(crate) fn has_opted_out<'a>(&self, ours: impl Into<Option<&'a str>>, phone: &str) -> bool {
        self.books().ledger.has_opted_out(ours.into(), phone)
    }

    /// Where the API is, for URLs that lead to it.
    pub(crate) fn origin(&self) -> String {
        Url::parse(&self.0.sms_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    pub(crate) fn now(&self) -> Timestamp {
        timestamp(&self.0.clock)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.0.feed
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn pace(&self) -> Pace {
        self.0.pace
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn stirred(&self) -> &watch::Sender<()> {
        &self.0.stirred
    }

    pub(crate) fn answered(&self) -> &broadcast::Sender<String> {
        &self.0.answered
    }

    /// Starts something that goes on by itself, until Twilio ends. It must not keep Twilio alive for long.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, life: impl FnOnce(WeakTwilio) -> F) {
        let mut lives = self.lives();
        let Some(lives) = &mut *lives else { return };
        while lives.try_join_next().is_some() {}
        lives.spawn(life(WeakTwilio(Arc::downgrade(&self.0))));
    }

    /// A panic elsewhere can't leave the books half written, so a poisoned lock is as good as another.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lives(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.0.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeTwilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTwilio").field("account_sid", &self.books().account.account_sid).finish_non_exhaustive()
    }
}

fn timestamp(clock: &Clock) -> Timestamp {
    let now_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX)
}
