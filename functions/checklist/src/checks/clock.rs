//! Is the function's clock right?
//!
//! The windows of limits, the lifetime of codes and the expiry of items depend on it. The `Date` header of Twilio's answers is an
//! independent clock to compare it with.

use crate::report::{Check, Finding};
use crate::twilio_api::TwilioError;
use jiff::fmt::rfc2822::DateTimeParser;

/// A sixth of the shortest default window, and less than the shortest lifetime of a code, 6 s. Lambda's clock is accurate to about
/// a millisecond, so a larger difference is a fault. A smaller one can't be distinguished from a slow answer.
const TOLERANCE_MS: i128 = 5_000;
/// A `Date` header has no fraction of a second.
const DATE_RESOLUTION_MS: i128 = 999;

/// Evaluates the `Date` of an answer to a request that was sent at `sent_ms` and answered at `received_ms` by the function's clock.
#[must_use]
pub fn evaluate(sent_ms: u64, received_ms: u64, date: Result<&str, &TwilioError>) -> Finding {
    let date = match date {
        Ok(date) => date,
        Err(error) => return Finding::unread(Check::Clock, "Twilio's clock", error),
    };
    let Ok(theirs) = DateTimeParser::new().parse_timestamp(date) else {
        let error = TwilioError::Unreadable("its Date header is not a date");
        return Finding::unread(Check::Clock, "Twilio's clock", &error);
    };
    // Twilio wrote the Date at some time between the two, so only bounds of the difference are known.
    let theirs_ms = i128::from(theirs.as_millisecond());
    let least = theirs_ms - i128::from(received_ms);
    let most = theirs_ms + DATE_RESOLUTION_MS - i128::from(sent_ms);
    if least > TOLERANCE_MS || most < -TOLERANCE_MS {
        let (by, way) = if least > 0 { (least, "behind") } else { (-most, "ahead of") };
        let found = format!("the clock is at least {} s {way} Twilio's", by / 1000);
        let advice = "set the machine's clock right; on AWS, open a support case if this repeats, because limits and codes depend \
                      on the clock";
        Finding::fail(Check::Clock, found, advice)
    } else if least < -TOLERANCE_MS || most > TOLERANCE_MS {
        Finding::unknown(Check::Clock, "Twilio's answer took too long to compare the clocks", "run the checklist again")
    } else {
        Finding::pass(Check::Clock, format!("within {} s of Twilio's", TOLERANCE_MS / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{self, Fail, Pass, Unknown};

    const NOON: &str = "Sun, 01 Mar 2026 12:00:00 GMT";
    const NOON_MS: u64 = 1_772_366_400_000;

    fn result(sent_ms: u64, received_ms: u64, date: &str) -> CheckStatus {
        evaluate(sent_ms, received_ms, Ok(date)).result
    }

    #[test]
    fn a_clock_is_right_wrong_or_unknown() {
        for (sent, received, expected) in [
            (NOON_MS + 200, NOON_MS + 300, Pass),
            // The fraction that Date leaves out and the round trip are within the tolerance.
            (NOON_MS - 4_000, NOON_MS - 3_900, Pass),
            (NOON_MS + 4_900, NOON_MS + 5_000, Pass),
            (NOON_MS + 5_999 + 1, NOON_MS + 6_100, Fail),
            (NOON_MS - 5_200, NOON_MS - 5_001, Fail),
            (NOON_MS + 3_600_000, NOON_MS + 3_600_100, Fail),
            (0, 100, Fail),
            (NOON_MS - 3_000, NOON_MS + 5_500, Unknown),
            (NOON_MS + 5_500, NOON_MS + 5_600, Unknown),
        ] {
            assert_eq!(result(sent, received, NOON), expected, "{sent} {received}");
        }
        assert_eq!(result(NOON_MS, NOON_MS, "yesterday"), Unknown);
        let error = TwilioError::Unavailable("Twilio did not answer in time".to_owned());
        assert_eq!(evaluate(NOON_MS, NOON_MS, Err(&error)).result, Unknown);
    }

    #[test]
    fn the_finding_says_in_which_direction_and_how_far() {
        let row = evaluate(NOON_MS + 60_999, NOON_MS + 61_100, Ok(NOON));
        assert_eq!(row.found, "the clock is at least 60 s ahead of Twilio's");
        let row = evaluate(NOON_MS - 60_100, NOON_MS - 60_000, Ok(NOON));
        assert_eq!(row.found, "the clock is at least 60 s behind Twilio's");
    }
}
