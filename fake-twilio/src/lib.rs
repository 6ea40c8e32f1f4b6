//! A stand-in for Twilio that does what Twilio does: it checks, sends, delivers, reports, and tells us what phones text.
//!
//! The one idea: an app with nothing but Twilio's base URL changed gets what it would get from Twilio. The refusals above all, so
//! that a request which passes here passes there (they stand in one table, in `errors`); and all that Twilio does by itself, with
//! the same parameters and the same signatures. Only the phones are not there, so they can be played.

#![deny(missing_docs)]

pub mod breakable;
mod checks;
mod delivery;
mod errors;
pub mod faults;
pub mod feed;
mod inbound;
pub mod journal;
mod keywords;
mod ledger;
mod media;
mod message;
mod numbers;
mod paging;
mod rest;
mod segments;
#[cfg(test)]
mod tests;
mod twiml;
mod webhook;

pub use inbound::{TextError, Texted, WebhookCall};
pub use ledger::{Entry, clock_ahead_ms};
pub use media::{Attachment, Media};
pub use message::{Direction, Message, Status};
pub use numbers::OurNumber;
pub use webhook::WebhookError;

use crate::faults::Faults;
use crate::feed::{Event, Feed};
use axum::Router;
use jiff::Timestamp;
use journal::Journal;
use ledger::Ledger;
use reqwest::Url;
use shared::runtime::clock::Clock;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

const API_VERSION: &str = "2010-04-01";
/// The longest text, in characters.
const MAX_BODY: usize = 1600;
/// How many media a message carries at most.
const MAX_MEDIA: usize = 10;

/// The account that the fake knows, with what it owns.
#[derive(Clone)]
pub struct Account {
    /// `AC…`, in every path and the user name beside the auth token.
    pub account_sid: String,
    /// The account's secret: authenticates calls, and signs webhooks.
    pub auth_token: String,
    /// `SK…`, the user name beside the API key's secret.
    pub api_key_sid: String,
    /// The API key's secret: authenticates calls, signs nothing.
    pub api_key_secret: String,
    /// The numbers that it may send from.
    pub numbers: Vec<String>,
    /// The `MG…` that it may send through. All numbers belong to the first.
    pub messaging_services: Vec<String>,
}

impl Account {
    fn authenticates(&self, user: &str, password: &str) -> bool {
        [(&self.account_sid, &self.auth_token), (&self.api_key_sid, &self.api_key_secret)]
            .into_iter()
            .any(|(sid, secret)| sid == user && secret == password)
    }
}

/// How fast a message is delivered, each counted from its being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// When the carrier has it.
    pub sent_after: Duration,
    /// When the phone has it.
    pub delivered_after: Duration,
}

impl Pace {
    /// No waiting; the states come in their order all the same.
    pub const AT_ONCE: Self = Self { sent_after: Duration::ZERO, delivered_after: Duration::ZERO };
}

impl Default for Pace {
    /// About as fast as in practice.
    fn default() -> Self {
        Self { sent_after: Duration::from_millis(300), delivered_after: Duration::from_millis(1200) }
    }
}

/// What a Twilio lives in.
pub struct World {
    /// Dates the messages.
    pub clock: Clock,
    /// Calls webhooks and fetches media, on this machine. It must follow no redirection: one could lead elsewhere.
    pub http: reqwest::Client,
    /// Hears of everything.
    pub feed: Feed,
    /// What is to go wrong.
    pub faults: Faults,
    /// How fast messages are delivered.
    pub pace: Pace,
    /// Where changes are written down, if anywhere.
    pub journal: Option<Journal>,
    /// The changes so far, as the journal had them.
    pub past: Vec<Entry>,
    /// What our numbers' `SmsUrl` is at first. The API is on the same host.
    pub sms_url: String,
}

/// How long Twilio waits.
#[derive(Clone, Copy)]
struct Limits {
    /// For the answer of a webhook. <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
    answer: Duration,
    /// With a webhook that a fault has come out of order, for the next one.
    held: Duration,
    /// With the answer that a fault has never come.
    silence: Duration,
}

const LIMITS: Limits =
    Limits { answer: Duration::from_secs(15), held: Duration::from_secs(5), silence: Duration::from_mins(1) };

/// Twilio with one account. Clones are the same one.
#[derive(Clone)]
pub struct FakeTwilio(Arc<Inner>);

/// Does not keep it alive.
#[derive(Clone)]
struct WeakTwilio(Weak<Inner>);

impl WeakTwilio {
    fn upgrade(&self) -> Option<FakeTwilio> {
        self.0.upgrade().map(FakeTwilio)
    }
}

struct Inner {
    clock: Clock,
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

/// What changes.
struct Books {
    account: Account,
    ledger: Ledger,
    journal: Option<Journal>,
}

impl FakeTwilio {
    /// A Twilio that knows this account and what happened before. Messages that were under way go on, for which it must be
    /// called in a Tokio runtime; what phones texted waits for [`FakeTwilio::resume_inbound`].
    #[must_use]
    pub fn new(account: Account, world: World) -> Self {
        Self::with_limits(account, world, LIMITS)
    }

    fn with_limits(account: Account, world: World, limits: Limits) -> Self {
        let World { clock, http, feed, faults, pace, journal, past, sms_url } = world;
        let ledger = Ledger::of(past);
        let started = timestamp(&clock);
        let kept: Vec<Message> = ledger.all().cloned().collect();
        let twilio = Self(Arc::new(Inner {
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
        }));
        for message in kept {
            twilio.deliver(message);
        }
        twilio
    }

    /// The API, at the paths that it has at `https://api.twilio.com`.
    pub fn router(&self) -> Router {
        rest::router(self)
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
    fn change(&self, entry: Entry) -> Option<Message> {
        self.change_in(&mut self.books(), entry)
    }

    /// What is told is told before anybody else can change something, so that the order is right.
    fn change_in(&self, books: &mut Books, entry: Entry) -> Option<Message> {
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
    fn take(&self, mut message: Message) -> Message {
        let mut books = self.books();
        message.date(books.ledger.date(message.phone(), self.now()));
        self.change_in(&mut books, Entry::Taken(Box::new(message.clone()))).unwrap_or(message)
    }

    /// Whether a message has not been forgotten.
    fn has(&self, sid: &str) -> bool {
        self.books().ledger.get(sid).is_some()
    }

    /// A message that the account's log shows.
    fn listed(&self, sid: &str) -> Option<Message> {
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

    fn has_opted_out<'a>(&self, ours: impl Into<Option<&'a str>>, phone: &str) -> bool {
        self.books().ledger.has_opted_out(ours.into(), phone)
    }

    /// Where the API is, for URLs that lead to it.
    fn origin(&self) -> String {
        Url::parse(&self.0.sms_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        timestamp(&self.0.clock)
    }

    fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    fn feed(&self) -> &Feed {
        &self.0.feed
    }

    fn faults(&self) -> &Faults {
        &self.0.faults
    }

    fn pace(&self) -> Pace {
        self.0.pace
    }

    fn limits(&self) -> Limits {
        self.0.limits
    }

    fn stirred(&self) -> &watch::Sender<()> {
        &self.0.stirred
    }

    fn answered(&self) -> &broadcast::Sender<String> {
        &self.0.answered
    }

    /// Starts something that goes on by itself, until Twilio ends. It must not keep Twilio alive for long.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, life: impl FnOnce(WeakTwilio) -> F) {
        let mut lives = self.lives();
        let Some(lives) = &mut *lives else { return };
        while lives.try_join_next().is_some() {}
        lives.spawn(life(WeakTwilio(Arc::downgrade(&self.0))));
    }

    /// A panic elsewhere can't leave the books half written, so a poisoned lock is as good as another.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lives(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
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
