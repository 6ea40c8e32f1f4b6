//! How an accepted message is delivered, and which status callbacks report it.

use super::*;

#[tokio::test]
async fn a_message_goes_from_queued_to_delivered() {
    let mut server = Server::start_at(AT_ONCE).await;
    server.send("Your code").await;
    let changes = server.until_final().await;
    assert_eq!(statuses(&changes), ["queued", "sent", "delivered"]);
    assert_eq!(changes[0].resource()["date_sent"], Value::Null);
    let (_, resource) = server.get(&format!("{}.json", path(&changes[0]))).await;
    let date = "Sun, 01 Mar 2026 12:00:00 +0000";
    let shown = ["status", "date_sent", "date_updated", "error_code", "error_message", "num_segments"];
    let expected = json!(["delivered", date, date, null, null, "1"]);
    assert_eq!(json!(shown.map(|field| &resource[field])), expected);
}

#[tokio::test]
async fn a_messaging_service_chooses_the_sender() {
    let mut server = Server::start_at(AT_ONCE).await;
    let long = "a".repeat(200);
    let (_, taken) = server.post(&[("To", PHONE), ("MessagingServiceSid", SERVICE), ("Body", &long)]).await;
    assert_eq!(
        (&taken["status"], &taken["from"], &taken["num_segments"]),
        (&json!("accepted"), &Value::Null, &json!("0"))
    );
    let changes = server.until_final().await;
    assert_eq!(statuses(&changes), ["accepted", "queued", "sent", "delivered"]);
    let chosen = changes[1].resource();
    assert_eq!(
        (&chosen["from"], &chosen["num_segments"], &chosen["price_unit"]),
        (&json!(OURS), &json!("2"), &json!("USD"))
    );
    let (_, page) = server.get(&messages("?From=%2B14155550100")).await;
    assert_eq!(bodies(&page), [&long]);
}

#[tokio::test]
async fn a_fault_decides_how_a_message_ends() {
    let code = |code| Kind::TwilioError { code };
    let cases: [(Kind, &[&str], Value); 3] = [
        (code(30003), &["queued", "sent", "undelivered"], json!([30003, "Unreachable destination handset"])),
        (code(30008), &["queued", "sent", "undelivered"], json!([30008, "Unknown error"])),
        // Never sent, so nothing to be undelivered.
        (code(30001), &["queued", "failed"], json!([30001, "Queue overflow"])),
    ];
    for (kind, expected, error) in cases {
        let mut server = Server::start_at(AT_ONCE).await;
        server.fault(kind);
        let (status, taken) = server.post(&changed(&[])).await;
        assert_eq!((status, &taken["error_code"]), (201, &Value::Null));
        let changes = server.until_final().await;
        assert_eq!(statuses(&changes), expected, "{kind:?}");
        let last = changes.last().unwrap().resource();
        assert_eq!(json!([last["error_code"], last["error_message"]]), error, "{kind:?}");
        assert_eq!(server.twilio.exchanges().latest()[0].fault.as_deref(), Some(kind.as_str()));
        server.send("Once only").await;
        assert_eq!(statuses(&server.until_final().await), ["queued", "sent", "delivered"]);
    }
    let server = Server::start().await;
    server.fault(Kind::LateDelivery { seconds: 45 });
    server.send("Your code").await;
    assert_eq!(server.twilio.messages()[0].plan.delivered_after_ms, 45_000);
}

#[tokio::test]
async fn a_status_callback_hears_of_each_state_in_order_and_signed() {
    let mut app = App::start(|_| StatusCode::NO_CONTENT.into_response()).await;
    let mut server = Server::start_at(AT_ONCE).await;
    // Twilio's connection overrides are for Twilio: the app sees no fragment, and the signature covers none.
    let url = format!("{}/status?order=7#rc=3&rp=all", app.url);
    let (_, message) = server.post(&changed(&[("StatusCallback", &url)])).await;
    let mut tokens = vec![];
    for status in ["queued", "sent", "delivered"] {
        let seen = app.next().await;
        let form = seen.form(&app);
        let names = ["MessageStatus", "SmsStatus", "MessageSid", "SmsSid", "AccountSid", "From", "To", "ApiVersion"];
        let sid = message["sid"].as_str().unwrap();
        let expected = [status, status, sid, sid, ACCOUNT, OURS, PHONE, "2010-04-01"];
        assert_eq!(fields(&form, names), expected.map(|value| Some(value.to_owned())));
        let done = (status == "delivered").then(|| "2603011200".to_owned());
        let rest = fields(&form, ["RawDlrDoneDate", "ErrorCode", "MessagingServiceSid"]);
        assert_eq!(rest, [done, None, None]);
        assert_eq!((&*seen.method, &*seen.uri), ("POST", "/status?order=7"));
        assert_eq!(seen.header("user-agent"), "TwilioProxy/1.1");
        assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded; charset=UTF-8");
        tokens.push(seen.header("i-twilio-idempotency-token").to_owned());

        let exchange = server.exchange(ExchangeKind::StatusCallback).await;
        assert_eq!((&*exchange.title, exchange.summary), ("POST /status", format!("{status} → 204")));
        assert_eq!((exchange.outcome, &exchange.request["MessageStatus"]), (ExchangeOutcome::Ok, &json!(status)));
        assert_eq!(exchange.response, json!({"status": 204, "body": ""}));
    }
    assert!(tokens[0].len() == 36 && tokens[0] != tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
}

#[tokio::test]
async fn a_status_callback_hears_of_a_failure_with_its_code() {
    let mut app = App::start(|_| StatusCode::OK.into_response()).await;
    let server = Server::start_at(AT_ONCE).await;
    server.fault(Kind::TwilioError { code: 30003 });
    let url = format!("{}/status", app.url);
    let service = [("From", ""), ("MessagingServiceSid", SERVICE), ("StatusCallback", &url)];
    server.post(&changed(&service)).await;
    for expected in ["queued", "sent", "undelivered"] {
        let form = app.next().await.form(&app);
        let [status, code, service] = fields(&form, ["MessageStatus", "ErrorCode", "MessagingServiceSid"]);
        assert_eq!((status.as_deref(), service.as_deref()), (Some(expected), Some(SERVICE)));
        assert_eq!(code.as_deref(), (expected == "undelivered").then_some("30003"));
    }
}

#[tokio::test]
async fn a_failed_status_callback_is_reported_with_twilios_code_and_delays_nothing() {
    let broken = App::start(|_| (StatusCode::NOT_FOUND, "Where?").into_response()).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let timeouts = TwilioTimeouts { webhook: Duration::from_millis(50), ..PATIENT };
    for (url, timeouts, expected, outcome) in [
        (broken.url.clone(), PATIENT, "queued → 404, 11217: ", ExchangeOutcome::Refused),
        (format!("http://{nobody}/"), PATIENT, "queued → 11205: ", ExchangeOutcome::Failed),
        (silent_url, timeouts, "queued → 11203: ", ExchangeOutcome::Failed),
        (
            "https://example.com/".to_owned(),
            PATIENT,
            "queued → not called, since https://example.com/ is not on",
            ExchangeOutcome::Refused,
        ),
        (
            "https://127.0.0.1/".to_owned(),
            PATIENT,
            "queued → not called, since https://127.0.0.1/ is not on",
            ExchangeOutcome::Refused,
        ),
    ] {
        let mut server = Server::start_with(AT_ONCE, "http://127.0.0.1:9/sms", timeouts, None).await;
        let (status, _) = server.post(&changed(&[("StatusCallback", &url)])).await;
        assert_eq!(status, 201, "{url}");
        let exchange = server.exchange(ExchangeKind::StatusCallback).await;
        assert!(exchange.summary.starts_with(expected), "{url} {}", exchange.summary);
        assert_eq!((exchange.outcome, exchange.number.as_deref()), (outcome, Some(PHONE)), "{url}");
        for next in ["sent", "delivered"] {
            assert!(server.exchange(ExchangeKind::StatusCallback).await.summary.starts_with(next), "{url}");
        }
        assert_eq!(server.twilio.messages()[0].status, DeliveryState::Delivered);
    }
    drop(silent);
}

#[tokio::test]
async fn faults_repeat_reorder_and_forge_status_callbacks() {
    for (kind, expected) in [
        (Kind::DuplicateWebhook, &["queued", "queued", "sent", "delivered"][..]),
        (Kind::OutOfOrderWebhook, &["delivered", "sent", "queued"]),
        (Kind::ForgedSignature, &["queued", "sent", "delivered"]),
    ] {
        let mut app = App::start(|_| StatusCode::OK.into_response()).await;
        let mut server = Server::start_at(AT_ONCE).await;
        server.fault(kind);
        server.post(&changed(&[("StatusCallback", &format!("{}/status", app.url))])).await;
        let (mut seen, mut tokens) = (vec![], vec![]);
        for index in 0..expected.len() {
            let request = app.next().await;
            let is_forged = request.verified(&app.url, "token").is_err();
            assert_eq!(is_forged, kind == Kind::ForgedSignature && index == 0, "{kind:?} {index}");
            let form = Form::parse(&request.body);
            seen.push(form.text("MessageStatus").unwrap().unwrap().to_owned());
            tokens.push(request.header("i-twilio-idempotency-token").to_owned());
        }
        assert_eq!(seen, expected, "{kind:?}");
        assert_eq!(tokens[0] == tokens[1], kind == Kind::DuplicateWebhook, "a repetition says that it is one");
        let exchange = server.exchange(ExchangeKind::StatusCallback).await;
        assert_eq!(exchange.fault.as_deref(), Some(kind.as_str()));
    }
}

#[tokio::test]
async fn a_rotated_auth_token_signs_from_then_on() {
    let mut app = App::start(|_| StatusCode::OK.into_response()).await;
    let server = Server::start_at(AT_ONCE).await;
    server.twilio.set_auth_token("rotated".to_owned());
    server.twilio.set_api_key_secret("secret".to_owned());
    server.post(&changed(&[("StatusCallback", &format!("{}/status", app.url))])).await;
    let seen = app.next().await;
    assert!(seen.verified(&app.url, "rotated").is_ok() && seen.verified(&app.url, "token").is_err());
}

#[tokio::test]
async fn a_forgotten_phone_has_no_messages_and_those_under_way_come_to_nothing() {
    let mut server = Server::start().await;
    let forgotten = server.send("Your code").await;
    server.post(&changed(&[("To", OTHER_PHONE)])).await;
    server.text("STOP").await;
    server.twilio.forget(Some(PHONE));
    assert!(server.twilio.message(&forgotten).is_none() && server.twilio.messages_of(PHONE).is_empty());
    assert_eq!(server.twilio.messages().len(), 1);
    let changed_then = Entry::Changed {
        sid: forgotten,
        status: DeliveryState::Sent,
        error_code: None,
        from: None,
        at: server.twilio.now(),
    };
    assert_eq!(server.twilio.change(changed_then), None);
    server.send("No longer opted out").await;
    server.twilio.forget(None);
    assert!(server.twilio.messages().is_empty());
    let mut notified = vec![];
    while notified.len() < 2 {
        if let Event::Forgotten(number) = server.heard.recv().await.unwrap() {
            notified.push(number);
        }
    }
    assert_eq!(notified, [Some(PHONE.to_owned()), None]);
}

#[tokio::test]
async fn forgetting_everything_leaves_nothing_set_up_and_nothing_under_way() {
    let server = Server::start().await;
    let number = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN00000000000000000000014155550100.json");
    answer(server.authenticated("POST", &number).form(&[("SmsUrl", "http://127.0.0.1:9/other")])).await;
    server.send("Your code").await;
    server.twilio.forget(None);
    assert_eq!(server.get(&number).await.1["sms_url"], "http://127.0.0.1:9/sms");
    // Its carrier would have had it in an hour.
    while server.twilio.tasks().as_mut().unwrap().try_join_next().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_due_by_a_clock_that_was_moved_is_delivered_at_once() {
    let mut server = Server::start_at(NEVER).await;
    server.send("Your code").await;
    for (hour, expected) in [(1, DeliveryState::Sent), (2, DeliveryState::Delivered)] {
        server.now_ms.fetch_add(3_600_000, Ordering::SeqCst);
        server.twilio.remember_clock(hour * 3_600_000);
        let changed = loop {
            if let Event::Message(message) = server.heard.recv().await.unwrap()
                && message.status != DeliveryState::Queued
            {
                break message;
            }
        };
        assert_eq!((changed.status, changed.updated), (expected, server.twilio.now()));
    }
}

#[tokio::test]
async fn an_exchange_says_when_the_requested_url_is_not_the_signed_one() {
    let mut app = App::start(|_| StatusCode::OK.into_response()).await;
    let mut server = Server::start_at(AT_ONCE).await;
    server.post(&changed(&[("StatusCallback", &app.url)])).await;
    let expected = format!("queued → 200; signed for the configured URL, but requested as {}/", app.url);
    assert_eq!(server.exchange(ExchangeKind::StatusCallback).await.summary, expected);
    let seen = app.next().await;
    let request = signature::SignedRequest {
        method: "POST",
        url: &app.url,
        content_type: Some(seen.header("content-type")),
        body: &seen.body,
        signature: Some(seen.header("x-twilio-signature")),
    };
    assert!(signature::verify([&AuthToken::new("token").unwrap()], &request).is_ok(), "as it was set up");
}

#[tokio::test]
async fn after_the_end_nothing_goes_on() {
    let server = Server::start().await;
    server.send("Your code").await;
    assert_eq!(server.twilio.tasks().as_ref().unwrap().len(), 1);
    server.twilio.end();
    server.send("Another").await;
    assert!(server.twilio.tasks().is_none());

    let inner = Arc::downgrade(&server.twilio.0);
    let Server { twilio, .. } = server;
    let lonely = FakeTwilio::with_timeouts(
        twilio.account(),
        TwilioConfig {
            clock: twilio.0.clock.clone(),
            http: twilio.http().clone(),
            exchanges: twilio.exchanges().clone(),
            faults: twilio.faults().clone(),
            timing: NEVER,
            journal: None,
            past: twilio.store().ledger.entries(),
            api_url: String::new(),
            sms_url: String::new(),
        },
        PATIENT,
    );
    lonely.resume_deliveries();
    let gone = Arc::downgrade(&lonely.0);
    drop(lonely);
    assert!(gone.upgrade().is_none(), "a message under way does not keep its Twilio");
    drop((twilio, inner));
}
