//! May SMS go to the allowed countries, and to no others?
//!
//! `AllowedCountries` refuses the others before Twilio is asked. Twilio's own permission is the second lock, for whoever gets
//! hold of the credentials. It is by dial code: `+1` is the US, Canada and much of the Caribbean, and which of them Twilio lists
//! by themselves is Twilio's affair. So a country that has the very dial code of an allowed one is neither held against the
//! account nor touched: closing it might close the allowed one. For the same reason nothing is closed whose dial code Twilio
//! does not tell, and nothing is opened that is not in `AllowedCountries`: those are named, for a person to decide.

use super::named;
use crate::report::{Check, Finding};
use crate::twilio_api::{MessagingPermission, PermissionChange, TwilioError};
use shared::phone::number::Region;
use shared::twilio::error_code::TwilioErrorCode;

/// A refusal to change a country of high risk by API. <https://www.twilio.com/docs/api/errors/30649>
const CONSOLE_ONLY: u32 = 30_649;
const CONSOLE: &str = "open the Twilio Console under Messaging, Settings, Geo permissions, and change it there";

/// What is not as `AllowedCountries` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Open, and not allowed.
    pub to_close: Vec<String>,
    /// Allowed, and closed.
    pub to_open: Vec<String>,
    /// Open with an allowed country whose dial code they have.
    pub shared: Vec<String>,
    /// Open, not allowed, and without a dial code: closing them might close an allowed country.
    pub unclear: Vec<String>,
    /// Allowed, not listed by themselves, and closed with every country of their dial code; none of those is allowed.
    pub closed_with_others: Vec<String>,
    /// Allowed, and in no list of Twilio's.
    pub unlisted: Vec<String>,
}

impl Differences {
    /// Compares.
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
            // Listed by itself, or under the country that gives its dial code the name.
            let listed = permissions.iter().find(|permission| permission.country_code == name);
            let under: Vec<_> =
                permissions.iter().filter(|permission| code.is_some() && permission.dial_code() == code).collect();
            match listed {
                Some(permission) if permission.enabled => {}
                Some(_) => differences.to_open.push(name),
                None if under.iter().any(|permission| permission.enabled) => {}
                None if under.is_empty() => differences.unlisted.push(name),
                // Opening that one opens this one.
                None if under.iter().any(|permission| is_allowed(permission)) => {}
                None => differences.closed_with_others.push(name),
            }
        }
        differences.to_open.sort();
        differences.to_open.dedup();
        differences
    }

    /// What would have to be changed: the country, and whether it should be open.
    #[must_use]
    pub fn changes(&self) -> Vec<(&str, bool)> {
        let close = self.to_close.iter().map(|country| (country.as_str(), false));
        close.chain(self.to_open.iter().map(|country| (country.as_str(), true))).collect()
    }

    /// Judges.
    #[must_use]
    pub fn evaluate(&self, allowed: &[Region]) -> Finding {
        let names = |list: &[String]| named(list.iter().map(String::as_str));
        let (mut found, mut advice) = (Vec::new(), Vec::new());
        if !self.to_close.is_empty() {
            found.push(format!("open beyond AllowedCountries: {}", names(&self.to_close)));
        }
        if !self.to_open.is_empty() {
            found.push(format!("allowed, but closed at Twilio: {}", names(&self.to_open)));
        }
        if !found.is_empty() {
            advice.push(
                "repair it with {\"apply\": [\"geo_permissions\"]}, or in the Twilio Console under Messaging, Settings, Geo permissions",
            );
        }
        if !self.unclear.is_empty() {
            found.push(format!(
                "open beyond AllowedCountries, and perhaps with an allowed country, since Twilio tells no dial code of \
                 them: {}",
                names(&self.unclear)
            ));
            advice.push("close them in the Console if no allowed country is closed with them");
        }
        if !self.closed_with_others.is_empty() {
            found.push(format!(
                "allowed, but closed at Twilio with others of their dial code, which AllowedCountries does not have: {}",
                names(&self.closed_with_others)
            ));
            advice.push("open it in the Console, if the others may be open too");
        }
        let failed = !found.is_empty();
        if !self.unlisted.is_empty() {
            found.push(format!("allowed, but not in Twilio's list: {}", names(&self.unlisted)));
            advice.push("look the missing ones up in the Twilio Console");
        }
        if found.is_empty() {
            let allowed: Vec<_> = allowed.iter().map(Region::to_string).collect();
            found.push(format!("open: {}", allowed.join(", ")));
        }
        if !self.shared.is_empty() {
            found.push(format!(
                "open with them, since they share a dial code: {}; AllowedCountries refuses those",
                names(&self.shared)
            ));
        }
        let found = found.join("; ");
        match (failed, self.unlisted.is_empty()) {
            (true, _) => Finding::fail(Check::GeoPermissions, found, advice.join("; ")),
            (false, false) => Finding::unknown(Check::GeoPermissions, found, advice.join("; ")),
            (false, true) => Finding::pass(Check::GeoPermissions, found),
        }
    }
}

/// What became of each change that was asked for: what Twilio said, and what it shows now.
#[must_use]
pub fn evaluate_changes(
    asked: &[(&str, bool)],
    answer: Result<&[PermissionChange], &TwilioError>,
    now: Result<&[MessagingPermission], &TwilioError>,
) -> Vec<Finding> {
    let row = |&(country, enabled): &(&str, bool)| {
        let wish = if enabled { "opened" } else { "closed" };
        let shown = now.map(|now| now.iter().find(|permission| permission.country_code == country));
        let is_seen = shown.is_ok_and(|shown| shown.is_some_and(|permission| permission.enabled == enabled));
        let code = match answer {
            Err(error) => return unanswered(wish, error, is_seen, now.is_ok()).of(country),
            Ok(changes) => changes.iter().find(|change| change.country_code == country).map(|change| change.error_code),
        };
        let row = match (code, now) {
            (Some(CONSOLE_ONLY), _) => Finding::fail(
                Check::GeoPermissions,
                format!(
                    "not {wish}: Twilio lets countries of high risk be changed in its Console only ({CONSOLE_ONLY})"
                ),
                CONSOLE,
            ),
            (Some(code @ 1..), _) => {
                Finding::fail(Check::GeoPermissions, format!("not {wish} ({})", TwilioErrorCode(code)), CONSOLE)
            }
            (None, _) => {
                Finding::fail(Check::GeoPermissions, format!("not {wish}: Twilio says nothing of it"), CONSOLE)
            }
            (Some(0), Err(error)) => Finding::unknown(
                Check::GeoPermissions,
                format!("{wish}, but not confirmed: {error}"),
                "run the checklist again",
            ),
            (Some(0), Ok(_)) if is_seen => Finding::pass(Check::GeoPermissions, wish),
            (Some(0), Ok(_)) => {
                let found = format!("Twilio says that it is {wish}, and shows that it is not");
                Finding::fail(Check::GeoPermissions, found, CONSOLE)
            }
        };
        row.of(country)
    };
    asked.iter().map(row).collect()
}

/// The rows of changes for which there was no time.
#[must_use]
pub fn untried(asked: &[(&str, bool)]) -> Vec<Finding> {
    let row = |&(country, enabled): &(&str, bool)| {
        let found = format!("not {}: there was no time left for it", if enabled { "opened" } else { "closed" });
        Finding::unknown(Check::GeoPermissions, found, "ask for the repair again").of(country)
    };
    asked.iter().map(row).collect()
}

/// A change that Twilio did not confirm may have been made all the same.
fn unanswered(wish: &str, error: &TwilioError, is_seen: bool, is_read: bool) -> Finding {
    let check = Check::GeoPermissions;
    if is_seen {
        Finding::pass(check, format!("{wish}, as Twilio shows, though its answer was lost: {error}"))
    } else if is_read || !error.may_have_taken_effect() {
        Finding::fail(check, format!("not {wish}: {error}"), CONSOLE)
    } else {
        Finding::unknown(check, format!("not known whether {wish}: {error}"), "run the checklist again")
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
    fn what_is_open_too_much_and_what_is_closed_too_much_is_named() {
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
            // The same dial code as an allowed country's can't be closed by itself; a longer one can.
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
    fn nothing_is_opened_that_is_not_allowed_and_nothing_is_closed_that_may_be_shared() {
        let without = |prefix: Option<&str>| MessagingPermission {
            country_code: "XX".to_owned(),
            prefix: prefix.map(str::to_owned),
            enabled: true,
        };
        let us = permission("US", "+1", true);
        for (listed, allowed, changes, expected, found) in [
            // Kazakhstan is not listed, and Russia has its dial code.
            (vec![permission("RU", "+7", false)], "KZ", &[][..], Fail, "1 (KZ)"),
            (vec![permission("RU", "+7", true)], "KZ", &[], Pass, "share a dial code: 1 (RU)"),
            (vec![us.clone(), without(None)], "US", &[], Fail, "no dial code of them: 1 (XX)"),
            (vec![us.clone(), without(Some(""))], "US", &[], Fail, "no dial code of them: 1 (XX)"),
            (vec![us.clone(), without(Some("1"))], "US", &[], Pass, "share a dial code: 1 (XX)"),
            (vec![us.clone(), without(Some("+1 876"))], "US", &[("XX", false)], Fail, "1 (XX)"),
        ] {
            let allowed = regions(&[allowed]);
            let differences = Differences::of(&listed, &allowed);
            assert_eq!(differences.changes(), changes, "{listed:?}");
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

    #[test]
    fn each_change_is_done_and_confirmed_or_says_why_not() {
        let change =
            |country_code: &str, error_code| PermissionChange { country_code: country_code.to_owned(), error_code };
        let now = [permission("FR", "+33", false), permission("DE", "+49", true), permission("BD", "+880", true)];
        let asked = [("FR", false), ("DE", false), ("BD", false), ("IR", false), ("IT", false)];
        let answer = [change("FR", 0), change("DE", 0), change("BD", 30649), change("IR", 20001)];
        let rows = evaluate_changes(&asked, Ok(&answer), Ok(&now));
        let results: Vec<_> = rows.iter().map(|row| (row.subject.as_deref().unwrap(), row.result)).collect();
        assert_eq!(results, [("FR", Pass), ("DE", Fail), ("BD", Fail), ("IR", Fail), ("IT", Fail)]);
        assert!(rows[2].found.contains("30649") && rows[2].advice.contains("Console"), "{:?}", rows[2]);

        let error = TwilioError::Unavailable("Twilio did not answer in time".to_owned());
        assert_eq!(evaluate_changes(&asked[..1], Ok(&answer), Err(&error))[0].result, Unknown);
        // FR is closed now, DE is not: what is there counts, whatever became of the answer.
        for (asked, error, now, expected) in [
            (asked[0], &error, Ok(&now[..]), Pass),
            (asked[1], &error, Ok(&now[..]), Fail),
            (asked[0], &error, Err(&error), Unknown),
            (asked[0], &TwilioError::NotFound, Err(&error), Fail),
        ] {
            assert_eq!(evaluate_changes(&[asked], Err(error), now)[0].result, expected, "{asked:?} {error}");
        }
        let rows = untried(&asked[..2]);
        assert!(rows.iter().all(|row| row.result == Unknown && row.found.contains("no time")), "{rows:?}");
    }
}
