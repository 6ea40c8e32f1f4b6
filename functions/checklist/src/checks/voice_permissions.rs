//! Can calls go to numbers that earn a fraudster money? Tollgate never calls, but stolen credentials can.

use super::listed;
use crate::report::{Check, Finding};
use crate::twilio_api::{DialingPermission, TwilioError};

const CHECK: Check = Check::VoicePermissions;

/// Evaluates the dialing permissions.
#[must_use]
pub fn evaluate(permissions: Result<&[DialingPermission], &TwilioError>) -> Finding {
    match permissions {
        Ok(countries) => evaluate_countries(countries),
        Err(error) => Finding::unread(CHECK, "the voice dialing permissions", error),
    }
}

fn evaluate_countries(countries: &[DialingPermission]) -> Finding {
    let open = |enabled: fn(&DialingPermission) -> Option<bool>| {
        let open: Vec<_> = countries.iter().filter(|country| enabled(country) == Some(true)).collect();
        (!open.is_empty()).then(|| listed(open.iter().map(|country| country.iso_code.as_str())))
    };
    let special = open(|country| country.high_risk_special_numbers_enabled);
    let tollfraud = open(|country| country.high_risk_tollfraud_numbers_enabled);
    let kinds = [("premium-rate and special numbers", special), ("numbers known from toll fraud", tollfraud)];
    let found: Vec<_> = kinds.iter().filter_map(|(kind, open)| Some(format!("{kind}: {}", open.as_ref()?))).collect();
    let is_reported = |country: &&DialingPermission| {
        country.high_risk_special_numbers_enabled.is_some() && country.high_risk_tollfraud_numbers_enabled.is_some()
    };
    let unreported: Vec<_> = countries.iter().filter(|country| !is_reported(country)).collect();
    if found.is_empty() && (countries.is_empty() || !unreported.is_empty()) {
        let found = if countries.is_empty() {
            "Twilio's list of countries is empty".to_owned()
        } else {
            let names = listed(unreported.iter().map(|country| country.iso_code.as_str()));
            format!("Twilio does not report whether calls can go to high-risk numbers in {names}")
        };
        return Finding::unknown(
            CHECK,
            found,
            "see which high-risk check boxes are set in the Twilio Console under Voice, Settings, Geo permissions",
        );
    }
    if found.is_empty() {
        return Finding::pass(CHECK, format!("no high-risk numbers in {} countries", countries.len()));
    }
    Finding::fail(
        CHECK,
        format!("calls can go to {}", found.join("; ")),
        "clear the high-risk check boxes in the Twilio Console under Voice, Settings, Geo permissions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};

    #[test]
    fn one_open_high_risk_kind_in_one_country_fails_and_a_missing_value_never_passes() {
        let country = |iso_code: &str, special, tollfraud| DialingPermission {
            iso_code: iso_code.to_owned(),
            high_risk_special_numbers_enabled: special,
            high_risk_tollfraud_numbers_enabled: tollfraud,
        };
        let (us, unsaid) = (country("US", Some(false), Some(false)), country("CA", None, None));
        for (countries, expected, found) in [
            (vec![us.clone()], Pass, "1 countries"),
            (vec![us.clone(), country("LV", Some(true), Some(false))], Fail, "special numbers: 1 (LV)"),
            (vec![us.clone(), country("LV", Some(false), Some(true))], Fail, "toll fraud: 1 (LV)"),
            (vec![unsaid.clone(), country("LV", None, Some(true))], Fail, "toll fraud: 1 (LV)"),
            (vec![us.clone(), unsaid], Unknown, "1 (CA)"),
            (vec![us, country("LV", Some(false), None)], Unknown, "1 (LV)"),
            (vec![], Unknown, "empty"),
        ] {
            let row = evaluate(Ok(&countries));
            assert_eq!(row.result, expected, "{countries:?}");
            assert!(row.found.contains(found), "{}", row.found);
        }
    }
}
