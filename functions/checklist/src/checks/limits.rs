//! Is every limit enforced? `observe` and `off` are for trials, not for production.

use crate::report::{Check, Finding};
use shared::limits::block_record::BlockRecordMode;
use shared::limits::rules::{CounterRules, Mode, SpendRules, WindowRules};
use shared::runtime::settings::{Environment, SettingError};

/// The setting of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSetting {
    /// The parameter's name.
    pub name: &'static str,
    /// The parameter's value.
    pub value: String,
    /// Whether it refuses anything.
    pub enforced: bool,
}

impl LimitSetting {
    /// The limits that can be off or observed.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid variable.
    pub fn all(environment: &Environment) -> Result<Vec<Self>, SettingError> {
        let window = |name, variable| {
            let limit = environment.parsed::<Mode<WindowRules>>(variable)?;
            Ok(Self { name, value: environment.text(variable).to_owned(), enforced: limit.enforced().is_some() })
        };
        let counter = |name, variable| {
            let limit = environment.parsed::<Mode<CounterRules>>(variable)?;
            Ok(Self { name, value: environment.text(variable).to_owned(), enforced: limit.enforced().is_some() })
        };
        Ok(vec![
            window("PhoneLimit", "PHONE_LIMIT")?,
            window("IpLimit", "IP_LIMIT")?,
            window("RangeLimit", "RANGE_LIMIT")?,
            counter("NetworkLimit", "NETWORK_LIMIT")?,
            counter("CountryLimit", "COUNTRY_LIMIT")?,
            counter("TotalLimit", "TOTAL_LIMIT")?,
            Self {
                name: "SpendLimit",
                value: environment.text("SPEND_LIMIT").to_owned(),
                enforced: environment.parsed::<Mode<SpendRules>>("SPEND_LIMIT")?.enforced().is_some(),
            },
            Self {
                name: "BlockRecord",
                value: environment.text("BLOCK_RECORD").to_owned(),
                enforced: environment.parsed::<BlockRecordMode>("BLOCK_RECORD")? == BlockRecordMode::On,
            },
        ])
    }
}

/// Evaluates the limits.
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
    Finding::fail(
        Check::Limits,
        found,
        "deploy with rules for these parameters, for example 3/1h, and with BlockRecord=on; with observe or off, they refuse nothing",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass};

    #[test]
    fn only_enforced_limits_pass_and_the_finding_shows_the_settings() {
        for (settings, expected, found) in [
            (
                vec![],
                Pass,
                "PhoneLimit = 1/30s, 3/1h, 10/1d; IpLimit = 40/1h; RangeLimit = 10/1h, 30/1d; NetworkLimit = 60/1h, 200/1d; CountryLimit = 300/1h, 1000/1d; TotalLimit = 10000/1d; SpendLimit = $5/1h, $50/1d; BlockRecord = on",
            ),
            (vec![("BLOCK_RECORD", "observe")], Fail, "BlockRecord = observe"),
            (vec![("IP_LIMIT", "observe 3/1h")], Fail, "IpLimit = observe 3/1h"),
            (vec![("PHONE_LIMIT", "off"), ("TOTAL_LIMIT", "OFF")], Fail, "PhoneLimit = off; TotalLimit = OFF"),
        ] {
            let row = evaluate(&LimitSetting::all(&Environment::of(settings)).unwrap());
            assert_eq!((row.result, row.found.as_str()), (expected, found));
        }
    }
}
