//! Lanes: who asks for a send decides which limits count it, so that strangers can't use up what others need.

use crate::limits::rules::Period;

/// The most unverified sends in a row that a known number gets in its own lane.
pub(super) const MAX_STREAK: u64 = 3;

/// Which limits a send counts in. See [`Table::admit`](super::table::Table::admit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// The app vouches for its user: a log of its own under `PhoneLimit`, which nobody else fills; the total.
    Owner,
    /// The number was approved here before: the phone; the IP, since a stranger may ask for it; a counter per country of its own; the
    /// total.
    Known,
    /// Everybody else: the phone, the IP, the number range, the country and the total.
    Stranger,
}

impl Lane {
    /// The lane of a send to a number that is known until this time, in milliseconds, and has had `streak` unverified sends in a row
    /// since; `trusted` if the app vouches for its user. A `known_for` that was shortened or switched off holds at once.
    #[must_use]
    pub fn of(known_until_ms: Option<u64>, streak: u64, trusted: bool, known_for: Option<Period>, now_ms: u64) -> Self {
        let is_known = |(until_ms, known_for): (u64, Period)| {
            now_ms < until_ms && until_ms <= now_ms.saturating_add(known_for.as_ms())
        };
        if trusted {
            Self::Owner
        } else if known_until_ms.zip(known_for).is_some_and(is_known) && streak < MAX_STREAK {
            Self::Known
        } else {
            Self::Stranger
        }
    }

    /// The lane's name in logs and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The attributes of the phone's log that counts sends of this lane.
    pub(super) const fn log(self) -> &'static str {
        match self {
            Self::Owner => "o",
            Self::Known | Self::Stranger => "a",
        }
    }
}
