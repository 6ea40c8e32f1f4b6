//! May calls go to numbers that earn money? Tollgate never calls, but whoever has the credentials could.

use super::named;
use crate::report::{Check, Row};
use crate::twilio_account::DialingPermission;

/// Judges the dialing permissions.
#[must_use]
pub fn judge(countries: &[DialingPermission]) -> Row {
    let open = |enabled: fn(&DialingPermission) -> Option<bool>| {
        let open: Vec<_> = countries.iter().filter(|country| enabled(country) == Some(true)).collect();
        (!open.is_empty()).then(|| named(open.iter().map(|country| country.iso_code.as_str())))
    };
    let special = open(|country| country.high_risk_special_numbers_enabled);
    let tollfraud = open(|country| country.high_risk_tollfraud_numbers_enabled);
    let kinds = [("premium-rate and special numbers", special), ("numbers known from toll fraud", tollfraud)];
    let found: Vec<_> = kinds.iter().filter_map(|(kind, open)| Some(format!("{kind}: {}", open.as_ref()?))).collect();
    if found.is_empty() {
        return Row::pass(Check::VoicePermissions, format!("no high-risk numbers in {} countries", countries.len()));
    }
    Row::fail(
        Check::VoicePermissions,
        format!("calls may go to {}", found.join("; ")),
        "in the Twilio Console under Voice, Settings, Geo permissions, take the high-risk marks away",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome::{Fail, Pass};

    #[test]
    fn one_open_high_risk_kind_of_one_country_is_found() {
        let country = |iso_code: &str, special, tollfraud| DialingPermission {
            iso_code: iso_code.to_owned(),
            high_risk_special_numbers_enabled: special,
            high_risk_tollfraud_numbers_enabled: tollfraud,
        };
        let (us, unsaid) = (country("US", Some(false), Some(false)), country("CA", None, None));
        for (open, expected, found) in [
            (us.clone(), Pass, "2 countries"),
            (country("LV", Some(true), Some(false)), Fail, "special numbers: 1 (LV)"),
            (country("LV", Some(false), Some(true)), Fail, "toll fraud: 1 (LV)"),
        ] {
            let countries = if open == us { vec![us.clone(), unsaid.clone()] } else { vec![us.clone(), open] };
            let row = judge(&countries);
            assert_eq!(row.result, expected);
            assert!(row.found.contains(found), "{}", row.found);
        }
    }
}
