//! May Lambda run enough of our functions at the same time? A new AWS account has 10, for all functions of a region.

use crate::report::{Check, Finding};
use shared::runtime::lambda_account::Concurrency;

const CHECK: Check = Check::Concurrency;

/// Ten sends a second that wait for a slow Twilio, 8 s each, and the webhooks and checks beside them.
const NEEDED: u64 = 100;

/// Evaluates Lambda's quota, or why it could not be read.
#[must_use]
pub fn evaluate(answer: Result<Concurrency, String>) -> Finding {
    let Concurrency { quota, unreserved } = match answer {
        Ok(concurrency) => concurrency,
        Err(reason) => {
            let found = format!("Lambda's quota can't be read: {reason}");
            let advice =
                "check that the function's role allows lambda:GetAccountSettings, or look at Lambda's dashboard";
            return Finding::unknown(CHECK, found, advice);
        }
    };
    let found = format!(
        "all functions without reserved concurrency may have {unreserved} invocations at the same time, of {quota} in this account \
         and region"
    );
    if unreserved >= NEEDED {
        return Finding::pass(CHECK, found);
    }
    let why = format!("{found}; beyond that, webhooks are lost and codes not sent. At least {NEEDED} are needed");
    let advice = if quota >= NEEDED {
        "lower the reserved concurrency of other functions in this region, or request a higher quota"
    } else {
        "request 1,000 for \"Concurrent executions\" of AWS Lambda (L-B99A9384) in Service Quotas; new accounts have 10"
    };
    Finding::fail(CHECK, why, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};

    #[test]
    fn a_quota_is_enough_too_small_reserved_by_others_or_unknown() {
        for (quota, unreserved, expected, advice) in [
            (1000, 1000, Pass, ""),
            (100, 100, Pass, ""),
            (10, 10, Fail, "Service Quotas"),
            (99, 99, Fail, "Service Quotas"),
            (1000, 99, Fail, "reserved concurrency of other functions"),
        ] {
            let row = evaluate(Ok(Concurrency { quota, unreserved }));
            assert_eq!(row.result, expected, "{quota} {unreserved}");
            assert!(row.advice.contains(advice), "{row:?}");
        }
        let row = evaluate(Err("it answered AccessDeniedException (HTTP 403)".to_owned()));
        assert!(row.result == Unknown && row.found.contains("AccessDenied"), "{row:?}");
    }
}
