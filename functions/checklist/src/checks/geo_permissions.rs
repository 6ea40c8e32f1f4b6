//! Can SMS go to the allowed countries, and to no others?
//!
//! `AllowedCountries` refuses the others before Twilio is called. Twilio's own permissions are the second barrier, against stolen
//! credentials. They work by dial code: `+1` is the US, Canada and much of the Caribbean, and only Twilio decides which of these
//! it lists separately. So a country with exactly the dial code of an allowed one is accepted and never closed, because that
//! could close the allowed one. For the same reason, a country whose dial code Twilio does not report is not closed, and a
//! country outside `AllowedCountries` is not opened. Those are named instead, so that the operator can decide.

use super::listed;
use crate::report::{Check, Finding};
use crate::twilio_api::{MessagingPermission, TwilioError};
use shared::phone::number::Region;

const CHECK: Check = Check::GeoPermissions;
const REPAIR: &str = "run the checklist with {\"apply\": [\"geo_permissions\"]}, or change them in the Twilio Console under \
                      Messaging, Settings, Geo permissions";
const CLOSE_UNCLEAR: &str = "close the countries without a dial code in the Console, if this closes no allowed country";
const OPEN_WITH_OTHERS: &str =
    "open the allowed countries in the Console, if the others of their dial code may be open too";
const FIND_UNLISTED: &str = "find the missing countries in the Twilio Console, and check that they are open";

/// Evaluates the permissions.
#[must_use]
pub fn evaluate(permissions: Result<&[MessagingPermission], &TwilioError>, allowed: &[Region]) -> Finding {
    match permissions {
        Ok(permissions) => Differences::of(permissions, allowed).evaluate(allowed),
        Err(error) => Finding::unread(CHECK, "the messaging geo permissions", error),
    }
}

/// Where the permissions differ from `AllowedCountries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Open but not allowed.
    pub to_close: Vec<String>,
    /// Allowed but closed.
    pub to_open: Vec<String>,
    /// Open because they have the dial code of an allowed country.
    pub shared: Vec<String>,
    /// Open, not allowed, and without a dial code: to close them could close an allowed country.
    pub unclear: Vec<String>,
    /// Allowed, not listed separately, and closed with all countries of their dial code, none of which is allowed.
    pub closed_with_others: Vec<String>,
    /// Allowed but missing from Twilio's list.
    pub unlisted: Vec<String>,
}

impl Differences {
    /// Compares the permissions with the allowed countries.
    #[must_use]
    pub fn of(permissions: &[MessagingPermission], allowed: &[Region]) -> Self {
        let dial_codes: Vec<_> = allowed
            .iter()
            .map(|region| (region.to_string(), region.dial_code().map(|code| code.to_string())))
            .collect();
        let is_allowed =
            |permission: &MessagingPermission| dial_codes.iter().any(|(name, _)| *name == permission.country_code);
        let mut differences = Self::default();
        for open in permissions.iter().filter(|permission| permission.enabled && !is_allowed(permission)) {
            let list = match open.dial_code() {
                None => &mut differences.unclear,
                code if dial_codes.iter().any(|(_, allowed)| *allowed == code) => &mut differences.shared,
                Some(_) => &mut differences.to_close,
            };
            list.push(open.country_code.clone());
        }
        for (name, code) in dial_codes.iter().cloned() {
            // Listed separately, or under the country that Twilio names the dial code after.
            let listed = permissions.iter().find(|permission| permission.country_code == name);
            let under: Vec<_> =
                permissions.iter().filter(|permission| code.is_some() && permission.dial_code() == code).collect();
            match listed {
                Some(permission) if permission.enabled => {}
                Some(_) => differences.to_open.push(name),
                None if under.iter().any(|permission| permission.enabled) => {}
                None if under.is_empty() => differences.unlisted.push(name),
                // To open the listed one opens this one.
                None if under.iter().any(|permission| is_allowed(permission)) => {}
                None => differences.closed_with_others.push(name),
            }
        }
        differences.to_open.sort();
        differences.to_open.dedup();
        differences
    }

    fn evaluate(&self, allowed: &[Region]) -> Finding {
        let names = |list: &[String]| listed(list.iter().map(String::as_str));
        let (mut found, mut advice) = (Vec::new(), Vec::new());
        if !self.to_close.is_empty() {
            found.push(format!("open beyond AllowedCountries: {}", names(&self.to_close)));
        }
        if !self.to_open.is_empty() {
            found.push(format!("allowed, but closed at Twilio: {}", names(&self.to_open)));
        }
        if !found.is_empty() {
            advice.push(REPAIR);
        }
        if !self.unclear.is_empty() {
            let names = names(&self.unclear);
            found.push(format!("open beyond AllowedCountries, and Twilio reports no dial code: {names}"));
            advice.push(CLOSE_UNCLEAR);
        }
        if !self.closed_with_others.is_empty() {
            let names = names(&self.closed_with_others);
            found.push(format!("allowed, but closed with other countries of the same dial code: {names}"));
            advice.push(OPEN_WITH_OTHERS);
        }
        let failed = !found.is_empty();
        if !self.unlisted.is_empty() {
            found.push(format!("allowed, but missing from Twilio's list: {}", names(&self.unlisted)));
            advice.push(FIND_UNLISTED);
        }
        if found.is_empty() {
            let allowed: Vec<_> = allowed.iter().map(Region::to_string).collect();
            found.push(format!("open: {}", allowed.join(", ")));
        }
        if !self.shared.is_empty() {
            let names = names(&self.shared);
            found.push(format!("also open, because they share a dial code: {names}; AllowedCountries refuses these"));
        }
        let found = found.join("; ");
        match (failed, self.unlisted.is_empty()) {
            (true, _) => Finding::fail(CHECK, found, advice.join("; ")),
            (false, false) => Finding::unknown(CHECK, found, advice.join("; ")),
            (false, true) => Finding::pass(CHECK, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};

    fn permission(country_code: &str, prefix: &str, enabled: bool) -> MessagingPermission {
        MessagingPermission { country_code: country_code.to_owned(), prefix: Some(prefix.to_owned()), enabled }
    }

    fn regions(names: &[&str]) -> Vec<Region> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_open_too_much_and_what_is_closed_too_much_is_listed() {
        let us = permission("US", "+1", true);
        let (closed_fr, open_fr) = (permission("FR", "+33", false), permission("FR", "+33", true));
        for (listed, allowed, expected, to_close, to_open) in [
            (vec![us.clone(), closed_fr.clone()], &["US"][..], Pass, &[][..], &[][..]),
            (vec![us.clone(), open_fr.clone()], &["US"], Fail, &["FR"], &[]),
            (vec![us.clone(), closed_fr.clone()], &["US", "FR"], Fail, &[], &["FR"]),
            (vec![us.clone(), open_fr.clone()], &["FR"], Fail, &["US"], &[]),
            // Twilio has one entry for the US and Canada.
            (vec![us.clone(), closed_fr.clone()], &["US", "CA"], Pass, &[], &[]),
            (vec![us.clone()], &["CA"], Pass, &[], &[]),
            (vec![permission("US", "+1", false)], &["CA", "US"], Fail, &[], &["US"]),
            // A country with the dial code of an allowed one can't be closed separately; one with a longer code can.
            (vec![us.clone(), permission("PR", "+1", true)], &["US"], Pass, &[], &[]),
            (vec![us.clone(), permission("JM", "+1876", true)], &["US"], Fail, &["JM"], &[]),
            (vec![us.clone()], &["US", "IS"], Unknown, &[], &[]),
            (vec![], &["US"], Unknown, &[], &[]),
        ] {
            let allowed = regions(allowed);
            let differences = Differences::of(&listed, &allowed);
            assert_eq!(differences.evaluate(&allowed).result, expected, "{listed:?}");
            assert_eq!(
                (differences.to_close.as_slice(), differences.to_open.as_slice()),
                (
                    to_close.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                    to_open.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                )
            );
        }
    }

    #[test]
    fn no_country_is_opened_that_is_not_allowed_and_none_is_closed_that_may_be_shared() {
        let without = |prefix: Option<&str>| MessagingPermission {
            country_code: "XX".to_owned(),
            prefix: prefix.map(str::to_owned),
            enabled: true,
        };
        let us = permission("US", "+1", true);
        for (listed, allowed, to_close, expected, found) in [
            // Twilio does not list Kazakhstan, which has the dial code of Russia.
            (vec![permission("RU", "+7", false)], "KZ", &[][..], Fail, "1 (KZ)"),
            (vec![permission("RU", "+7", true)], "KZ", &[], Pass, "share a dial code: 1 (RU)"),
            (vec![us.clone(), without(None)], "US", &[], Fail, "no dial code: 1 (XX)"),
            (vec![us.clone(), without(Some(""))], "US", &[], Fail, "no dial code: 1 (XX)"),
            (vec![us.clone(), without(Some("1"))], "US", &[], Pass, "share a dial code: 1 (XX)"),
            (vec![us.clone(), without(Some("+1 876"))], "US", &["XX".to_owned()], Fail, "1 (XX)"),
        ] {
            let allowed = regions(&[allowed]);
            let differences = Differences::of(&listed, &allowed);
            assert_eq!(
                (differences.to_close.as_slice(), differences.to_open.is_empty()),
                (to_close, true),
                "{listed:?}"
            );
            let row = differences.evaluate(&allowed);
            assert!(row.result == expected && row.found.contains(found), "{row:?}");
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let listed: Vec<_> = (0..200).map(|n| permission(&format!("X{n}"), "+999", true)).collect();
        let allowed = regions(&["US"]);
        let row = Differences::of(&listed, &allowed).evaluate(&allowed);
        assert!(row.found.contains("200 (X0, ") && row.found.contains("X19, …)") && !row.found.contains("X20"));
    }
}
