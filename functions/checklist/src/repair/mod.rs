//! The repairs: the only code of this crate that changes the Twilio account.
//!
//! A repair runs if the request names it under `apply`. It changes only what the check of the same name found wrong, and reads
//! the result again before it reports success. It stops starting changes early enough to report all that it changed.

pub mod geo_permissions;
pub mod webhooks;

use crate::report::{Check, CheckStatus, Finding};
use crate::request::Request;
use crate::twilio_api::TwilioError;
use tokio::time::{Instant, timeout_at};

const RUN_AGAIN: &str = "run the checklist again to see the current value";
const REPAIR_AGAIN: &str = "request the repair again";

/// What a repair changed, and the facts as they are afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairOutcome<Facts> {
    /// One finding per change.
    pub changes: Vec<Finding>,
    /// Read again if anything was changed.
    pub facts: Facts,
}

/// The deadlines of a check that can repair.
#[derive(Clone, Copy, Debug)]
pub struct RepairDeadlines {
    /// No change starts after this.
    pub changes: Instant,
    /// No call lasts longer than this.
    pub answer: Instant,
}

impl<Facts> RepairOutcome<Facts> {
    /// The outcome of a check without a repair.
    pub const fn unchanged(facts: Facts) -> Self {
        Self { changes: vec![], facts }
    }
}

impl RepairDeadlines {
    /// Makes a call, and gives it up at the deadline.
    ///
    /// # Errors
    /// [`TwilioError`] of the call, or of the timeout.
    pub async fn call<T>(&self, call: impl Future<Output = Result<T, TwilioError>>) -> Result<T, TwilioError> {
        timeout_at(self.answer, call).await.unwrap_or_else(|_| Err(TwilioError::timed_out()))
    }

    /// Makes a change; `None` if it is too late to start one.
    async fn change<T>(&self, call: impl Future<Output = Result<T, TwilioError>>) -> Option<Result<T, TwilioError>> {
        if Instant::now() >= self.changes { None } else { Some(self.call(call).await) }
    }
}

/// Why nothing may be changed, if these findings forbid it. With credentials of two accounts, a repair could change the account
/// that we don't send from.
#[must_use]
pub fn blocked_by(findings: &[Finding]) -> Option<&'static str> {
    let failed = |check| findings.iter().any(|finding| finding.check == check && finding.result == CheckStatus::Fail);
    if failed(Check::Credentials) {
        Some("the check `credentials` failed, so it is unclear which account would be changed")
    } else if failed(Check::Account) {
        Some("the check `account` failed")
    } else {
        None
    }
}

/// The findings for requested repairs that were not started.
#[must_use]
pub fn not_started(request: Request, reason: &str) -> Vec<Finding> {
    let repairs = [(request.webhooks, Check::Webhooks), (request.geo_permissions, Check::GeoPermissions)];
    let finding = |check| {
        let advice = "fix the `credentials` and `account` failures, then request the repair again";
        Finding::fail(check, format!("nothing was changed: {reason}"), advice)
    };
    repairs.into_iter().filter(|(requested, _)| *requested).map(|(_, check)| finding(check)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Finding;

    #[test]
    fn failed_credentials_or_a_failed_account_block_every_repair() {
        for (finding, is_blocked) in [
            (Finding::pass(Check::Credentials, "…"), false),
            (Finding::fail(Check::Credentials, "…", "…"), true),
            (Finding::unknown(Check::Credentials, "…", "…"), false),
            (Finding::fail(Check::Account, "…", "…"), true),
            (Finding::unknown(Check::Account, "…", "…"), false),
            (Finding::fail(Check::ApiKeyRestricted, "…", "…"), false),
        ] {
            let findings = [Finding::pass(Check::Credentials, "…"), finding.clone()];
            assert_eq!(blocked_by(&findings).is_some(), is_blocked, "{finding:?}");
        }
    }

    #[test]
    fn only_requested_repairs_are_reported_as_not_started() {
        let checks = |request| not_started(request, "…").iter().map(|finding| finding.check).collect::<Vec<_>>();
        assert_eq!(checks(Request::default()), []);
        assert_eq!(checks(Request { webhooks: true, ..Request::default() }), [Check::Webhooks]);
        let both = Request { webhooks: true, geo_permissions: true };
        assert_eq!(checks(both), [Check::Webhooks, Check::GeoPermissions]);
    }
}
