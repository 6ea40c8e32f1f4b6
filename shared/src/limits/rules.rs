//! Rate limits in the notation of settings: rules such as `1/30s, 3/1h, 10/1d`, exact in every sliding window.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The largest count of a [`WindowRules`]'s rule. It keeps the log of a key within DynamoDB's smallest write unit, 1 KB.
pub const MAX_COUNT: u32 = 80;
/// The largest count of a [`CounterRules`]'s rule.
pub const MAX_COUNTER_COUNT: u32 = 1_000_000_000;
/// The shortest window of a [`CounterRules`]'s rule. A quarter of it is a bucket, which must be long compared with the difference
/// between two clocks, about a second.
pub const MIN_COUNTER_WINDOW: Period = Period { ms: MINUTE_MS };
/// An amount of money of a rule is counted in hundredths of a cent.
const PER_DOLLAR: u32 = 10_000;
/// The largest amount of a [`SpendRules`]'s rule, in dollars.
const MAX_DOLLARS: u32 = 99_999;
/// The longest window of a rule.
pub const MAX_WINDOW: Period = Period { ms: 366 * DAY_MS };

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const UNITS: [(char, u64); 4] = [('d', DAY_MS), ('h', HOUR_MS), ('m', MINUTE_MS), ('s', SECOND_MS)];

/// A duration of whole seconds, in the notation of settings: `30s`, `10m`, `1h`, `7d`.
///
/// ```
/// use shared::limits::rules::Period;
///
/// let period: Period = "90m".parse()?;
/// assert_eq!((period.as_seconds(), period.to_string().as_str()), (5400, "90m"));
/// assert_eq!("3600s".parse::<Period>()?.to_string(), "1h");
/// # Ok::<(), shared::limits::rules::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    ms: u64,
}

/// At most `count` admissions in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    count: u32,
    unit: Unit,
    window: Period,
}

/// What the count of a rule is a count of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Admissions,
    HundredthsOfACent,
}

/// A limit in the notation of settings: rules, `observe` and rules, or `off`.
///
/// ```
/// use shared::limits::rules::{Mode, WindowRules};
///
/// assert_eq!("3/1h".parse(), Ok(Mode::Enforce("3/1h".parse::<WindowRules>()?)));
/// assert_eq!("observe 3/1h".parse(), Ok(Mode::Observe("3/1h".parse::<WindowRules>()?)));
/// assert_eq!("off".parse(), Ok(Mode::<WindowRules>::Off));
/// # Ok::<(), shared::limits::rules::LimitsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode<R> {
    /// Not counted.
    Off,
    /// Counted and reported, but nothing is refused: shows what a limit would do.
    Observe(R),
    /// Counted, and requests that exceed it are refused.
    Enforce(R),
}

/// One or more rules that all apply to a key, small enough for a [`SlidingLog`](super::sliding_log::SlidingLog).
///
/// ```
/// use shared::limits::rules::WindowRules;
///
/// let rules: WindowRules = "1/30s, 3/1h".parse()?;
/// // After an admission at 5 s, the next is allowed from 35 s on.
/// assert!(rules.check(&[5_000], 34_999).is_err());
/// assert!(rules.check(&[5_000], 35_000).is_ok());
/// # Ok::<(), shared::limits::rules::LimitsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRules {
    rules: Vec<Rule>,
}

/// Rules for a key that many users share, a country or the total: any count, kept by a counter (see
/// [`crate::limits::bucket_counter`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterRules {
    rules: Vec<Rule>,
}

/// Rules for money, such as `$5/1h, $50/1d`, kept by a counter like [`CounterRules`].
///
/// ```
/// use shared::limits::rules::{CounterRules, SpendRules};
///
/// let rules: CounterRules = "$5/1h, $0.50/1m".parse::<SpendRules>()?.into();
/// assert_eq!(rules.rules()[1].to_string(), "$0.5/1m");
/// // In hundredths of a cent.
/// assert_eq!(rules.rules()[1].count(), 5_000);
/// # Ok::<(), shared::limits::rules::LimitsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRules(CounterRules);

/// Why a text is not a list of rules, or not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Empty. A limit that is missing by mistake must not be unlimited.
    #[error("it is empty; write at least one rule, such as 3/1h")]
    Empty,
    /// A rule without a slash.
    #[error("the rule {0:?} is not of the form count/window, such as 3/1h")]
    NoSlash(String),
    /// A count that is not a number, is zero, or is too large for the log or the counter.
    #[error("the count of {0:?} must be a whole number from 1 to {1}")]
    Count(String, u32),
    /// An amount of money that is none, is zero, or is too large for the counter.
    #[error("{0:?} must begin with an amount from $0.0001 to ${MAX_DOLLARS}, such as $5/1h")]
    Amount(String),
    /// A duration that can't be parsed or is zero.
    #[error("{0:?} is not a duration such as 30s, 10m, 1h or 1d")]
    Period(String),
    /// A window that is too long.
    #[error("the window of {0:?} is longer than {MAX_WINDOW}")]
    Window(String),
    /// A window that is too short for buckets.
    #[error("the window of {0} is shorter than {MIN_COUNTER_WINDOW}, the minimum for a limit that many users share")]
    ShortWindow(Rule),
    /// A repeated rule would count each admission twice.
    #[error("the rule {0} occurs twice")]
    Twice(Rule),
    /// The limit that protects codes from guessing must be enforced.
    #[error("this limit must be enforced; it can't be off or observe")]
    MustBeEnforced,
}

/// The rule that refuses, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The rule with the longest wait.
    pub rule: Rule,
    /// When the next admission is allowed, in milliseconds since the epoch.
    pub until_ms: u64,
}

impl Period {
    /// The duration in milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// The sum of two durations.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { ms: self.ms.saturating_add(other.ms) }
    }

    /// The duration in seconds, without a remainder.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.ms / SECOND_MS
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        Self::from_millis(period.ms)
    }
}

impl FromStr for Period {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let wrong = || LimitsError::Period(text.to_owned());
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let count = whole_number(&text[..text.len() - unit.len_utf8()]).filter(|&count| count > 0).ok_or_else(wrong)?;
        Ok(Self { ms: u64::from(count).checked_mul(unit_ms).ok_or_else(wrong)? })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit_ms) = UNITS.into_iter().find(|(_, ms)| self.ms.is_multiple_of(*ms)).unwrap_or(('s', SECOND_MS));
        write!(f, "{}{name}", self.ms / unit_ms)
    }
}

impl Rule {
    /// How many admissions are allowed, or how many hundredths of a cent.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Whether the count is of money.
    pub(crate) const fn is_of_money(self) -> bool {
        matches!(self.unit, Unit::HundredthsOfACent)
    }

    /// The length of the window.
    #[must_use]
    pub const fn window(self) -> Period {
        self.window
    }

    fn parse_list(
        text: &str,
        count: impl Fn(&str, &str) -> Result<(u32, Unit), LimitsError>,
    ) -> Result<Vec<Self>, LimitsError> {
        if text.trim().is_empty() {
            return Err(LimitsError::Empty);
        }
        let rules: Vec<_> = text.split(',').map(|rule| Self::parse(rule, &count)).collect::<Result<_, _>>()?;
        let twice = rules.iter().enumerate().find(|(index, rule)| rules[..*index].contains(rule));
        twice.map_or(Ok(()), |(_, rule)| Err(LimitsError::Twice(*rule)))?;
        Ok(rules)
    }

    /// `count` reads what stands before the slash; it is also given the whole rule, for its error.
    fn parse(text: &str, count: impl Fn(&str, &str) -> Result<(u32, Unit), LimitsError>) -> Result<Self, LimitsError> {
        let text = text.trim();
        let (before, window) = text.split_once('/').ok_or_else(|| LimitsError::NoSlash(text.to_owned()))?;
        let (count, unit) = count(before.trim(), text)?;
        let window: Period = window.parse()?;
        if window > MAX_WINDOW {
            return Err(LimitsError::Window(text.to_owned()));
        }
        Ok(Self { count, unit, window })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Admissions => write!(f, "{}/{}", self.count, self.window),
            Unit::HundredthsOfACent => write!(f, "${}/{}", f64::from(self.count) / f64::from(PER_DOLLAR), self.window),
        }
    }
}

impl FromStr for WindowRules {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Rule::parse_list(text, up_to(MAX_COUNT)).map(|rules| Self { rules })
    }
}

impl FromStr for CounterRules {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of(Rule::parse_list(text, up_to(MAX_COUNTER_COUNT))?)
    }
}

impl CounterRules {
    fn of(rules: Vec<Rule>) -> Result<Self, LimitsError> {
        match rules.iter().find(|rule| rule.window < MIN_COUNTER_WINDOW) {
            Some(rule) => Err(LimitsError::ShortWindow(*rule)),
            None => Ok(Self { rules }),
        }
    }
}

impl FromStr for SpendRules {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount = |amount: &str, rule: &str| {
            let count = amount.strip_prefix('$').and_then(hundredths_of_a_cent);
            count.map(|count| (count, Unit::HundredthsOfACent)).ok_or_else(|| LimitsError::Amount(rule.to_owned()))
        };
        CounterRules::of(Rule::parse_list(text, amount)?).map(Self)
    }
}

impl From<SpendRules> for CounterRules {
    fn from(SpendRules(rules): SpendRules) -> Self {
        rules
    }
}

impl<R: FromStr<Err = LimitsError>> FromStr for Mode<R> {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text.split_once(char::is_whitespace) {
            _ if text.eq_ignore_ascii_case("off") => Ok(Self::Off),
            Some((mode, rules)) if mode.eq_ignore_ascii_case("observe") => rules.parse().map(Self::Observe),
            _ => text.parse().map(Self::Enforce),
        }
    }
}

impl fmt::Display for WindowRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            write!(f, "{}{rule}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl<R> Mode<R> {
    /// The same mode, with rules of another kind.
    pub fn map<S>(self, to: impl FnOnce(R) -> S) -> Mode<S> {
        match self {
            Self::Off => Mode::Off,
            Self::Observe(rules) => Mode::Observe(to(rules)),
            Self::Enforce(rules) => Mode::Enforce(to(rules)),
        }
    }

    /// The rules that count, observed or enforced.
    pub const fn counted(&self) -> Option<&R> {
        match self {
            Self::Off => None,
            Self::Observe(rules) | Self::Enforce(rules) => Some(rules),
        }
    }

    /// The rules that refuse.
    pub const fn enforced(&self) -> Option<&R> {
        match self {
            Self::Enforce(rules) => Some(rules),
            Self::Off | Self::Observe(_) => None,
        }
    }

    /// The rules that report without refusing.
    pub const fn observed(&self) -> Option<&R> {
        match self {
            Self::Observe(rules) => Some(rules),
            Self::Off | Self::Enforce(_) => None,
        }
    }
}

impl CounterRules {
    /// The rules. Each has a counter of its own.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl WindowRules {
    /// How many admissions a log must keep to decide every rule.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.rules.iter().map(|rule| rule.count).max().unwrap_or(1)
    }

    /// The longest window. Older admissions don't matter.
    #[must_use]
    pub fn longest_window(&self) -> Period {
        self.rules.iter().map(|rule| rule.window).max().unwrap_or(MAX_WINDOW)
    }

    /// The most admissions that these rules allow within any `period`: each rule's count times the number of its windows that begin
    /// within it.
    #[must_use]
    pub fn most_within(&self, period: Period) -> u32 {
        let most = |rule: &Rule| {
            let windows = u32::try_from(period.ms.div_ceil(rule.window.ms)).unwrap_or(u32::MAX);
            rule.count.saturating_mul(windows)
        };
        self.rules.iter().map(most).min().unwrap_or(u32::MAX)
    }

    /// Decides whether another admission is allowed at `now_ms`, from a log of admissions in milliseconds, newest first; 0 is an
    /// empty slot. [`SlidingLog`](super::sliding_log::SlidingLog) makes the same decision inside DynamoDB.
    ///
    /// # Errors
    /// [`Exceeded`] with the rule that has the longest wait.
    pub fn check(&self, log: &[u64], now_ms: u64) -> Result<(), Exceeded> {
        let blocking = self.rules.iter().filter_map(|rule| {
            let nth_newest = log.get(rule.count as usize - 1).copied().filter(|&at_ms| at_ms > 0)?;
            let until_ms = nth_newest.saturating_add(rule.window.ms);
            (until_ms > now_ms).then_some(Exceeded { rule: *rule, until_ms })
        });
        blocking.max_by_key(|exceeded| exceeded.until_ms).map_or(Ok(()), Err)
    }

    /// The rules. All of them apply.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many more admissions are allowed at `now_ms`, by the strictest rule.
    #[must_use]
    pub fn left(&self, log: &[u64], now_ms: u64) -> u32 {
        let left = |rule: &Rule| {
            let within =
                log.iter().filter(|&&at_ms| at_ms > 0 && at_ms.saturating_add(rule.window.ms) > now_ms).count();
            rule.count.saturating_sub(u32::try_from(within).unwrap_or(u32::MAX))
        };
        self.rules.iter().map(left).min().unwrap_or_default()
    }
}

/// Reads a count of admissions.
fn up_to(max_count: u32) -> impl Fn(&str, &str) -> Result<(u32, Unit), LimitsError> {
    move |count, rule| {
        let count = whole_number(count).filter(|count| (1..=max_count).contains(count));
        count.map(|count| (count, Unit::Admissions)).ok_or_else(|| LimitsError::Count(rule.to_owned(), max_count))
    }
}

/// An amount in dollars with at most four digits after the point; `None` if it is none or out of range.
fn hundredths_of_a_cent(dollars: &str) -> Option<u32> {
    let (whole, fraction) = dollars.split_once('.').unwrap_or((dollars, "0"));
    let whole = Some(whole).filter(|whole| !whole.is_empty()).and_then(whole_number)?;
    let fraction = Some(fraction).filter(|fraction| (1..=4).contains(&fraction.len()))?;
    let count = (whole <= MAX_DOLLARS).then(|| whole * PER_DOLLAR)? + whole_number(&format!("{fraction:0<4}"))?;
    (count > 0).then_some(count)
}

/// Digits only: `u32::from_str` also accepts `+3`.
fn whole_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
