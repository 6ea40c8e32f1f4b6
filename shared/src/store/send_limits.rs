//! The limits of a send, which send-code and check-code share.

use crate::limits::rules::{CounterRules, LimitsError, Mode, Period, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use crate::runtime::settings::{Environment, SettingError};
use std::str::FromStr;

/// The most codes that a phone's item keeps, if no limit says that there can be only fewer.
const MAX_CODES: u32 = 20;

/// The limits of a send.
#[derive(Clone, Debug)]
pub struct SendLimits {
    /// Per phone number.
    pub phone: Mode<WindowRules>,
    /// Per IP address; counts unverified sends.
    pub ip: Mode<WindowRules>,
    /// Per block of 1,000 numbers; counts unverified sends.
    pub range: Mode<WindowRules>,
    /// Per country; counts unverified sends.
    pub country: Mode<CounterRules>,
    /// Of everybody; counts every send.
    pub total: Mode<CounterRules>,
    /// Of failed checks, whose log stands in the phone's item and must live as long.
    pub check: WindowRules,
    /// How long a code is good.
    pub code_lifetime: Period,
}

impl SendLimits {
    /// Reads `PHONE_LIMIT`, `IP_LIMIT`, `RANGE_LIMIT`, `COUNTRY_LIMIT`, `TOTAL_LIMIT`, `CHECK_LIMIT` and `CODE_LIFETIME`.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            phone: environment.parsed("PHONE_LIMIT")?,
            ip: environment.parsed("IP_LIMIT")?,
            range: environment.parsed("RANGE_LIMIT")?,
            country: environment.parsed("COUNTRY_LIMIT")?,
            total: environment.parsed("TOTAL_LIMIT")?,
            check: environment.parsed::<Enforced>("CHECK_LIMIT")?.0,
            code_lifetime: environment.parsed::<CodeLifetime>("CODE_LIFETIME")?.0,
        })
    }

    /// How many codes a phone's item keeps: as many as can be unexpired at a time, but at most 20.
    pub(super) fn code_slots(&self) -> u32 {
        self.phone.enforced().map_or(MAX_CODES, |limits| limits.most_within(self.code_lifetime).min(MAX_CODES))
    }

    /// The phone's log, in step with its codes: the code in slot *i* was sent at the time in slot *i*.
    pub(super) fn phone_log(&self) -> SlidingLog {
        let log = SlidingLog::for_limit("a", &self.phone);
        SlidingLog { name: "a", slots: log.map_or(1, |log| log.slots).max(self.code_slots()) }
    }

    /// How long the phone's item is needed after a send: for its log, and for the log of checks, of which the last that matters
    /// may come when the code is about to expire.
    pub(super) fn phone_lifetime(&self) -> Period {
        let checks = self.check.longest_window().and(self.code_lifetime);
        self.phone.counted().map_or(checks, |limits| limits.longest_window().max(checks))
    }
}

/// Rules that may not be switched off: what stands between a code and who guesses it.
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
