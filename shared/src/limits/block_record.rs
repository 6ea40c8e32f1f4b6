//! A block's record against the load: the fuller a country's limit or the spend, the better the record that a block of numbers needs.
//!
//! Codes to pumped numbers are never verified, codes to honest ones are. So a block's record tells the two apart before the country is
//! full, and whoever fills it is refused first. What a block is expected to verify is its own record, shrunk to that of its area, which
//! is shrunk to one half: a block that nobody knows is judged by its neighbours, and one in an unknown area as if every second code
//! were verified. This is the beta-binomial estimate of empirical Bayes.

use std::fmt;
use std::str::FromStr;

// The figures come from the simulation: they refuse the fewest honest users over all its shapes of attack.

/// How many codes the record one level up is worth.
const WEIGHT: f64 = 5.0;
/// The share of codes that an unknown area is expected to verify.
const UNKNOWN: f64 = 0.5;
/// What a full country demands, as a share of what the area verifies: below one, so that a block without any record passes until then.
const DEMAND: f64 = 0.95;
/// The least that the area's share counts as: an area that verifies little must not lower the bar for its own blocks.
const LEAST: f64 = 0.4;
/// The load from which a record matters.
const FREE_LOAD: f64 = 0.4;
/// A record is of this week and the one before it.
const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The codes of the last one to two weeks that were sent to unknown numbers of a block or an area, and how many of them were verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Codes that were sent.
    pub sent: u32,
    /// Those of them that were verified.
    pub verified: u32,
}

/// A block's record against the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The block's record.
    pub block: Record,
    /// The share of its codes that is expected to be verified, from 0 to 1.
    pub expected: f64,
    /// The share that the load demands.
    pub needed: f64,
    /// How much of the fullest limit is used.
    pub load: f64,
}

/// A block's record is not good enough for the country's load. It reads as an explanation: numbers, and nobody's number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shortfall(Judgement);

/// Whether records of blocks count, and refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRecordMode {
    /// They refuse.
    On,
    /// They count, and what they would refuse is logged.
    Observe,
    /// They don't count.
    Off,
}

impl BlockRecordMode {
    /// The mode as the setting spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Observe => "observe",
            Self::Off => "off",
        }
    }
}

/// Not a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be on, observe or off")]
pub struct InvalidBlockRecordMode;

impl FromStr for BlockRecordMode {
    type Err = InvalidBlockRecordMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "on" => Ok(Self::On),
            "observe" => Ok(Self::Observe),
            "off" => Ok(Self::Off),
            _ => Err(InvalidBlockRecordMode),
        }
    }
}

impl Record {
    fn shrunk_to(self, expected: f64) -> f64 {
        // An approval may be counted whose send was not.
        let verified = self.verified.min(self.sent);
        (WEIGHT * expected + f64::from(verified)) / (WEIGHT + f64::from(self.sent))
    }
}

impl Judgement {
    /// Judges a block while `load` of a limit is used, from 0 to 1.
    #[must_use]
    pub fn new(block: Record, area: Record, load: f64) -> Self {
        let of_area = area.shrunk_to(UNKNOWN);
        let above_free = ((load - FREE_LOAD) / (1.0 - FREE_LOAD)).clamp(0.0, 1.0);
        let needed = DEMAND * of_area.max(LEAST) * above_free;
        Self { block, expected: block.shrunk_to(of_area), needed, load }
    }

    /// Whether the block may have another code.
    ///
    /// # Errors
    /// [`Shortfall`] if its record is not good enough for that.
    pub fn check(self) -> Result<(), Shortfall> {
        if self.expected >= self.needed { Ok(()) } else { Err(Shortfall(self)) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 100")]
fn percent(share: f64) -> u32 {
    (share * 100.0).round().clamp(0.0, 100.0) as u32
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Judgement { block: Record { sent, verified }, expected, needed, load }) = self;
        let [expected, needed, load] = [*expected, *needed, *load].map(percent);
        write!(
            f,
            "{load} % of CountryLimit or SpendLimit is used, so codes to this block of numbers must have a verification rate of \
             {needed} %; {expected} % is expected from {verified} verified of {sent} recent codes"
        )
    }
}

/// The week in which a code counts.
#[must_use]
pub const fn week(at_ms: u64) -> u64 {
    at_ms / WEEK_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Record = Record { sent: 0, verified: 0 };
    const HONEST: Record = Record { sent: 200, verified: 170 };

    fn check(block: Record, area: Record, load: f64) -> Result<(), Shortfall> {
        Judgement::new(block, area, load).check()
    }

    /// How many codes in a row a block gets that verifies none of them, at this load.
    fn unverified_until_refused(area: Record, load: f64) -> Option<u32> {
        (0..10_000).find(|&sent| check(Record { sent, verified: 0 }, area, load).is_err())
    }

    #[test]
    fn up_to_two_fifths_of_the_load_every_block_passes() {
        assert_eq!(unverified_until_refused(HONEST, 0.4), None);
        assert_eq!(unverified_until_refused(Record { sent: 10_000, verified: 0 }, 0.4), None);
        assert!(unverified_until_refused(HONEST, 0.41).is_some());
    }

    #[test]
    fn a_block_with_an_honest_record_passes_at_any_load() {
        for area in [NOTHING, HONEST, Record { sent: 10_000, verified: 300 }] {
            assert_eq!(check(HONEST, area, 1.0), Ok(()), "{area:?}");
        }
    }

    #[test]
    fn a_block_that_nobody_knows_is_judged_by_its_area() {
        assert_eq!(check(NOTHING, HONEST, 1.0), Ok(()), "the first code of a block in an honest area");
        assert_eq!(check(NOTHING, NOTHING, 1.0), Ok(()), "and in an unknown one");
        let pumped = Record { sent: 100, verified: 0 };
        assert_eq!(check(NOTHING, pumped, 0.4), Ok(()));
        assert!(check(NOTHING, pumped, 0.6).is_err(), "a fresh block of an area that is being pumped");
    }

    #[test]
    fn the_fuller_the_country_the_fewer_unverified_codes_a_block_gets() {
        let allowed = [0.6, 0.7, 0.8, 0.9, 1.0].map(|load| unverified_until_refused(HONEST, load).unwrap());
        assert!(allowed.is_sorted_by(|more, fewer| more > fewer), "{allowed:?}");
        assert_eq!(allowed[4], 1);
    }

    #[test]
    fn an_area_that_verifies_little_does_not_lower_the_bar() {
        let bad = Record { sent: 1_000, verified: 20 };
        assert!(check(Record { sent: 10, verified: 0 }, bad, 0.7).is_err());
    }

    #[test]
    fn a_refusal_explains_itself_in_numbers() {
        let refused = check(Record { sent: 61, verified: 0 }, HONEST, 0.68).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "68 % of CountryLimit or SpendLimit is used, so codes to this block of numbers must have a verification rate of 37 %; \
             6 % is expected from 0 verified of 61 recent codes"
        );
    }

    #[test]
    fn more_verified_than_sent_is_no_better_than_all_verified() {
        let counted_late = Record { sent: 3, verified: 9 };
        assert_eq!(counted_late.shrunk_to(0.5).to_bits(), Record { sent: 3, verified: 3 }.shrunk_to(0.5).to_bits());
    }
}
