//! A phone texts us.

use super::*;

const NOTHING: &str = "<Response/>";

async fn attached(server: &Server, body: &str, attachments: Vec<Attachment>) -> TextResult {
    server.twilio.text(PHONE, OURS, body, attachments).await.unwrap()
}

#[tokio::test]
async fn the_webhook_gets_what_twilio_sends_signed() {
    let mut app = App::saying(NOTHING).await;
    let server = Server::start_for(&app).await;
    let texted = attached(&server, "Grüße & 👋", vec![]).await;
    let seen = app.next().await;
    assert_eq!((&*seen.method, &*seen.uri), ("POST", "/sms"));
    assert_eq!(seen.header("user-agent"), "TwilioProxy/1.1");
    let form = seen.form(&app);
    let sid = &*texted.message.sid;
    assert!(is_sid(sid, "SM"), "{sid}");
    for (name, expected) in [
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("Body", "Grüße & 👋"),
        ("From", PHONE),
        ("FromCity", ""),
        ("FromCountry", "US"),
        ("FromState", ""),
        ("FromZip", ""),
        ("MessageSid", sid),
        ("MessagingServiceSid", SERVICE),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsMessageSid", sid),
        ("SmsSid", sid),
        ("SmsStatus", "received"),
        ("To", OURS),
        ("ToCity", ""),
        ("ToCountry", "US"),
        ("ToState", ""),
        ("ToZip", ""),
    ] {
        assert_eq!(form.text(name), Ok(Some(expected)), "{name}");
    }
    assert_eq!(form.names().count(), 20, "and nothing else; OptOutType is Advanced Opt-Out's");
    let url = format!("{}/sms", app.url);
    let expected = WebhookCall { url, status: Some(200), twiml: Some(NOTHING.to_owned()), error: None };
    assert_eq!((texted.webhook, texted.replies), (expected, vec![]));
    assert_eq!(server.twilio.messages(), [texted.message]);
}

#[tokio::test]
async fn the_webhook_gets_the_urls_of_the_media() {
    let mut app = App::saying(NOTHING).await;
    let server = Server::start_for(&app).await;
    let attachments = [PNG, b"<html>"].map(|content| Attachment { content: content.to_vec() }).to_vec();
    let message = attached(&server, "", attachments).await.message;
    assert!(is_sid(&message.sid, "MM") && message.num_segments() == 1, "{message:?}");
    let form = app.next().await.form(&app);
    let names = ["NumMedia", "MediaContentType0", "MediaContentType1", "MediaUrl0", "MediaUrl1", "Body"];
    let url = |index: usize| format!("{}{}", app.url, message.media[index].path(&message.path()));
    let expected = ["2", "image/png", "application/octet-stream", &url(0), &url(1), ""];
    assert_eq!(fields(&form, names), expected.map(|value| Some(value.to_owned())));
}

#[tokio::test]
async fn a_get_webhook_has_the_parameters_in_its_signed_query() {
    let mut app = App::saying(NOTHING).await;
    let server = Server::start_for(&app).await;
    let number = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN00000000000000000000014155550100.json");
    let url = format!("{}/get?a=b", app.url);
    answer(server.authenticated("POST", &number).form(&[("SmsUrl", &*url), ("SmsMethod", "GET")])).await;
    server.text("Hi there").await;
    let seen = app.next().await;
    assert!(seen.method == "GET" && seen.uri.starts_with("/get?a=b&") && seen.body.is_empty(), "{}", seen.uri);
    assert_eq!(fields(&seen.form(&app), ["Body", "From", "a"]), ["Hi there", PHONE, "b"].map(|v| Some(v.to_owned())));
}

#[tokio::test]
async fn what_no_phone_could_text_is_refused() {
    let server = Server::start().await;
    let long = "a".repeat(1601);
    let media = |count, bytes| vec![Attachment { content: vec![0; bytes] }; count];
    for (from, to, body, media, expected) in [
        ("4155550123", OURS, "Hi", vec![], "the sender must be in E.164"),
        (OURS, OURS, "Hi", vec![], "belongs to the Twilio account"),
        (PHONE, OTHER_PHONE, "Hi", vec![], "is not a number of the Twilio account; text +14155550100"),
        (PHONE, OURS, "", vec![], "the text is empty"),
        (PHONE, OURS, &long, vec![], "longer than 1600 characters"),
        (PHONE, OURS, "Hi", media(11, 1), "has 11 attachments"),
        (PHONE, OURS, "Hi", media(1, 5 * 1024 * 1024 + 1), "the attachments have 5242881 bytes in total"),
        (PHONE, OURS, "Hi", media(6, 1024 * 1024), "the attachments have 6291456 bytes in total"),
    ] {
        let error = server.twilio.text(from, to, body, media).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(server.twilio.messages().is_empty());
}

#[tokio::test]
async fn what_the_twiml_says_is_sent() {
    let app = App::start(|seen| match &*seen.uri {
        "/sms" => xml("<Response><Message>One</Message><Message to='+14155550124'><Body>Two</Body></Message>\
                       <Redirect method='GET'>next?a=1</Redirect><Message>Never</Message></Response>"),
        uri if seen.method == "GET" && uri.starts_with("/next?a=1&") && uri.contains("Body=Hello") => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "Three\n").into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let mut server = Server::start_for(&app).await;
    let texted = server.text("Hello").await;
    let sent = texted.replies.iter().map(|reply| (&*reply.to, &*reply.body, reply.from.as_deref(), reply.direction));
    let expected = [(PHONE, "One"), (OTHER_PHONE, "Two"), (PHONE, "Three")];
    let expected = expected.map(|(to, body)| (to, body, Some(OURS), Direction::OutboundReply));
    assert_eq!(sent.collect::<Vec<_>>(), expected);
    assert_eq!(texted.webhook.error, None);
    assert!(texted.webhook.twiml.unwrap().contains("One"));
    for _ in 0..3 {
        server.until_final().await;
    }
    assert!(server.twilio.messages().iter().all(|message| message.status.is_final()), "they are delivered");
    let (first, second) =
        (server.twilio.exchanges().latest()[0].clone(), server.twilio.exchanges().latest()[1].clone());
    assert_eq!(
        (&*first.title, &*first.summary, first.outcome),
        ("POST /sms", "200, 4 verbs in TwiML", ExchangeOutcome::Ok)
    );
    assert_eq!((&*second.title, &*second.summary), ("GET /next", "200, 1 verb in TwiML"));
    assert_eq!((&first.request["Body"], &first.response["status"]), (&json!("Hello"), &json!(200)));
}

#[tokio::test]
async fn a_reply_calls_its_status_callback_and_its_action() {
    let mut app = App::start(|seen| match &*seen.uri {
        "/sms" => xml("<Response><Message statusCallback='status?a' action='action'>One</Message>\
                       <Message>Never</Message></Response>"),
        "/action" => xml("<Response><Message>Two</Message></Response>"),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let server = Server::start_for(&app).await;
    let texted = server.text("Hello").await;
    assert_eq!(texted.replies.iter().map(|reply| &*reply.body).collect::<Vec<_>>(), ["One", "Two"]);
    let mut seen = vec![];
    while seen.len() < 5 {
        let request = app.next().await;
        let [status, sid] = fields(&request.form(&app), ["MessageStatus", "MessageSid"]);
        if request.uri != "/sms" {
            assert_eq!(sid.as_deref(), Some(&*texted.replies[0].sid));
        }
        seen.push((request.uri, status.unwrap_or_default()));
    }
    seen.sort();
    let expected = [
        ("/action", "queued"),
        ("/sms", ""),
        ("/status?a", "delivered"),
        ("/status?a", "queued"),
        ("/status?a", "sent"),
    ];
    assert_eq!(seen, expected.map(|(uri, status)| (uri.to_owned(), status.to_owned())));
}

/// What Twilio can't use, by path.
fn invalid_answer(path: &str) -> axum::response::Response {
    match path {
        "/large" => xml(&format!("<Response><Message>{}</Message></Response>", "a".repeat(64 * 1024))),
        "/json" => axum::Json(json!({"reply": "Hi"})).into_response(),
        "/broken" => xml("<Response><Message>Hi</Response>"),
        "/html" => ([(header::CONTENT_TYPE, "text/html")], "<!DOCTYPE html><p>Oops").into_response(),
        "/loop" => xml("<Response><Message>Again</Message><Redirect>/loop</Redirect></Response>"),
        "/quiet-loop" => xml("<Response><Redirect>/quiet-loop</Redirect></Response>"),
        "/circle" => (StatusCode::FOUND, [(header::LOCATION, "/circle")]).into_response(),
        "/nowhere" => StatusCode::MOVED_PERMANENTLY.into_response(),
        "/script" => (StatusCode::SEE_OTHER, [(header::LOCATION, "javascript:alert(1)")]).into_response(),
        "/permanent" => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/odd")]).into_response(),
        "/cached" => StatusCode::NOT_MODIFIED.into_response(),
        "/moved-to-error" => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/error")]).into_response(),
        "/forbidden" => StatusCode::FORBIDDEN.into_response(),
        "/away" => xml("<Response><Redirect>https://example.com/sms</Redirect></Response>"),
        "/elsewhere" => (StatusCode::FOUND, [(header::LOCATION, "https://example.com")]).into_response(),
        "/odd" => xml("<Response><Say>Hi</Say><Message>Hi</Message></Response>"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Oops").into_response(),
    }
}

#[tokio::test]
async fn an_invalid_answer_is_reported_with_twilios_code() {
    let app = App::start(|seen| invalid_answer(&seen.uri)).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let on = |path: &str| format!("{}{path}", app.url);
    for (url, code, status, replies) in [
        (on("/error"), Some(11217), Some(500), 0),
        (on("/forbidden"), Some(11217), Some(403), 0),
        (on("/moved-to-error"), Some(11217), Some(500), 0),
        (on("/circle"), Some(11215), Some(302), 0),
        (on("/nowhere"), Some(11216), Some(301), 0),
        (on("/script"), Some(11216), Some(303), 0),
        (on("/permanent"), Some(11216), Some(308), 0),
        (on("/cached"), Some(11216), Some(304), 0),
        (on("/elsewhere"), None, Some(302), 0),
        (format!("http://{nobody}/"), Some(11205), None, 0),
        (format!("http://{}/", silent.local_addr().unwrap()), Some(11203), None, 0),
        (on("/large"), Some(11750), None, 0),
        (on("/json"), Some(12300), Some(200), 0),
        (on("/broken"), Some(12100), Some(200), 0),
        (on("/html"), Some(12100), Some(200), 0),
        // Ten replies are the most, and fifty documents. The first of the two errors is reported.
        (on("/quiet-loop"), Some(14106), Some(200), 0),
        (on("/loop"), Some(14106), Some(200), 10),
        (on("/away"), None, Some(200), 0),
        (on("/odd"), Some(12200), Some(200), 1),
        ("https://example.com/sms".to_owned(), None, None, 0),
        (String::new(), None, None, 0),
    ] {
        let answer = if code == Some(11203) { Duration::from_millis(50) } else { PATIENT.webhook };
        let server = Server::start_with(NEVER, &url, TwilioTimeouts { webhook: answer, ..PATIENT }, None).await;
        let texted = server.text("Hello").await;
        let error = texted.webhook.error.as_ref().unwrap_or_else(|| panic!("{url} must fail"));
        assert_eq!(
            (error.code(), texted.webhook.status, texted.replies.len()),
            (code, status, replies),
            "{url} {error}"
        );
        let sentence = json!(texted.webhook)["error"].as_str().unwrap().to_owned();
        let expected = match code {
            Some(code) => format!("{code}: "),
            None if url.is_empty() => "the number has no SmsUrl".to_owned(),
            None => "https://example.com".to_owned(),
        };
        assert!(sentence.starts_with(&expected), "{url} {sentence}");
        assert!(
            code.is_some() || url.is_empty() || sentence.ends_with("was not called, since it is not on this machine")
        );
        assert_eq!(server.twilio.messages()[0], texted.message, "the text has come all the same");
    }
    drop(silent);
}

#[tokio::test]
async fn the_fallback_gets_the_error_code_and_the_url_that_failed() {
    let mut app = App::start(|seen| match &*seen.uri {
        // What is only warned of doesn't hide what comes after.
        "/sms" => xml("<Response><Message/><Say>Hi</Say><Redirect>/worse</Redirect></Response>"),
        "/fallback" => xml("<Response><Message>Please try again later</Message></Response>"),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    })
    .await;
    let server = Server::start_for(&app).await;
    let number = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN00000000000000000000014155550100.json");
    let url = format!("{}/fallback", app.url);
    answer(server.authenticated("POST", &number).form(&[("SmsFallbackUrl", &url)])).await;
    let texted = server.text("Hello").await;
    assert_eq!((app.next().await.uri, app.next().await.uri), ("/sms".to_owned(), "/worse".to_owned()));
    let form = app.next().await.form(&app);
    let expected = ["11217".to_owned(), format!("{}/worse", app.url), "Hello".to_owned()].map(Some);
    assert_eq!(fields(&form, ["ErrorCode", "ErrorUrl", "Body"]), expected);
    assert_eq!((texted.webhook.url, texted.webhook.error), (url, None));
    assert_eq!(texted.replies[0].body, "Please try again later");
}

#[tokio::test]
async fn a_reply_that_twilio_would_not_send_is_not_sent_and_is_reported() {
    let long = format!("<Message>{}</Message>", "a".repeat(1601));
    let invalid_body = "14103: Invalid Body (empty without media, or longer than 1600 characters)";
    for (twiml, expected) in [
        ("<Message to='0123'>Hi</Message>", "14101: Invalid \"To\" attribute"),
        ("<Message to='+10000000'>Hi</Message>", "14101: Invalid \"To\" attribute"),
        ("<Message to='+14155550100'>Hi</Message>", "21266: 'To' and 'From' number cannot be the same"),
        (
            "<Message>Hi<Media>javascript:alert(1)</Media></Message>",
            "21620: Media urls: javascript:alert(1) are invalid. Please use only valid http and https urls",
        ),
        ("<Message from='+14155550199'>Hi</Message>", "14102: Invalid \"From\" attribute"),
        ("<Message/>", invalid_body),
        ("<Message><Body> </Body></Message>", invalid_body),
        (&*long, invalid_body),
    ] {
        let twiml = format!("<Response>{twiml}<Message>But this</Message></Response>");
        let app = App::start(move |_| xml(&twiml)).await;
        let mut server = Server::start_for(&app).await;
        let texted = server.text("Hello").await;
        assert_eq!(texted.replies.iter().map(|reply| &*reply.body).collect::<Vec<_>>(), ["But this"]);
        let exchange = server.exchange(ExchangeKind::Twilio).await;
        assert_eq!(
            (&*exchange.title, &*exchange.summary, exchange.outcome),
            ("<Message>", expected, ExchangeOutcome::Refused)
        );
        assert_eq!(json!(texted.webhook)["error"], expected, "the sender's result says so too");
        assert_eq!(texted.webhook.error.unwrap().code(), expected[..5].parse().ok());
    }
}

#[tokio::test]
async fn a_redirect_is_followed_as_a_browser_follows_it_and_signed_anew() {
    for status in [301, 302, 303, 307] {
        let mut app = App::start(move |seen| match &*seen.uri {
            "/sms" => (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "moved/?a=b#rc=1")]).into_response(),
            "/moved/?a=b" => xml("<Response><Message>Hi</Message><Redirect>next</Redirect></Response>"),
            "/moved/next" => xml("<Response><Message>There</Message></Response>"),
            _ => StatusCode::NOT_FOUND.into_response(),
        })
        .await;
        let mut server = Server::start_for(&app).await;
        let texted = server.text("Hello").await;
        assert_eq!(texted.replies.iter().map(|reply| &*reply.body).collect::<Vec<_>>(), ["Hi", "There"], "{status}");
        assert_eq!((texted.webhook.status, texted.webhook.error), (Some(200), None), "{status}");

        let (first, moved) = (app.next().await, app.next().await);
        first.form(&app);
        let body = if status == 307 { Some("Hello".to_owned()) } else { None };
        assert_eq!(moved.method, if status == 307 { "POST" } else { "GET" }, "{status}");
        assert_eq!(fields(&moved.form(&app), ["Body"]), [body], "{status}");
        assert_ne!(first.header("x-twilio-signature"), moved.header("x-twilio-signature"));
        let token = "i-twilio-idempotency-token";
        assert_eq!(first.header(token), moved.header(token), "it is the same call");
        let exchange = server.exchange(ExchangeKind::Webhook).await;
        let expected = format!("200 after a redirect to {}/moved/?a=b, 2 verbs in TwiML", app.url);
        assert_eq!((&*exchange.title, exchange.summary), ("POST /sms", expected));
    }
}

#[tokio::test]
async fn fifty_redirects_are_followed_and_no_more() {
    let app = App::start(|seen| match seen.uri.trim_start_matches('/').parse::<usize>() {
        Ok(0) => xml("<Response><Message>Hi</Message></Response>"),
        Ok(left) => (StatusCode::FOUND, [(header::LOCATION, format!("/{}", left - 1))]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    for (redirects, code, replies) in [(50, None, 1), (51, Some(11215), 0)] {
        let server = Server::start_with(NEVER, &format!("{}/{redirects}", app.url), PATIENT, None).await;
        let texted = server.text("Hello").await;
        let error = texted.webhook.error.and_then(|error| error.code());
        assert_eq!((error, texted.replies.len()), (code, replies), "{redirects}");
    }
}

#[tokio::test]
async fn fifty_documents_are_fetched_and_no_more() {
    let mut app = App::saying("<Response><Redirect>/sms</Redirect></Response>").await;
    let server = Server::start_for(&app).await;
    assert_eq!(server.text("Hello").await.webhook.error.unwrap().code(), Some(14106));
    for _ in 0..50 {
        app.next().await;
    }
    assert!(app.seen.try_recv().is_err());
}

#[tokio::test]
async fn stop_start_and_help_are_answered_by_twilio() {
    let mut app = App::saying("<Response><Message>From the app</Message></Response>").await;
    let mut server = Server::start_for(&app).await;
    let unsubscribed = "You have successfully been unsubscribed. You will not receive any more messages from this number. \
                        Reply START to resubscribe.";
    let resubscribed = "You have successfully been re-subscribed to messages from this number. Reply HELP for help. \
                        Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
    let help = "Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
    for (text, expected, refused) in [
        ("info", &[help, "From the app"][..], false),
        ("stop please", &["From the app"], false),
        (" Stop\n", &[unsubscribed], true),
        ("UNSUBSCRIBE", &[], true),
        ("Hello?", &[], true),
        ("help", &[help], true),
        ("START", &[resubscribed, "From the app"], false),
        ("quit", &[unsubscribed], true),
        ("yes", &[resubscribed, "From the app"], false),
    ] {
        let texted = server.text(text).await;
        assert_eq!(texted.replies.iter().map(|reply| &*reply.body).collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(app.next().await.form(&app).text("Body"), Ok(Some(text)), "the app always gets it");
        for sender in [("From", OURS), ("MessagingServiceSid", SERVICE)] {
            let (status, error) = server.post(&[("To", PHONE), sender, ("Body", "Your code")]).await;
            let expected = if refused { (400, &json!(21610)) } else { (201, &Value::Null) };
            assert_eq!((status, &error["code"]), expected, "{text} {sender:?}");
        }
        assert_eq!(server.post(&changed(&[("To", OTHER_PHONE)])).await.0, 201, "others are not concerned");
    }
    let unsent = "21610: Attempt to send to unsubscribed recipient";
    while server.exchange(ExchangeKind::Twilio).await.summary != unsent {}

    let (_, page) = server.get(&messages("?PageSize=1000")).await;
    assert!(!bodies(&page).contains(&help), "the account's log doesn't show what Twilio itself says");
    let own = server.twilio.messages().into_iter().find(|message| message.by_twilio).unwrap();
    assert_eq!(server.get(&format!("{}.json", path(&own))).await.0, 404);
}

#[tokio::test]
async fn faults_repeat_and_forge_a_webhook() {
    let mut app = App::saying("<Response><Message>Hi</Message></Response>").await;
    let mut server = Server::start_for(&app).await;
    server.fault(Kind::DuplicateWebhook);
    let texted = server.text("Hello").await;
    assert_eq!(texted.replies.len(), 2, "not to answer twice is up to the app");
    let (one, other) = (app.next().await, app.next().await);
    assert_eq!(one.body, other.body);
    let token = "i-twilio-idempotency-token";
    assert_eq!(one.header(token), other.header(token));
    assert_eq!(server.exchange(ExchangeKind::Webhook).await.fault.as_deref(), Some("duplicate_webhook"));

    server.fault(Kind::ForgedSignature);
    server.text("Hello").await;
    let forged = app.next().await;
    assert_eq!(forged.header("x-twilio-signature").len(), 28);
    assert!(forged.verified(&app.url, "token").is_err());
    server.text("Hello").await;
    assert!(app.next().await.verified(&app.url, "token").is_ok());
}

#[tokio::test]
async fn a_repeated_webhook_may_be_answered_as_often_as_the_first() {
    let twiml = format!("<Response>{}</Response>", "<Message>Hi</Message>".repeat(11));
    let app = App::start(move |_| xml(&twiml)).await;
    let server = Server::start_with(NEVER, &format!("{}/sms", app.url), PATIENT, None).await;
    server.fault(Kind::DuplicateWebhook);
    assert_eq!(server.text("Hello").await.replies.len(), 20);
}

/// A text that waits for the next one, so that something can happen meanwhile.
async fn held(server: &Server, body: &'static str) -> tokio::task::JoinHandle<TextResult> {
    server.fault(Kind::OutOfOrderWebhook);
    let twilio = server.twilio.clone();
    let text = tokio::spawn(async move { twilio.text(PHONE, OURS, body, vec![]).await.unwrap() });
    while !server.twilio.faults().list().is_empty() {
        tokio::task::yield_now().await;
    }
    text
}

#[tokio::test]
async fn a_text_is_delivered_even_if_its_sender_hangs_up() {
    let mut app = App::saying("<Response><Message>Hi</Message></Response>").await;
    let mut server = Server::start_for(&app).await;
    held(&server, "impatient").await.abort();
    server.text("next").await;
    for expected in ["next", "impatient"] {
        assert_eq!(app.next().await.form(&app).text("Body"), Ok(Some(expected)));
        assert_eq!(server.exchange(ExchangeKind::Webhook).await.request["Body"], expected);
    }
    while server.twilio.messages_of(PHONE).iter().filter(|message| message.status == DeliveryState::Delivered).count()
        < 2
    {
        server.heard.recv().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_forgotten_before_it_was_answered_is_not_replied_to() {
    let app = App::saying("<Response><Message>Hi</Message></Response>").await;
    for number in [Some(PHONE), None] {
        let server = Server::start_for(&app).await;
        let text = held(&server, "forgotten").await;
        server.twilio.forget(number);
        server.twilio.answered().send(PHONE.to_owned()).unwrap();
        let texted = text.await.unwrap();
        assert_eq!((texted.webhook.error, texted.replies), (Some(WebhookCallError::Ended), vec![]), "{number:?}");
        assert!(server.twilio.messages().is_empty());
    }
}

#[tokio::test]
async fn a_text_without_a_webhook_call_gets_one_after_a_restart_and_no_second() {
    let (folder, mut app) = (Folder::new(), App::saying("<Response><Message>Hi</Message></Response>").await);
    let sms_url = format!("{}/sms", app.url);
    let start = async || {
        let kept = Journal::open(&folder.file()).unwrap();
        Server::start_with(AT_ONCE, &sms_url, PATIENT, Some(kept)).await
    };
    let server = start().await;
    let text = held(&server, "pending").await;
    server.twilio.end();
    assert_eq!(text.await.unwrap().webhook.error, Some(WebhookCallError::Ended));

    let mut server = start().await;
    server.twilio.resume_inbound();
    assert_eq!(app.next().await.form(&app).text("Body"), Ok(Some("pending")));
    assert_eq!(server.until_final().await.pop().unwrap().body, "Hi");
    while server.twilio.messages()[0].last_notified.is_none() {
        tokio::task::yield_now().await;
    }
    server.twilio.end();

    let server = start().await;
    server.twilio.resume_inbound();
    assert!(server.twilio.tasks().as_ref().unwrap().is_empty(), "nothing is left to tell");
}

#[tokio::test]
async fn a_webhook_out_of_order_comes_after_the_next_one() {
    let mut app = App::saying(NOTHING).await;
    let server = Server::start_for(&app).await;
    server.fault(Kind::OutOfOrderWebhook);
    let twilio = server.twilio.clone();
    let first = tokio::spawn(async move { twilio.text(PHONE, OURS, "1", vec![]).await.unwrap() });
    while !server.twilio.faults().list().is_empty() {
        tokio::task::yield_now().await;
    }
    server.twilio.text(OTHER_PHONE, OURS, "another phone's", vec![]).await.unwrap();
    server.text("2").await;
    first.await.unwrap();
    let mut seen = vec![];
    for _ in 0..3 {
        seen.push(app.next().await.form(&app).text("Body").unwrap().unwrap().to_owned());
    }
    assert_eq!(seen, ["another phone's", "2", "1"]);

    let timeouts = TwilioTimeouts { held_webhook: Duration::ZERO, ..PATIENT };
    let alone = Server::start_with(AT_ONCE, &format!("{}/sms", app.url), timeouts, None).await;
    alone.fault(Kind::OutOfOrderWebhook);
    assert_eq!(alone.text("3").await.webhook.status, Some(200), "with no other to come, it comes late");
}
