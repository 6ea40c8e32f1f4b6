//! Is our clock right?
//!
//! A webhook's signature has no time in it, but everything else goes by our clock: the windows of limits, the life of codes,
//! and the items' expiry. Twilio's `Date` is the other clock that is at hand.

use crate::report::{Check, Finding};
use crate::twilio_api::TwilioError;
use jiff::fmt::rfc2822::DateTimeParser;

/// A sixth of the shortest window of the default limits, and below the shortest life of a code, which is 6 s. Lambda's own
/// clock is right within a millisecond or so: what is this wrong is broken, and what is less can't be told from a slow answer.
const TOLERANCE_MS: i128 = 5_000;
/// A `Date` has no fraction of a second.
const DATE_RESOLUTION_MS: i128 = 999;

/// Judges the `Date` of an answer to a request that went out at `sent_ms` and was answered at `received_ms`, by our clock.
#[must_use]
pub fn evaluate(sent_ms: u64, received_ms: u64, date: Result<&str, &TwilioError>) -> Finding {
    let date = match date {
        Ok(date) => date,
        Err(error) => return Finding::unread(Check::Clock, "Twilio's clock", error),
    };
    let Ok(theirs) = DateTimeParser::new().parse_timestamp(date) else {
        let error = TwilioError::Unreadable("its Date is no date");
        return Finding::unread(Check::Clock, "Twilio's clock", &error);
    };
    // Twilio wrote its Date at some moment between the two, so we only know between what bounds the difference lies.
    let theirs_ms = i128::from(theirs.as_millisecond());
    let least = theirs_ms - i128::from(received_ms);
    let most = theirs_ms + DATE_RESOLUTION_MS - i128::from(sent_ms);
    if least > TOLERANCE_MS || most < -TOLERANCE_MS {
        let (by, way) = if least > 0 { (least, "behind") } else { (-most, "ahead of") };
        let found = format!("our clock is at least {} s {way} Twilio's", by / 1000);
        let advice = "limits and codes go by our clock: open a case with AWS if this stays so in fresh sandboxes, or correct \
                      the machine's clock if this is none of AWS's";
        Finding::fail(Check::Clock, found, advice)
    } else if least < -TOLERANCE_MS || most > TOLERANCE_MS {
        Finding::unknown(Check::Clock, "Twilio's answer took too long to tell the time by", "run the checklist again")
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
    fn a_clock_is_right_wrong_or_cant_be_told() {
        for (sent, received, expected) in [
            (NOON_MS + 200, NOON_MS + 300, Pass),
            // The second that Date leaves out, and the way there and back, are nobody's fault.
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
    fn the_row_says_which_way_and_how_far() {
        let row = evaluate(NOON_MS + 60_999, NOON_MS + 61_100, Ok(NOON));
        assert_eq!(row.found, "our clock is at least 60 s ahead of Twilio's");
        let row = evaluate(NOON_MS - 60_100, NOON_MS - 60_000, Ok(NOON));
        assert_eq!(row.found, "our clock is at least 60 s behind Twilio's");
    }
}
