//! Opens and closes countries for SMS. Twilio answers a change with a code for each country, and answers HTTP 200 even if it
//! refuses all of them; so each country is evaluated by itself.

use super::{REPAIR_AGAIN, RUN_AGAIN, RepairDeadlines, RepairOutcome};
use crate::checks::geo_permissions::Differences;
use crate::report::{Check, Finding};
use crate::twilio_api::{MessagingPermission, Session, TwilioError};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use shared::phone::number::Region;
use shared::twilio::error_code::TwilioErrorCode;

const CHECK: Check = Check::GeoPermissions;
/// How many countries one call changes. Twilio documents no limit; a form of this size is about 10 KB.
const BATCH: usize = 100;
/// Twilio refuses to change a high-risk country through the API. <https://www.twilio.com/docs/api/errors/30649>
const CONSOLE_ONLY: u32 = 30_649;
const CONSOLE: &str = "change the country in the Twilio Console under Messaging, Settings, Geo permissions";

/// A country to open or close.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CountryChange {
    country: String,
    open: bool,
}

/// Twilio's answer about one country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ChangeAnswer {
    country_code: String,
    /// 0 on success.
    #[serde(default)]
    error_code: u32,
}

/// Opens and closes what differs from `AllowedCountries`, and reads the permissions again if anything was changed.
pub async fn repair(
    session: &Session<'_>,
    found: Vec<MessagingPermission>,
    allowed: &[Region],
    deadlines: RepairDeadlines,
) -> RepairOutcome<Result<Vec<MessagingPermission>, TwilioError>> {
    let mut attempts = Vec::new();
    for batch in planned(&Differences::of(&found, allowed)).chunks(BATCH) {
        attempts.push((batch.to_vec(), deadlines.change(apply(session, batch)).await));
    }
    let now = if attempts.iter().any(|(_, answer)| answer.is_some()) {
        deadlines.call(session.messaging_permissions()).await
    } else {
        Ok(found)
    };
    let mut changes = Vec::new();
    for (batch, answer) in &attempts {
        changes.extend(batch.iter().map(|change| match answer {
            Some(answer) => change.evaluate(answer.as_deref(), now.as_deref()),
            None => change.not_started(),
        }));
    }
    RepairOutcome { changes, facts: now }
}

fn planned(differences: &Differences) -> Vec<CountryChange> {
    let change = |open| move |country: &String| CountryChange { country: country.clone(), open };
    differences.to_close.iter().map(change(false)).chain(differences.to_open.iter().map(change(true))).collect()
}

async fn apply(session: &Session<'_>, batch: &[CountryChange]) -> Result<Vec<ChangeAnswer>, TwilioError> {
    #[derive(Deserialize)]
    struct Answers {
        permissions: Vec<ChangeAnswer>,
    }
    let item = |change: &CountryChange| {
        let item = json!({"country_code": change.country, "type": "country", "enabled": change.open});
        ("Permissions", item.to_string())
    };
    let form: Vec<_> = batch.iter().map(item).collect();
    let answers = session.submit::<Answers>(Method::PATCH, &session.messaging_permissions_url(), &form).await?;
    Ok(answers.permissions)
}

impl CountryChange {
    const fn verb(&self) -> &'static str {
        if self.open { "opened" } else { "closed" }
    }

    /// Compares what Twilio answered with what it shows now.
    fn evaluate(
        &self,
        answer: Result<&[ChangeAnswer], &TwilioError>,
        now: Result<&[MessagingPermission], &TwilioError>,
    ) -> Finding {
        let is_country = |permission: &&MessagingPermission| permission.country_code == self.country;
        let is_done = now.map(|now| now.iter().find(is_country).is_some_and(|shown| shown.enabled == self.open));
        let finding = match answer {
            Err(error) => self.evaluate_unanswered(error, is_done.ok()),
            Ok(answers) => {
                let answer = answers.iter().find(|answer| answer.country_code == self.country);
                self.evaluate_answer(answer.map(|answer| answer.error_code), is_done)
            }
        };
        finding.of(&self.country)
    }

    fn evaluate_answer(&self, code: Option<u32>, is_done: Result<bool, &TwilioError>) -> Finding {
        let verb = self.verb();
        match (code, is_done) {
            (Some(CONSOLE_ONLY), _) => {
                let found =
                    format!("not {verb}: Twilio changes high-risk countries only in its Console ({CONSOLE_ONLY})");
                Finding::fail(CHECK, found, CONSOLE)
            }
            (Some(code @ 1..), _) => Finding::fail(CHECK, format!("not {verb} ({})", TwilioErrorCode(code)), CONSOLE),
            (None, _) => Finding::fail(CHECK, format!("not {verb}: Twilio's answer leaves the country out"), CONSOLE),
            (Some(0), Err(error)) => Finding::unknown(CHECK, format!("{verb}, but not confirmed ({error})"), RUN_AGAIN),
            (Some(0), Ok(true)) => Finding::pass(CHECK, verb),
            (Some(0), Ok(false)) => {
                let found = format!("Twilio answered that the country was {verb}, but shows that it was not");
                Finding::fail(CHECK, found, CONSOLE)
            }
        }
    }

    /// Without an answer, the change may still have been made; `is_done` says so, if it could be read.
    fn evaluate_unanswered(&self, error: &TwilioError, is_done: Option<bool>) -> Finding {
        let verb = self.verb();
        match is_done {
            Some(true) => {
                let found = format!("{verb}: Twilio shows the change, but its answer was lost ({error})");
                Finding::pass(CHECK, found)
            }
            None if error.may_have_taken_effect() => {
                Finding::unknown(CHECK, format!("may have been {verb} ({error})"), RUN_AGAIN)
            }
            _ => Finding::fail(CHECK, format!("not {verb} ({error})"), CONSOLE),
        }
    }

    fn not_started(&self) -> Finding {
        let found = format!("not {}, because there was no time left", self.verb());
        Finding::unknown(CHECK, found, REPAIR_AGAIN).of(&self.country)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};

    fn permission(country_code: &str, prefix: &str, enabled: bool) -> MessagingPermission {
        MessagingPermission { country_code: country_code.to_owned(), prefix: Some(prefix.to_owned()), enabled }
    }

    fn close(country: &str) -> CountryChange {
        CountryChange { country: country.to_owned(), open: false }
    }

    #[test]
    fn what_is_open_too_much_is_closed_and_what_is_allowed_is_opened() {
        let listed = [permission("US", "+1", true), permission("FR", "+33", true), permission("DE", "+49", false)];
        let allowed = ["US".parse().unwrap(), "DE".parse().unwrap()];
        let open = CountryChange { country: "DE".to_owned(), open: true };
        assert_eq!(planned(&Differences::of(&listed, &allowed)), [close("FR"), open]);
    }

    #[test]
    fn each_change_is_done_and_confirmed_or_says_why_not() {
        let answer =
            |country_code: &str, error_code| ChangeAnswer { country_code: country_code.to_owned(), error_code };
        let now = [permission("FR", "+33", false), permission("DE", "+49", true), permission("BD", "+880", true)];
        let changes = ["FR", "DE", "BD", "IR", "IT"].map(close);
        let answers = [answer("FR", 0), answer("DE", 0), answer("BD", 30649), answer("IR", 20001)];
        let rows = changes.each_ref().map(|change| change.evaluate(Ok(&answers), Ok(&now)));
        let results: Vec<_> = rows.iter().map(|row| (row.subject.as_deref().unwrap(), row.result)).collect();
        assert_eq!(results, [("FR", Pass), ("DE", Fail), ("BD", Fail), ("IR", Fail), ("IT", Fail)]);
        assert!(rows[2].found.contains("30649") && rows[2].advice.contains("Console"), "{:?}", rows[2]);

        let error = TwilioError::timed_out();
        assert_eq!(changes[0].evaluate(Ok(&answers), Err(&error)).result, Unknown);
        // FR is closed now, DE is not: what Twilio shows counts, whatever became of the answer.
        for (change, error, now, expected) in [
            (&changes[0], &error, Ok(&now[..]), Pass),
            (&changes[1], &error, Ok(&now[..]), Fail),
            (&changes[0], &error, Err(&error), Unknown),
            (&changes[0], &TwilioError::NotFound, Err(&error), Fail),
        ] {
            assert_eq!(change.evaluate(Err(error), now).result, expected, "{change:?} {error}");
        }
        let row = changes[0].not_started();
        assert!(row.result == Unknown && row.found.contains("no time"), "{row:?}");
    }
}
