//! Numbers that can be written in two ways: one handset, one set of limits, one opt-out.

use crate::support::{outcome, sid, start};
use serde_json::json;

const ARGENTINA: [&str; 2] = ["+5491123456789", "+541123456789"];

#[tokio::test]
async fn an_argentine_handset_has_one_limit_and_one_code_however_its_number_is_written() {
    let settings =
        [("ALLOWED_COUNTRIES", "AR"), ("ALLOW_LANDLINES", "true"), ("PHONE_LIMIT", "1/1h"), ("RANGE_LIMIT", "off")];
    for (first, second) in [(ARGENTINA[0], ARGENTINA[1]), (ARGENTINA[1], ARGENTINA[0])] {
        let local = start(settings).await;
        let sent = json!(local.send(first, "203.0.113.7").await.unwrap());
        assert_eq!(outcome(&local.send(second, "198.51.100.1").await), "phone_limit");
        let typed = json!({"phone_number": second, "verification": sent["verification"], "code": local.last_code()});
        assert_eq!(local.check_event(typed).await.unwrap().status(), "approved");
    }
}

#[tokio::test]
async fn a_stop_from_a_mexican_handset_counts_however_its_number_is_written() {
    for from in ["+5215512345678", "+525512345678"] {
        let local = start([("ALLOWED_COUNTRIES", "MX")]).await;
        local.text_in(from, "STOP", &sid(1)).await;
        assert_eq!(outcome(&local.send("+525512345678", "203.0.113.7").await), "opted_out", "{from}");
        local.text_in(from, "START", &sid(2)).await;
        assert_eq!(outcome(&local.send("+525512345678", "203.0.113.7").await), "sent", "{from}");
    }
}

#[tokio::test]
async fn a_number_in_the_form_of_an_old_plan_is_texted_in_the_form_of_today() {
    let local = start([("ALLOWED_COUNTRIES", "MX,GA,CI"), ("PHONE_LIMIT", "1/1h")]).await;
    for (old, today) in [
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+241 06 12 34 56", "+24166123456"),
        ("+225 47 12 34 56", "+2250747123456"),
    ] {
        assert_eq!(outcome(&local.send(old, "203.0.113.7").await), "sent", "{old}");
        assert_eq!(local.system.twilio.messages().last().unwrap().to, today);
        assert_eq!(outcome(&local.send(today, "203.0.113.8").await), "phone_limit", "{old}");
    }
}

#[tokio::test]
async fn a_palestinian_handset_has_one_limit_and_its_approval_releases_the_country_that_counted() {
    let settings =
        [("ALLOWED_COUNTRIES", "IL,PS"), ("PHONE_LIMIT", "1/1h"), ("COUNTRY_LIMIT", "1/1h"), ("BLOCK_RECORD", "off")];
    let numbers = ["+970599123456", "+972599123456"];
    for (first, second) in [(numbers[0], numbers[1]), (numbers[1], numbers[0])] {
        let local = start(settings).await;
        let sent = json!(local.send(first, "203.0.113.7").await.unwrap());
        assert_eq!(outcome(&local.send(second, "203.0.113.8").await), "phone_limit");
        // The country of the second is full by another's code.
        let other = second.replace("9123456", "8123456");
        assert_eq!(outcome(&local.send(&other, "203.0.113.9").await), "sent");
        local.clock.advance_seconds(1);
        let typed = json!({"phone_number": second, "verification": sent["verification"], "code": local.code_to(first)});
        assert_eq!(local.check_event(typed).await.unwrap().status(), "approved");
        // Only the place that was taken is free again.
        let third = |number: &str| number.replace("9123456", "7123456");
        assert_eq!(outcome(&local.send(&third(second), "203.0.113.10").await), "country_limit");
        assert_eq!(outcome(&local.send(&third(first), "203.0.113.11").await), "sent");
    }
}

#[tokio::test]
async fn a_region_whose_mobile_numbers_are_filed_under_another_works_together_with_it() {
    let local = start([("ALLOWED_COUNTRIES", "GP,BL,MF,NO,SJ,FI,AX")]).await;
    for (n, number) in (0..).zip(["+590690001234", "+4741234567", "+358412345678"]) {
        assert_eq!(outcome(&local.send(number, &format!("203.0.113.{n}")).await), "sent", "{number}");
    }
}
