//! Everything that Twilio remembers: messages, who opted out, how its numbers are set up.
//!
//! The one idea: it changes by entries only. What an entry does is the same when it happens and when it is read back from the
//! journal, so nothing can be written down in one way and remembered in another.

use crate::message::{DeliveryState, Message};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// One change, as a line of the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A message was taken.
    #[serde(rename = "taken")]
    Created(Box<Message>),
    /// A message has come further.
    Changed {
        /// Which.
        sid: String,
        /// How far.
        status: DeliveryState,
        /// Why it was not delivered.
        #[serde(default)]
        error_code: Option<u32>,
        /// The sender that the Messaging Service chose with this.
        #[serde(default)]
        from: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// Whoever asked to hear of a message was told of it.
    #[serde(rename = "told")]
    Notified {
        /// Which.
        sid: String,
        /// The last state that was told.
        status: DeliveryState,
    },
    /// The text of a message was taken away.
    Redacted {
        /// Which.
        sid: String,
        /// When.
        at: Timestamp,
    },
    /// A message was deleted.
    Deleted {
        /// Which.
        sid: String,
    },
    /// A phone texted STOP to one of our numbers.
    OptedOut {
        /// Our number.
        ours: String,
        /// The phone.
        phone: String,
    },
    /// A phone texted START to one of our numbers.
    OptedIn {
        /// Our number.
        ours: String,
        /// The phone.
        phone: String,
    },
    /// One of our numbers was set up.
    Number {
        /// Our number.
        number: String,
        /// The fields that were set, by their names in the resource.
        settings: BTreeMap<String, String>,
        /// When.
        at: Timestamp,
    },
    /// The messages and opt-outs of this phone were forgotten; without a number, everything but the clock.
    Forgotten {
        /// The phone.
        number: Option<String>,
    },
    /// The clock was moved.
    Clock {
        /// How far it is ahead of the machine's clock.
        clock_ahead_ms: u64,
    },
}

/// How far the clock was ahead at the end of these entries.
#[must_use]
pub fn clock_ahead_ms(entries: &[Entry]) -> u64 {
    let moves = entries.iter().filter_map(|entry| match entry {
        Entry::Clock { clock_ahead_ms } => Some(*clock_ahead_ms),
        _ => None,
    });
    moves.max().unwrap_or_default()
}

/// What was set on one of our numbers over the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NumberSettings {
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) updated: Timestamp,
}

/// What the entries so far come to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By a number that counts up, so oldest first.
    messages: BTreeMap<u64, Message>,
    taken: u64,
    by_sid: HashMap<String, u64>,
    /// By sender and by recipient.
    by_number: HashMap<String, BTreeSet<u64>>,
    /// Our number and the phone.
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

    /// The fewest entries that come to the same.
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

    /// Makes the change; the message that it was about, as it is now. Of a message that is gone, nothing changes.
    pub(crate) fn apply(&mut self, entry: Entry) -> Option<&Message> {
        match entry {
            Entry::Created(message) => {
                self.taken += 1;
                let sequence = self.taken;
                self.by_sid.insert(message.sid.clone(), sequence);
                for number in message.from.iter().chain([&message.to]) {
                    self.by_number.entry(number.clone()).or_default().insert(sequence);
                }
                return Some(self.messages.entry(sequence).or_insert(*message));
            }
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
            // Two that move it at once may come here in any order, and it only ever moves ahead.
            Entry::Clock { clock_ahead_ms } => self.clock_ahead_ms = self.clock_ahead_ms.max(clock_ahead_ms),
        }
        None
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

    /// The date of a message of this phone that is taken now. Dates never go back, and those of a phone are all different, so that
    /// whoever has seen one can ask for what came after it.
    pub(crate) fn date(&self, phone: &str, now: Timestamp) -> Timestamp {
        let last = self.messages.values().next_back().map_or(now, |message| message.created.max(now));
        let last_of_phone = self.by_number.get(phone).and_then(|sequences| self.messages.get(sequences.last()?));
        let next = last_of_phone.and_then(|message| message.created.checked_add(Duration::from_millis(1)).ok());
        next.map_or(last, |next| last.max(next))
    }

    pub(crate) fn get(&self, sid: &str) -> Option<&Message> {
        self.messages.get(self.by_sid.get(sid)?)
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// Those of a phone, oldest first.
    pub(crate) fn of_phone(&self, phone: &str) -> impl Iterator<Item = &Message> {
        let sequences = self.by_number.get(phone).into_iter().flatten();
        sequences.filter_map(|sequence| self.messages.get(sequence)).filter(move |message| message.phone() == phone)
    }

    /// Those to and from these numbers, newest first, from before the one with this SID; `None` if there is none with it.
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
        // The shorter list; our own number has them all.
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

    /// Whether a phone texted STOP to this number; to any of ours, if the sender is yet to be chosen.
    pub(crate) fn has_opted_out(&self, ours: Option<&str>, phone: &str) -> bool {
        self.opted_out.iter().any(|(number, opted_out)| opted_out == phone && ours.is_none_or(|ours| ours == number))
    }

    pub(crate) fn setup(&self, number: &str) -> Option<&NumberSettings> {
        self.setups.get(number)
    }
}
