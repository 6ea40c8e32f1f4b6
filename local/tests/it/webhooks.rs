//! Webhooks: only Twilio's are answered.

use crate::support::{PRIVATE, items, message, outcome, sid, start};
use local::fixtures::{ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER};
use serde_json::{Value, json};
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, sign};

const PHONE: &str = "+14155550123";
const THANKS: &str =
    r#"<?xml version="1.0" encoding="UTF-8"?><Response><Message>Thanks for your message!</Message></Response>"#;
const NO_REPLY: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

macro_rules! event {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../../events/", $name, ".json"))).unwrap()
    };
}

#[tokio::test]
async fn the_events_of_the_repository_are_answered_as_the_readme_says() {
    // No public URL: the domain name that API Gateway gives is the one that Twilio signed.
    let local = start([("PUBLIC_URL", "")]).await;
    for (event, status, body) in [
        (event!("inbound-sms-forged"), 403, "The request is not signed by Twilio for this account."),
        (event!("inbound-sms"), 200, THANKS),
        (event!("inbound-sms-repeat"), 200, THANKS),
        (event!("inbound-sms-emoji"), 200, THANKS),
        (event!("inbound-sms-stop"), 200, NO_REPLY),
    ] {
        assert_eq!(local.event(event).await, (status, body.to_owned()));
    }
    let messages = items(&local, "message#").await;
    assert_eq!(messages.len(), 3, "the repeat is kept once, the forged one not at all");
    let emoji = messages.iter().find(|message| message["body"].as_s().unwrap().contains('☕')).unwrap();
    assert!(emoji["body"].as_s().unwrap().starts_with("On my way 🏃🏽‍♀️ – see you at 7 ☕"));
}

#[tokio::test]
async fn no_key_of_the_table_names_a_person() {
    let local = start([]).await;
    local.send(PHONE, "203.0.113.7").await.unwrap();
    local
        .invoke(json!({"phone_number": PHONE, "ip": "203.0.113.8", "idempotency_key": "jane@example.com"}))
        .await
        .unwrap();
    local.text_in(PHONE, "STOP", &sid(1)).await;
    local.text_in("+14155550100", PRIVATE, &sid(2)).await;
    let items = items(&local, "").await;
    assert!(items.len() >= 6);
    for item in items {
        let pk = item["pk"].as_s().unwrap();
        for personal in ["4155550123", "4155550100", "203.0.113", "jane"] {
            assert!(!pk.contains(personal), "{pk}");
        }
    }
}

#[tokio::test]
async fn a_message_that_twilio_repeats_has_one_effect_and_one_answer() {
    let local = start([("REPLY_LIMIT", "1/1h")]).await;
    let first = local.text_in(PHONE, PRIVATE, &sid(1)).await;
    assert_eq!(first, (200, THANKS.to_owned()));
    // The reply limit is used up: the repeat is answered as the message was, another message is not answered.
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await, first);
    let second = local.text_in(PHONE, PRIVATE, &sid(2)).await;
    assert_eq!(second, (200, NO_REPLY.to_owned()));
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(2)).await, second);
    local.clock.advance_seconds(3600);
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(2)).await, second, "a repeat never turns into a reply");
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(3)).await, first);
    assert_eq!(items(&local, "message#").await.len(), 3, "what is not answered is kept all the same");
}

#[tokio::test]
async fn what_twilio_answers_itself_and_what_would_start_a_loop_gets_no_reply() {
    let local = start([]).await;
    let texts =
        ["STOP", "stopall", " Unsubscribe ", "CANCEL", "End", "quit", "revoke", "OptOut", "START", "yes", "unstop"];
    for (n, text) in texts.into_iter().chain(["HELP", "info"]).enumerate() {
        let answer = local.text_in(PHONE, text, &sid(n as u64)).await;
        assert_eq!(answer, (200, NO_REPLY.to_owned()), "{text}");
    }
    for (n, from) in [OUR_NUMBER, "72345", "AMAZON", "whatsapp:+14155550123"].into_iter().enumerate() {
        let answer = local.text_in(from, PRIVATE, &sid(100 + n as u64)).await;
        assert_eq!(answer, (200, NO_REPLY.to_owned()), "{from}");
    }
    // A keyword within another text is none.
    assert_eq!(local.text_in(PHONE, "Where is the bus stop?", &sid(200)).await, (200, THANKS.to_owned()));

    // A reply is an SMS: it goes only where a code may go. Satellite, premium rate, Jamaica, Germany.
    for (n, from) in ["+881612345678", "+19002345678", "+18762101234", "+4915123456789"].into_iter().enumerate() {
        let answer = local.text_in(from, PRIVATE, &sid(150 + n as u64)).await;
        assert_eq!(answer, (200, NO_REPLY.to_owned()), "{from}");
    }

    // Nor to a landline, unless landlines are allowed.
    for (setting, reply) in [("false", NO_REPLY), ("true", THANKS)] {
        let local = start([("ALLOWED_COUNTRIES", "GB"), ("ALLOW_LANDLINES", setting)]).await;
        let answer = local.text_in("+442079460123", PRIVATE, &sid(1)).await;
        assert_eq!(answer, (200, reply.to_owned()), "{setting}");
    }

    // In other languages a Messaging Service says what was meant.
    let form = Form::from_pairs([
        ("AccountSid", ACCOUNT_SID),
        ("Body", "ARRET"),
        ("From", PHONE),
        ("MessageSid", &sid(300)),
        ("OptOutType", "STOP"),
        ("To", OUR_NUMBER),
    ]);
    assert_eq!(local.webhook(AUTH_TOKEN, &form).await, (200, NO_REPLY.to_owned()));
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "opted_out");
}

#[tokio::test]
async fn a_stop_is_recorded_as_people_write_it_and_gets_no_reply() {
    let local = start([("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "off"), ("RANGE_LIMIT", "off")]).await;
    let texts = ["Stop!", "stop all", "opt out", "Please stop texting me", "\u{200b}STOP\u{202c}", "Arrêt", "停止"];
    for (n, text) in (0..).zip(texts) {
        assert_eq!(local.text_in(PHONE, text, &sid(n)).await, (200, NO_REPLY.to_owned()), "{text}");
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "opted_out", "{text}");
        // Only a START undoes it.
        assert_eq!(local.text_in(PHONE, "Start!", &sid(100 + n)).await.0, 200);
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "opted_out", "{text}");
        local.text_in(PHONE, "START", &sid(200 + n)).await;
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent", "{text}");
    }
}

#[tokio::test]
async fn a_stop_on_another_channel_holds_for_sms_and_so_does_its_start() {
    let local = start([("PHONE_LIMIT", "80/1h")]).await;
    for (n, channel) in (0..).zip(["whatsapp:", "rcs:"]) {
        let from = format!("{channel}{PHONE}");
        assert_eq!(local.text_in(&from, "Stop", &sid(n)).await, (200, NO_REPLY.to_owned()), "{channel}");
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "opted_out", "{channel}");
        assert_eq!(local.text_in(&from, "START", &sid(100 + n)).await, (200, NO_REPLY.to_owned()), "{channel}");
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent", "{channel}");
        // No reply to what isn't an SMS.
        assert_eq!(local.text_in(&from, PRIVATE, &sid(200 + n)).await, (200, NO_REPLY.to_owned()), "{channel}");
    }
    // Accounts of a channel that show no number.
    for (n, from) in (300..).zip(["whatsapp:US.13491208655302741918", "messenger:14155550123"]) {
        assert_eq!(local.text_in(from, "STOP", &sid(n)).await, (200, NO_REPLY.to_owned()), "{from}");
    }
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
}

#[tokio::test]
async fn the_reply_is_a_setting_and_can_inject_no_xml() {
    let local = start([("REPLY_TEXT", "<Redirect>&\"'</Redirect>")]).await;
    let (_, body) = local.text_in(PHONE, PRIVATE, &sid(1)).await;
    assert!(body.contains("<Message>&lt;Redirect&gt;&amp;&quot;&apos;&lt;/Redirect&gt;</Message>"), "{body}");

    let local = start([("REPLY_TEXT", "")]).await;
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await, (200, NO_REPLY.to_owned()));
}

#[tokio::test]
async fn a_picture_without_text_is_a_message() {
    let local = start([]).await;
    let sid = format!("MM{:032x}", 7);
    let form = Form::from_pairs([
        ("AccountSid", ACCOUNT_SID),
        ("From", PHONE),
        ("MediaUrl0", "https://api.twilio.com/1"),
        ("MediaUrl1", "https://api.twilio.com/2"),
        ("MessageSid", &sid),
        ("NumMedia", "2"),
        ("To", OUR_NUMBER),
    ]);
    assert_eq!(local.webhook(AUTH_TOKEN, &form).await, (200, THANKS.to_owned()));
    let kept = &items(&local, "message#").await[0];
    assert_eq!(kept["media"].as_l().unwrap().len(), 2);
    assert_eq!(kept["body"].as_s().unwrap(), "");
}

#[tokio::test]
async fn what_twilio_signed_but_is_no_message_is_a_400() {
    let local = start([]).await;
    let full =
        [("AccountSid", ACCOUNT_SID), ("Body", PRIVATE), ("From", PHONE), ("MessageSid", &sid(1)), ("To", OUR_NUMBER)];
    let without = |name: &str| Form::from_pairs(full.into_iter().filter(|(field, _)| *field != name));
    let with = |name: &'static str, value: &'static str| Form::from_pairs(full.into_iter().chain([(name, value)]));
    for (form, reason) in [
        (without("AccountSid"), "AccountSid"),
        (without("MessageSid"), "MessageSid"),
        (without("From"), "From"),
        (without("To"), "To"),
        (with("From", "+14155550100"), "twice"),
        (with("MessageSid", "SM1"), "twice"),
        (with("SmsStatus", "delivered"), "status callback"),
        (Form::parse(b"AccountSid=AC00000000000000000000000000000001&MessageSid=SMx&From=a&To=b"), "32 hexadecimal"),
        (
            Form::parse(&[b"Body=%FF&", Form::from_pairs(full).encoded().replace("Body", "B").as_bytes()].concat()),
            "UTF-8",
        ),
    ] {
        let (status, body) = local.webhook(AUTH_TOKEN, &form).await;
        assert_eq!(status, 400, "{reason}: {body}");
        assert!(body.contains(reason) && !body.contains(PRIVATE), "{body}");
    }
    assert!(items(&local, "message#").await.is_empty());
}

#[tokio::test]
async fn another_account_and_another_token_are_refused() {
    let local = start([]).await;
    let form = message(PHONE, PRIVATE, &sid(1));
    assert_eq!(local.webhook("ffffffffffffffffffffffffffffffff", &form).await.0, 403);
    let other = form.encoded().replace(ACCOUNT_SID, "AC99999999999999999999999999999999");
    assert_eq!(local.webhook(AUTH_TOKEN, &Form::parse(other.as_bytes())).await.0, 403);
    assert!(items(&local, "message#").await.is_empty());
}

/// An event for `/sms` whose signature is for `signed_url`, with one thing changed.
fn event(signed_url: &str, change: impl FnOnce(&mut Value)) -> Value {
    let form = message(PHONE, PRIVATE, &sid(1));
    let signature = sign(&AuthToken::new(AUTH_TOKEN).unwrap(), signed_url, &form);
    let mut event = json!({
        "version": "2.0",
        "rawPath": "/sms",
        "rawQueryString": "",
        "headers": {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature, "host": "spoofed.example"},
        "requestContext": {
            "domainName": "abc.execute-api.us-east-1.amazonaws.com",
            "http": {"method": "POST", "path": "/sms", "protocol": "HTTP/1.1", "sourceIp": "54.0.0.1", "userAgent": "TwilioProxy/1.1"},
            "stage": "$default",
        },
        "body": form.encoded(),
        "isBase64Encoded": false,
    });
    change(&mut event);
    event
}

#[tokio::test]
async fn the_url_is_the_one_that_api_gateway_or_the_setting_knows() {
    let default = "https://abc.execute-api.us-east-1.amazonaws.com/sms";
    let public = "https://sms.example.com/twilio/sms";
    let behind = start([("PUBLIC_URL", "https://sms.example.com/twilio")]).await;
    let mapped = |event: &mut Value| event["rawPath"] = "/twilio/sms".into();
    let direct = start([("PUBLIC_URL", "")]).await;

    let prod = |event: &mut Value| {
        event["rawPath"] = "/prod/sms".into();
        event["requestContext"]["stage"] = "prod".into();
    };
    let query = |event: &mut Value| event["rawQueryString"] = "a=b%20c&d=It's".into();
    let headers = |event: &mut Value| {
        for name in ["host", "x-forwarded-host", "x-original-host"] {
            event["headers"][name] = "spoofed.example".into();
        }
    };
    let unchanged = |_: &mut Value| {};
    for (name, local, event, status) in [
        ("the default stage", &direct, event(default, unchanged), 200),
        ("a named stage", &direct, event("https://abc.execute-api.us-east-1.amazonaws.com/prod/sms", prod), 200),
        ("a query, byte for byte", &direct, event(&format!("{default}?a=b%20c&d=It's"), query), 200),
        ("a query that was decoded", &direct, event(&format!("{default}?a=b c&d=It's"), query), 403),
        ("a spoofed host", &direct, event("https://spoofed.example/sms", headers), 403),
        ("a public URL", &behind, event(public, unchanged), 200),
        ("a public URL whose path the API knows too", &behind, event(public, mapped), 200),
        (
            "a public URL whose path a CDN strips, and the rest begins like it",
            &behind,
            event("https://sms.example.com/twilio/twilio/sms", mapped),
            200,
        ),
        ("a public URL before a named stage", &behind, event(public, prod), 200),
        ("a public URL, but signed for the other one", &behind, event(default, unchanged), 403),
        ("a spoofed host before a public URL", &behind, event("https://spoofed.example/sms", headers), 403),
    ] {
        assert_eq!(local.event(event).await.0, status, "{name}");
    }
}

#[tokio::test]
async fn an_event_that_is_not_what_api_gateway_makes_gets_one_clear_answer() {
    let local = start([("PUBLIC_URL", "")]).await;
    let url = "https://abc.execute-api.us-east-1.amazonaws.com/sms";
    let set = |pointer: &'static str, value: Value| {
        move |event: &mut Value| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            event.pointer_mut(parent).unwrap()[name] = value;
        }
    };
    for (name, change, status) in [
        ("a body that is not base64", set("/isBase64Encoded", true.into()), 400),
        ("no body", set("/body", Value::Null), 403),
        ("a body of megabytes", set("/body", "a&b&".repeat(500_000).into()), 400),
        ("no domain name", set("/requestContext/domainName", Value::Null), 400),
        ("a method that Twilio never uses", set("/requestContext/http/method", "PUT".into()), 403),
        ("a GET with a body", set("/requestContext/http/method", "GET".into()), 403),
        ("no content type", set("/headers/content-type", "".into()), 403),
        (
            "a content type like the right one",
            set("/headers/content-type", "application/x-www-form-urlencoded-evil".into()),
            403,
        ),
        ("two signatures", set("/headers/x-twilio-signature", "a,b".into()), 403),
        ("no signature", set("/headers", json!({"content-type": "application/x-www-form-urlencoded"})), 403),
        ("no context", set("/requestContext", Value::Null), 400),
    ] {
        assert_eq!(local.event(event(url, change)).await.0, status, "{name}");
    }
    for not_an_event in [json!(null), json!(1), json!("x"), json!([]), json!({}), json!({"requestContext": 7})] {
        assert_eq!(local.event(not_an_event).await.0, 400);
    }
    assert!(items(&local, "message#").await.is_empty());
}
