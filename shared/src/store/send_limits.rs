//! The limits of a send, which send-code and check-code share.

use super::lane::Lane;
use crate::limits::block_record::BlockRecordMode;
use crate::limits::rules::{CounterRules, Exceeded, LimitsError, MAX_WINDOW, Mode, Period, SpendRules, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use crate::runtime::settings::{Environment, SettingError};
use std::str::FromStr;

/// The most sends whose code and counts a phone's item stores.
pub(super) const MAX_CODES: u32 = 20;

/// The most unverified sends to numbers of unknown ranges of a country: a new range starts with few numbers, and nobody else has any.
const UNASSIGNED_LIMIT: &str = "10/1h, 30/1d";

/// The limits of a send.
#[derive(Clone, Debug)]
pub struct SendLimits {
    /// Per phone number.
    pub phone: Mode<WindowRules>,
    /// Per IP address; counts unverified sends.
    pub ip: Mode<WindowRules>,
    /// Per block of 1,000 numbers; counts unverified sends.
    pub range: Mode<WindowRules>,
    /// Per network of IP addresses; counts unverified sends to strangers.
    pub network: Mode<CounterRules>,
    /// Per country; counts unverified sends.
    pub country: Mode<CounterRules>,
    /// Per country, of unverified sends to numbers of unknown ranges. The same in every stack.
    pub unassigned: Mode<CounterRules>,
    /// All sends together.
    pub total: Mode<CounterRules>,
    /// The price of all sends together, in hundredths of a cent.
    pub spend: Mode<CounterRules>,
    /// Whether the record of a block of numbers counts against the country's load.
    pub block_record: BlockRecordMode,
    /// Failed checks of one verification, in all.
    pub check: CheckLimit,
    /// Failed checks of one phone number that name no verification. Their log is in the phone's item, which must live as long.
    pub phone_check: WindowRules,
    /// How long a number stays known after an approval; `None` if no number ever is.
    pub known_for: Option<Period>,
    /// How long a code is valid.
    pub code_lifetime: Period,
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which limit.
    pub by: LimitKind,
    /// Its rule, and until when.
    pub exceeded: Exceeded,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Sends to one phone number.
    Phone,
    /// Unverified sends from one IP address.
    Ip,
    /// Unverified sends to one number range.
    Range,
    /// Unverified sends from one network of IP addresses.
    Network,
    /// Unverified sends to one country.
    Country,
    /// All sends.
    Total,
    /// What all sends cost.
    Spend,
    /// The record of the number's block, against the country's load.
    BlockRecord,
    /// Offers to text for a verification.
    TextToVerify,
}

impl LimitKind {
    /// The limit's name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone_limit",
            Self::Ip => "ip_limit",
            Self::Range => "range_limit",
            Self::Network => "network_limit",
            Self::Country => "country_limit",
            Self::Total => "total_limit",
            Self::Spend => "spend_limit",
            Self::BlockRecord => "block_record",
            Self::TextToVerify => "text_to_verify_limit",
        }
    }
}

impl SendLimits {
    /// Reads `PHONE_LIMIT`, `IP_LIMIT`, `RANGE_LIMIT`, `NETWORK_LIMIT`, `COUNTRY_LIMIT`, `TOTAL_LIMIT`,
    /// `SPEND_LIMIT`, `BLOCK_RECORD`, `CHECK_LIMIT`, `PHONE_CHECK_LIMIT`, `KNOWN_FOR` and `CODE_LIFETIME`.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            phone: environment.parsed("PHONE_LIMIT")?,
            ip: environment.parsed("IP_LIMIT")?,
            range: environment.parsed("RANGE_LIMIT")?,
            network: environment.parsed("NETWORK_LIMIT")?,
            country: environment.parsed("COUNTRY_LIMIT")?,
            unassigned: UNASSIGNED_LIMIT.parse().map_err(|error| Environment::invalid("COUNTRY_LIMIT", error))?,
            total: environment.parsed("TOTAL_LIMIT")?,
            spend: environment.parsed::<Mode<SpendRules>>("SPEND_LIMIT")?.map(CounterRules::from),
            block_record: environment.parsed("BLOCK_RECORD")?,
            check: environment.parsed("CHECK_LIMIT")?,
            phone_check: environment.parsed::<Enforced>("PHONE_CHECK_LIMIT")?.0,
            known_for: environment.parsed::<KnownFor>("KNOWN_FOR")?.0,
            code_lifetime: environment.parsed::<CodeLifetime>("CODE_LIFETIME")?.0,
        })
    }

    /// How many sends a phone's item stores with their codes: all that its two logs count, but at most 20. So nobody else's sends push
    /// an owner's code out.
    pub(super) fn code_slots(&self) -> u32 {
        let Some(rules) = self.phone.enforced() else { return MAX_CODES };
        rules.slots().max(rules.most_within(self.code_lifetime)).saturating_mul(2).min(MAX_CODES)
    }

    /// The longest window in which a send counts as unverified.
    pub(super) fn longest_unverified(&self) -> Period {
        let logs = [&self.ip, &self.range].map(|limit| limit.counted().map(WindowRules::longest_window));
        let counters = [&self.network, &self.country].into_iter().filter_map(Mode::counted);
        let counters = counters.flat_map(CounterRules::rules).map(|rule| rule.window());
        // A counter's wait is a quarter of its window longer.
        let longest = logs.into_iter().flatten().chain(counters).max().unwrap_or(self.code_lifetime);
        longest.and(longest)
    }

    /// The phone's log for a lane.
    pub(super) fn phone_log(&self, lane: Lane) -> SlidingLog {
        SlidingLog::for_limit(lane.log(), &self.phone).unwrap_or(SlidingLog { name: lane.log(), slots: 1 })
    }

    /// How long the phone's item is needed after a send: for its log, and for the log of failed checks, whose last entry can come just
    /// before the code expires.
    pub(super) fn phone_lifetime(&self) -> Period {
        let checks = self.phone_check.longest_window().and(self.code_lifetime);
        self.phone.counted().map_or(checks, |limits| limits.longest_window().max(checks))
    }
}

/// A number of failed checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimit(u32);

impl CheckLimit {
    /// The number.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }
}

impl FromStr for CheckLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.trim().parse().ok().filter(|count| (1..=20).contains(count));
        count.map(Self).ok_or_else(|| "it must be a number of wrong codes from 1 to 20, such as 5".to_owned())
    }
}

/// A period, or `off`.
struct KnownFor(Option<Period>);

impl FromStr for KnownFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self(None));
        }
        let period: Period = text.parse().map_err(|error: LimitsError| error.to_string())?;
        if period <= MAX_WINDOW {
            Ok(Self(Some(period)))
        } else {
            Err(format!("it must be off, or at most {MAX_WINDOW}"))
        }
    }
}

/// Rules that can't be switched off, since they protect codes from guessing.
struct Enforced(WindowRules);

impl FromStr for Enforced {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse()? {
            Mode::Enforce(limits) => Ok(Self(limits)),
            Mode::Observe(_) | Mode::Off => Err(LimitsError::MustBeEnforced),
        }
    }
}

/// A lifetime that is also Twilio's `ValidityPeriod`, of which 6 to 36,000 seconds make sense.
struct CodeLifetime(Period);

impl FromStr for CodeLifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: Period = text.parse().map_err(|error: LimitsError| error.to_string())?;
        if (6..=36_000).contains(&span.as_seconds()) {
            Ok(Self(span))
        } else {
            Err("it must be from 6s to 10h, which is what Twilio keeps a message for".to_owned())
        }
    }
}
