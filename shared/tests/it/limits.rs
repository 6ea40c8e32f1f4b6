use proptest::prelude::*;
use shared::limits::rules::{LimitsError, Period, WindowRules};

#[test]
fn rules_read_as_they_are_written() {
    for (written, shown) in [
        ("3/1h", "3/1h"),
        (" 1/30s,3/1h ,10/1d", "1/30s, 3/1h, 10/1d"),
        ("3/3600s", "3/1h"),
        ("5/90m", "5/90m"),
        ("80/366d", "80/366d"),
        ("1 / 5m", "1/5m"),
    ] {
        assert_eq!(written.parse::<WindowRules>().unwrap().to_string(), shown, "{written}");
    }
}

#[test]
fn a_rule_that_is_wrong_is_refused_with_its_reason() {
    for (written, reason) in [
        ("", "it is empty; write at least one rule, such as 3/1h"),
        ("3/1h,", "the rule \"\" is not of the form count/window, such as 3/1h"),
        ("3 per hour", "the rule \"3 per hour\" is not of the form count/window, such as 3/1h"),
        ("0/1h", "the count of \"0/1h\" must be a whole number from 1 to 80"),
        ("81/1h", "the count of \"81/1h\" must be a whole number from 1 to 80"),
        ("-1/1h", "the count of \"-1/1h\" must be a whole number from 1 to 80"),
        ("+1/1h", "the count of \"+1/1h\" must be a whole number from 1 to 80"),
        ("3/1", "\"1\" is not a duration such as 30s, 10m, 1h or 1d"),
        ("3/0s", "\"0s\" is not a duration such as 30s, 10m, 1h or 1d"),
        ("3/h", "\"h\" is not a duration such as 30s, 10m, 1h or 1d"),
        ("3/1w", "\"1w\" is not a duration such as 30s, 10m, 1h or 1d"),
        ("3/1😀", "\"1😀\" is not a duration such as 30s, 10m, 1h or 1d"),
        ("3/367d", "the window of \"3/367d\" is longer than 366d"),
        ("3/99999999999d", "\"99999999999d\" is not a duration such as 30s, 10m, 1h or 1d"),
    ] {
        assert_eq!(written.parse::<WindowRules>().unwrap_err().to_string(), reason, "{written}");
    }
    assert_eq!("".parse::<Period>(), Err(LimitsError::Period(String::new())));
}

#[test]
fn the_rule_that_takes_longest_is_the_one_that_is_named() {
    let limits: WindowRules = "1/30s, 2/1h".parse().unwrap();
    let exceeded = limits.check(&[100_000, 90_000], 101_000).unwrap_err();
    assert_eq!((exceeded.rule.to_string().as_str(), exceeded.until_ms), ("2/1h", 90_000 + 3_600_000));
}

proptest! {
    #[test]
    fn no_sliding_window_ever_holds_more_than_its_rule_allows(
        gaps_ms in prop::collection::vec(0_u64..40_000, 1..120),
    ) {
        let limits: WindowRules = "1/2s, 3/20s, 5/60s".parse().unwrap();
        let (mut now_ms, mut log) = (1_000_000, Vec::new());
        for gap_ms in gaps_ms {
            now_ms += gap_ms;
            match limits.check(&log, now_ms) {
                Ok(()) => log.insert(0, now_ms),
                Err(exceeded) => {
                    // The wait is exact: refused to its last millisecond, allowed at its end.
                    prop_assert!(limits.check(&log, exceeded.until_ms - 1).is_err());
                    prop_assert!(limits.check(&log, exceeded.until_ms).is_ok());
                }
            }
        }
        for (count, window_ms) in [(1, 2_000), (3, 20_000), (5, 60_000)] {
            for newest in &log {
                let within = log.iter().filter(|at| *at <= newest && *at + window_ms > *newest).count();
                prop_assert!(within <= count, "{} in {} ms", within, window_ms);
            }
        }
    }

    #[test]
    fn hostile_rules_never_panic_and_good_ones_survive_being_shown(text in "[0-9/smhd, +\\-]{0,24}|.{0,24}") {
        if let Ok(limits) = text.parse::<WindowRules>() {
            prop_assert_eq!(limits.to_string().parse::<WindowRules>().unwrap(), limits);
        }
    }
}
