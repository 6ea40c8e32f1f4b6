//! The environment, parsed once at start. An error names the variable, the problem and a valid value.
//!
//! Each function has its own `Settings`, and reads only what it needs.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// The default values. A test compares them with `template.yaml`.
const DEFAULTS: [(&str, &str); 30] = [
    ("ALLOWED_COUNTRIES", "US,CA"),
    ("ALLOW_LANDLINES", "false"),
    ("APP_DOMAIN", ""),
    ("BLOCKED_PREFIXES", ""),
    ("BLOCK_RECORD", "on"),
    ("CHECK_LIMIT", "5"),
    ("CODE_LIFETIME", "10m"),
    ("COUNTRY_LIMIT", "300/1h, 1000/1d"),
    ("EXTRA_PREFIXES", ""),
    ("IP_LIMIT", "40/1h"),
    ("KNOWN_FOR", "180d"),
    ("MESSAGE_LIFETIME", "30d"),
    ("MESSAGE_TEMPLATE", "Your verification code is: {code}"),
    ("MESSAGE_TEMPLATES", ""),
    ("MIN_CODE_DIGITS", "6"),
    ("NETWORK_LIMIT", "60/1h, 200/1d"),
    ("PHONE_CHECK_LIMIT", "5/10m, 20/1d"),
    ("PHONE_LIMIT", "1/30s, 3/1h, 10/1d"),
    ("PUBLIC_URL", ""),
    ("RANGE_LIMIT", "10/1h, 30/1d"),
    ("REPLY_LIMIT", "3/1h"),
    ("REPLY_TEXT", "Thanks for your message!"),
    ("SEGMENT_PRICES", "US=0.0083, CA=0.0083, *=0.05"),
    ("SPEND_LIMIT", "$5/1h, $50/1d"),
    ("TEST_NUMBERS", ""),
    ("TEXT_TO_VERIFY", "off"),
    ("TEXT_TO_VERIFY_NUMBER", ""),
    ("TOTAL_LIMIT", "10000/1d"),
    ("TWILIO_BASE_URL", "https://api.twilio.com"),
    ("TWILIO_FROM", ""),
];

/// The variables of a process, or those that a test or the local system sets instead.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

/// Why a variable can't be used. The function does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It is not set or empty, and has no default.
    #[error("{variable} is not set or empty")]
    Missing {
        /// The variable's name.
        variable: &'static str,
    },
    /// Its value can't be parsed.
    #[error("invalid {variable}: {reason}")]
    Invalid {
        /// The variable's name.
        variable: &'static str,
        /// Why, and what a valid value looks like.
        reason: String,
    },
}

impl Environment {
    /// The variables of this process. A value that is not UTF-8 counts as not set.
    #[must_use]
    pub fn of_process() -> Self {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(readable).collect())
    }

    /// Only these variables.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The settings that have a default, and their defaults.
    pub fn defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
        DEFAULTS.into_iter()
    }

    /// A variable's value, or its default; `""` without either. An empty value overrides the default.
    #[must_use]
    pub fn text(&self, variable: &str) -> &str {
        let default = || DEFAULTS.into_iter().find(|(name, _)| *name == variable).map_or("", |(_, default)| default);
        self.0.get(variable).map_or_else(default, String::as_str)
    }

    /// A variable's value without white space around it; `None` if that is empty.
    #[must_use]
    pub fn optional(&self, variable: &str) -> Option<&str> {
        Some(self.text(variable).trim()).filter(|value| !value.is_empty())
    }

    /// A required variable.
    ///
    /// # Errors
    /// [`SettingError::Missing`] if it is not set or empty.
    pub fn required(&self, variable: &'static str) -> Result<&str, SettingError> {
        self.optional(variable).ok_or(SettingError::Missing { variable })
    }

    /// A required variable, parsed.
    ///
    /// # Errors
    /// [`SettingError`] with the variable and the error of `T`.
    pub fn parsed<T: FromStr<Err: Display>>(&self, variable: &'static str) -> Result<T, SettingError> {
        self.required(variable)?.parse().map_err(|reason: T::Err| Self::invalid(variable, reason))
    }

    /// An optional variable, parsed.
    ///
    /// # Errors
    /// [`SettingError::Invalid`] with the variable and the error of `T`.
    pub fn parsed_if_set<T: FromStr<Err: Display>>(&self, variable: &'static str) -> Result<Option<T>, SettingError> {
        self.optional(variable).map(|_| self.parsed(variable)).transpose()
    }

    /// A list separated by commas, which may be empty, parsed.
    ///
    /// # Errors
    /// [`SettingError`] with the variable and the error of the first item that is invalid.
    pub fn list<T: FromStr<Err: Display>>(&self, variable: &'static str) -> Result<Vec<T>, SettingError> {
        let pieces = self.text(variable).split(',').map(str::trim).filter(|piece| !piece.is_empty());
        pieces.map(|piece| piece.parse().map_err(|reason: T::Err| Self::invalid(variable, reason))).collect()
    }

    /// The error for a variable that can't be parsed.
    pub fn invalid(variable: &'static str, reason: impl Display) -> SettingError {
        SettingError::Invalid { variable, reason: reason.to_string() }
    }
}
