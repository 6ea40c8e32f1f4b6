//! Is every limit enforced? One that only observes, or is off, is for trying out, not for a launch.

use crate::report::{Check, Finding};
use shared::limits::rules::{CounterRules, Mode, WindowRules};
use shared::runtime::settings::{Environment, SettingError};

/// A limit, as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSetting {
    /// The parameter's name.
    pub name: &'static str,
    /// Its text.
    pub value: String,
    /// Whether it refuses anything.
    pub enforced: bool,
}

impl LimitSetting {
    /// All of them that can be anything but enforced.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong.
    pub fn all(environment: &Environment) -> Result<Vec<Self>, SettingError> {
        let log = |name, variable| {
            let limit = environment.parsed::<Mode<WindowRules>>(variable)?;
            Ok(Self { name, value: environment.text(variable).to_owned(), enforced: limit.enforced().is_some() })
        };
        let budget = |name, variable| {
            let limit = environment.parsed::<Mode<CounterRules>>(variable)?;
            Ok(Self { name, value: environment.text(variable).to_owned(), enforced: limit.enforced().is_some() })
        };
        Ok(vec![
            log("PhoneLimit", "PHONE_LIMIT")?,
            log("IpLimit", "IP_LIMIT")?,
            log("RangeLimit", "RANGE_LIMIT")?,
            budget("CountryLimit", "COUNTRY_LIMIT")?,
            budget("TotalLimit", "TOTAL_LIMIT")?,
        ])
    }
}

/// Judges the settings.
#[must_use]
pub fn evaluate(limits: &[LimitSetting]) -> Finding {
    let show = |limits: &mut dyn Iterator<Item = &LimitSetting>| {
        let shown: Vec<_> = limits.map(|limit| format!("{} = {}", limit.name, limit.value.trim())).collect();
        shown.join("; ")
    };
    if limits.iter().all(|limit| limit.enforced) {
        return Finding::pass(Check::Limits, show(&mut limits.iter()));
    }
    let found = show(&mut limits.iter().filter(|limit| !limit.enforced));
    Finding::fail(Check::Limits, found, "deploy with rules such as 3/1h: with observe or off nothing is refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass};

    #[test]
    fn only_enforced_limits_pass_and_the_row_shows_what_is_set() {
        for (settings, expected, found) in [
            (
                vec![],
                Pass,
                "PhoneLimit = 1/30s, 3/1h, 10/1d; IpLimit = 10/1h; RangeLimit = 10/1h, 30/1d; CountryLimit = 1000/1d; TotalLimit = 10000/1d",
            ),
            (vec![("IP_LIMIT", "observe 3/1h")], Fail, "IpLimit = observe 3/1h"),
            (vec![("PHONE_LIMIT", "off"), ("TOTAL_LIMIT", "OFF")], Fail, "PhoneLimit = off; TotalLimit = OFF"),
        ] {
            let row = evaluate(&LimitSetting::all(&Environment::of(settings)).unwrap());
            assert_eq!((row.result, row.found.as_str()), (expected, found));
        }
    }
}
