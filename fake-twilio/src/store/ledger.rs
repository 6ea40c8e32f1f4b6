//! The state: messages, opt-outs, settings of numbers. It changes through entries only. An entry has the same effect
//! when it happens and when it is read from the journal, so the two can't diverge.

use crate::message::{DeliveryState, Message};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A change, as stored in a line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A message was created.
    #[serde(rename = "taken")]
    Created(Box<Message>),
    /// A message has changed its status.
    Changed {
        /// The message's SID.
        sid: String,
        /// The new status.
        status: DeliveryState,
        /// The error that prevented delivery.
        #[serde(default)]
        error_code: Option<u32>,
        /// The sender that the Messaging Service chose.
        #[serde(default)]
        from: Option<String>,
        /// When it changed.
        at: Timestamp,
    },
    /// The status of a message was reported to its status callback, or a text to the webhook.
    #[serde(rename = "told")]
    Notified {
        /// The message's SID.
        sid: String,
        /// The reported status.
        status: DeliveryState,
    },
    /// The text of a message was removed.
    Redacted {
        /// The message's SID.
        sid: String,
        /// When it was removed.
        at: Timestamp,
    },
    /// A message was deleted.
    Deleted {
        /// The message's SID.
        sid: String,
    },
    /// A file of a message was deleted.
    MediaDeleted {
        /// The message's SID.
        sid: String,
        /// The file's SID.
        media: String,
        /// When it was deleted.
        at: Timestamp,
    },
    /// A phone texted STOP to a number of the account.
    OptedOut {
        /// The account's number.
        ours: String,
        /// The phone.
        phone: String,
    },
    /// A phone texted START to a number of the account.
    OptedIn {
        /// The account's number.
        ours: String,
        /// The phone.
        phone: String,
    },
    /// A number of the account was configured.
    Number {
        /// The account's number.
        number: String,
        /// The changed fields, by their names in the resource.
        settings: BTreeMap<String, String>,
        /// When it was configured.
        at: Timestamp,
    },
    /// The messages and opt-outs of this phone were deleted; without a number, everything but the clock.
    Forgotten {
        /// The phone.
        number: Option<String>,
    },
    /// The clock was moved.
    Clock {
        /// How far it is ahead of the system clock.
        clock_ahead_ms: u64,
    },
}

/// How far the clock was ahead after these entries.
#[must_use]
pub fn clock_ahead_ms(entries: &[Entry]) -> u64 {
    let moves = entries.iter().filter_map(|entry| match entry {
        Entry::Clock { clock_ahead_ms } => Some(*clock_ahead_ms),
        _ => None,
    });
    moves.max().unwrap_or_default()
}

/// The settings of a number that were changed over the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NumberSettings {
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) updated: Timestamp,
}

/// The state after all entries so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By a sequence number, so oldest first.
    messages: BTreeMap<u64, Message>,
    /// How many messages were ever created.
    created: u64,
    by_sid: HashMap<String, u64>,
    /// By sender and by recipient.
    by_number: HashMap<String, BTreeSet<u64>>,
    /// The account's number and the phone.
    opted_out: BTreeSet<(String, String)>,
    setups: BTreeMap<String, NumberSettings>,
    clock_ahead_ms: u64,
}

impl Ledger {
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let mut ledger = Self::default();
        for entry in entries {
            ledger.apply(entry);
        }
        ledger
    }

    /// The fewest entries that give the same state.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let messages = self.messages.values().map(|message| Entry::Created(Box::new(message.clone())));
        let opted_out = self.opted_out.iter().cloned().map(|(ours, phone)| Entry::OptedOut { ours, phone });
        let setups = self.setups.iter().map(|(number, setup)| Entry::Number {
            number: number.clone(),
            settings: setup.settings.clone(),
            at: setup.updated,
        });
        let clock = (self.clock_ahead_ms > 0).then_some(Entry::Clock { clock_ahead_ms: self.clock_ahead_ms });
        messages.chain(opted_out).chain(setups).chain(clock).collect()
    }

    /// Applies an entry and returns the message concerned. An entry for a deleted message has no effect.
    pub(crate) fn apply(&mut self, entry: Entry) -> Option<&Message> {
        match entry {
            Entry::Created(message) => return Some(self.insert(*message)),
            Entry::Changed { sid, status, error_code, from, at } => {
                let sequence = *self.by_sid.get(&sid)?;
                let message = self.messages.get_mut(&sequence)?;
                if let Some(sender) = from {
                    message.choose(&sender);
                    self.by_number.entry(sender).or_default().insert(sequence);
                }
                message.status = status;
                message.error_code = error_code;
                message.updated = at;
                if status == DeliveryState::Sent {
                    message.sent = Some(at);
                }
                return Some(message);
            }
            Entry::Notified { sid, status } => {
                let message = self.messages.get_mut(self.by_sid.get(&sid)?)?;
                message.last_notified = Some(status);
            }
            Entry::Redacted { sid, at } => {
                let message = self.messages.get_mut(self.by_sid.get(&sid)?)?;
                message.body.clear();
                message.updated = at;
                return Some(message);
            }
            Entry::Deleted { sid } => self.remove(&sid),
            Entry::MediaDeleted { sid, media, at } => {
                let message = self.messages.get_mut(self.by_sid.get(&sid)?)?;
                message.media.retain(|kept| kept.sid != media);
                message.updated = at;
                return Some(message);
            }
            Entry::OptedOut { ours, phone } => drop(self.opted_out.insert((ours, phone))),
            Entry::OptedIn { ours, phone } => drop(self.opted_out.remove(&(ours, phone))),
            Entry::Number { number, settings, at } => {
                let setup = NumberSettings { settings: BTreeMap::new(), updated: at };
                let setup = self.setups.entry(number).or_insert(setup);
                setup.settings.extend(settings);
                setup.updated = at;
            }
            Entry::Forgotten { number: Some(phone) } => {
                let sids: Vec<String> = self.of_phone(&phone).map(|message| message.sid.clone()).collect();
                for sid in sids {
                    self.remove(&sid);
                }
                self.opted_out.retain(|(_, opted_out)| *opted_out != phone);
            }
            Entry::Forgotten { number: None } => {
                self.messages.clear();
                self.by_sid.clear();
                self.by_number.clear();
                self.opted_out.clear();
                self.setups.clear();
            }
            // Concurrent moves may arrive in any order, and the clock only moves ahead.
            Entry::Clock { clock_ahead_ms } => self.clock_ahead_ms = self.clock_ahead_ms.max(clock_ahead_ms),
        }
        None
    }

    fn insert(&mut self, message: Message) -> &Message {
        self.created += 1;
        let sequence = self.created;
        self.by_sid.insert(message.sid.clone(), sequence);
        for number in message.from.iter().chain([&message.to]) {
            self.by_number.entry(number.clone()).or_default().insert(sequence);
        }
        self.messages.entry(sequence).or_insert(message)
    }

    fn remove(&mut self, sid: &str) {
        let Some(sequence) = self.by_sid.remove(sid) else { return };
        let Some(message) = self.messages.remove(&sequence) else { return };
        for number in message.from.iter().chain([&message.to]) {
            if let Some(sequences) = self.by_number.get_mut(number) {
                sequences.remove(&sequence);
                if sequences.is_empty() {
                    self.by_number.remove(number);
                }
            }
        }
    }

    /// The date of a new message of this phone. Dates never go back, and those of one phone are unique, so that a
    /// client can ask for messages after a date.
    pub(crate) fn date(&self, phone: &str, now: Timestamp) -> Timestamp {
        let last = self.messages.values().next_back().map_or(now, |message| message.created.max(now));
        let last_of_phone = self.by_number.get(phone).and_then(|sequences| self.messages.get(sequences.last()?));
        let next = last_of_phone.and_then(|message| message.created.checked_add(Duration::from_millis(1)).ok());
        next.map_or(last, |next| last.max(next))
    }

    pub(crate) fn get(&self, sid: &str) -> Option<&Message> {
        self.messages.get(self.by_sid.get(sid)?)
    }

    /// All messages, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// The messages of a phone, oldest first.
    pub(crate) fn of_phone(&self, phone: &str) -> impl Iterator<Item = &Message> {
        let sequences = self.by_number.get(phone).into_iter().flatten();
        sequences.filter_map(|sequence| self.messages.get(sequence)).filter(move |message| message.phone() == phone)
    }

    /// The messages to and from these numbers, newest first, older than the one with the SID `before`. `None` if that
    /// doesn't exist.
    pub(crate) fn newest<'a>(
        &'a self,
        to: Option<&'a str>,
        from: Option<&'a str>,
        before: Option<&str>,
    ) -> Option<Box<dyn Iterator<Item = &'a Message> + 'a>> {
        let end = match before {
            Some(sid) => *self.by_sid.get(sid)?,
            None => u64::MAX,
        };
        let nobody = const { &BTreeSet::new() };
        let sequences = [to, from].into_iter().flatten().map(|number| self.by_number.get(number).unwrap_or(nobody));
        // Search the shorter list. The account's number has all messages.
        let found: Box<dyn Iterator<Item = &Message>> = match sequences.min_by_key(|sequences| sequences.len()) {
            Some(sequences) => {
                Box::new(sequences.range(..end).rev().filter_map(|sequence| self.messages.get(sequence)))
            }
            None => Box::new(self.messages.range(..end).rev().map(|(_, message)| message)),
        };
        Some(Box::new(found.filter(move |message| {
            to.is_none_or(|to| to == message.to) && from.is_none_or(|from| Some(from) == message.from.as_deref())
        })))
    }

    /// Whether a phone texted STOP to this number, or to any number of the account if the sender is not known yet.
    pub(crate) fn has_opted_out(&self, ours: Option<&str>, phone: &str) -> bool {
        self.opted_out.iter().any(|(number, opted_out)| opted_out == phone && ours.is_none_or(|ours| ours == number))
    }

    pub(crate) fn setup(&self, number: &str) -> Option<&NumberSettings> {
        self.setups.get(number)
    }
}
