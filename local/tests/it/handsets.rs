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
