//! The REST API: what is taken, what is refused, and what is listed.

use super::*;

#[tokio::test]
async fn a_message_is_queued_and_answered_as_twilio_answers() {
    let server = Server::start().await;
    let form = [("To", PHONE), ("From", OURS), ("Body", "Hi"), ("ValidityPeriod", "600"), ("RiskCheck", "enable")];
    let (status, message) = server.post(&form).await;
    assert_eq!(status, 201);
    let sid = message["sid"].as_str().unwrap();
    assert!(is_sid(sid, "SM"), "{sid}");
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}");
    let expected = json!({
        "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "Hi",
        "date_created": "Sun, 01 Mar 2026 12:00:00 +0000", "date_sent": null,
        "date_updated": "Sun, 01 Mar 2026 12:00:00 +0000", "direction": "outbound-api", "error_code": null,
        "error_message": null, "from": OURS, "messaging_service_sid": null, "num_media": "0",
        "num_segments": "1", "price": null, "price_unit": "USD", "sid": sid, "status": "queued",
        "subresource_uris": { "media": format!("{path}/Media.json") }, "to": PHONE,
        "uri": format!("{path}.json"),
    });
    assert_eq!(message, expected);
    assert_eq!(server.get(&format!("{path}.json")).await, (200, expected));
    let kept = &server.twilio.messages()[0];
    assert!(kept.parameters.contains(&("ValidityPeriod".to_owned(), "600".to_owned())), "{kept:?}");
}

#[tokio::test]
async fn through_a_messaging_service_there_is_no_sender_yet() {
    let server = Server::start().await;
    for (name, service) in [("MessagingServiceSid", SERVICE), ("From", SERVICE)] {
        let (status, message) = server.post(&[("To", PHONE), (name, service), ("Body", "Hi")]).await;
        assert_eq!(status, 201, "{message}");
        let shown = ["status", "from", "messaging_service_sid", "num_segments", "price_unit"];
        let expected = [json!("accepted"), Value::Null, json!(SERVICE), json!("0"), Value::Null];
        assert_eq!(shown.map(|field| message[field].clone()), expected);
    }
    let form = [("To", PHONE), ("From", OURS), ("MessagingServiceSid", SERVICE), ("Body", "Hi")];
    let (_, message) = server.post(&form).await;
    assert_eq!((&message["status"], &message["from"]), (&json!("queued"), &json!(OURS)));
}

#[tokio::test]
async fn only_the_account_and_its_key_are_let_in() {
    let server = Server::start().await;
    let path = messages("");
    for (user, password, expected) in [
        (ACCOUNT, "token", 200),
        (KEY, "secret", 200),
        (ACCOUNT, "secret", 401),
        (KEY, "token", 401),
        (ACCOUNT, "", 401),
        ("", "", 401),
    ] {
        let (status, body) = answer(server.request("GET", &path).basic_auth(user, Some(password))).await;
        assert_eq!(status, expected, "{user}:{password} {body}");
    }
    for header in ["", "Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Basic //79/A==", "Bearer token"] {
        let (status, _) = answer(server.request("GET", &path).header("Authorization", header)).await;
        assert_eq!(status, 401, "{header:?}");
    }
    let refused = server.request("POST", &path).send().await.unwrap();
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"Twilio API\"");
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    let more_info = "https://www.twilio.com/docs/errors/20003";
    assert_eq!(body, json!({ "code": 20003, "message": "Authenticate", "more_info": more_info, "status": 401 }));
    assert!(server.twilio.messages().is_empty());
}

#[tokio::test]
async fn a_rotated_auth_token_opens_and_the_old_one_no_longer() {
    let server = Server::start().await;
    server.twilio.set_auth_token("rotated".to_owned());
    for (token, expected) in [("token", 401), ("rotated", 200)] {
        let (status, _) = answer(server.request("GET", &messages("")).basic_auth(ACCOUNT, Some(token))).await;
        assert_eq!(status, expected, "{token}");
    }
    assert_eq!(server.get(&messages("")).await.0, 200, "the API key has not changed");
}

/// Each of these changes makes a valid request one that is refused with this status and code.
async fn assert_refused(cases: &[(Change<'_>, u16, u32)]) {
    let server = Server::start().await;
    for (change, status, code) in cases {
        let (got, error) = server.post(&changed(change)).await;
        assert_eq!((got, &error["code"]), (*status, &json!(code)), "{change:?} {error}");
        assert_eq!(error["status"], *status);
        assert_eq!(error["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
        assert!(!error["message"].as_str().unwrap().contains("{}"), "{error}");
    }
    assert!(server.twilio.messages().is_empty(), "what is refused is not kept");
}

#[tokio::test]
async fn a_request_is_refused_with_the_code_that_twilio_gives() {
    let (long, emoji) = ("a".repeat(1601), "😀".repeat(801));
    let callback = format!("https://example.com/{}", "a".repeat(4000));
    let media = [("MediaUrl", "https://example.com/a.png"); 11];
    assert_refused(&[
        (&[("To", "")], 400, 21604),
        (&[("From", "")], 400, 21603),
        (&[("Body", "")], 400, 21602),
        (&[("Body", &long)], 400, 21617),
        (&[("Body", &emoji)], 400, 21617),
        (&media, 400, 21623),
        (&[("ContentSid", "HX1")], 400, 21655),
        (&[("Body", ""), ("ContentSid", "HX0123456789abcdef0123456789abcdef")], 400, 21655),
        (&[("MediaUrl", "javascript:alert(1)")], 400, 21620),
        (&[("MediaUrl", "https://example.com/a.png"), ("MediaUrl", "data:image/png;base64,AAAA")], 400, 21620),
        (&[("MediaUrl", "/a.png")], 400, 21620),
        (&[("ScheduleType", "fixed"), ("SendAt", "2026-03-01T13:00:00Z")], 400, 35118),
        (&[("SendAt", "2026-03-01T13:00:00Z")], 400, 35118),
        (&[("MessagingServiceSid", SERVICE), ("ScheduleType", "fixed")], 400, 35111),
        (
            &[("MessagingServiceSid", SERVICE), ("ScheduleType", "fixed"), ("SendAt", "2026-03-01T13:00:00Z")],
            400,
            20422,
        ),
        (&[("ValidityPeriod", "0")], 400, 21624),
        (&[("ValidityPeriod", "36001")], 400, 21624),
        (&[("ValidityPeriod", "-1")], 400, 21624),
        (&[("ValidityPeriod", "ten")], 400, 21624),
        (&[("StatusCallback", "nonsense")], 400, 21609),
        (&[("StatusCallback", "ftp://example.com/status")], 400, 21609),
        (&[("StatusCallback", "https://my_app.example.com/status")], 400, 21609),
        (&[("StatusCallback", "#rc=3&rp=all")], 400, 21609),
        (&[("StatusCallback", &callback)], 400, 21609),
        (&[("RiskCheck", "maybe")], 400, 20422),
        (&[("ContentRetention", "burn")], 400, 30029),
        (&[("AddressRetention", "burn")], 400, 30030),
    ])
    .await;
}

#[tokio::test]
async fn a_sender_or_recipient_is_refused_with_the_code_that_twilio_gives() {
    let unknown = SERVICE.replace('0', "1");
    assert_refused(&[
        (&[("From", "not a number")], 400, 21212),
        (&[("From", "\"+14155550100\"")], 400, 21212),
        (&[("From", "+14155550199")], 400, 21606),
        (&[("From", "12345")], 400, 21606),
        (&[("From", "Tollgate")], 400, 21606),
        (&[("From", "+15005550001")], 400, 21212),
        (&[("From", "+15005550007")], 400, 21606),
        (&[("From", "+15005550008")], 429, 21611),
        (&[("From", ""), ("MessagingServiceSid", &unknown)], 400, 21701),
        (&[("MessagingServiceSid", "MG1")], 400, 21705),
        (&[("To", "4155550123")], 400, 21211),
        (&[("To", "+1415")], 400, 21211),
        (&[("To", "+04155550123")], 400, 21211),
        (&[("To", "+١٢٣٤٥٦٧٨٩")], 400, 21211),
        (&[("To", "+10000000")], 400, 21211),
        (&[("To", "+999123456789")], 400, 21211),
        (&[("To", OURS)], 400, 21266),
        (&[("To", "+15005550001")], 400, 21211),
        (&[("To", "+15005550002")], 400, 21612),
        (&[("To", "+15005550003")], 400, 21408),
        (&[("To", "+15005550004")], 400, 21610),
        (&[("To", "+15005550009")], 400, 21614),
    ])
    .await;
}

#[tokio::test]
async fn what_twilio_takes_is_taken() {
    let server = Server::start().await;
    let most = "a".repeat(1600);
    let media = [("MediaUrl", "https://example.com/a.png"); 10];
    let cases: &[Change<'_>] = &[
        &[("Body", &most)],
        &[("From", GOOD_SENDER)],
        &[("To", "+5571981265131")],
        &[("ValidityPeriod", "1")],
        &[("ValidityPeriod", "36000")],
        &[("StatusCallback", "https://user:pass@example.com:8443/status?a=b#rc=2")],
        // Twilio could not reach these; here they are the ones that are called.
        &[("StatusCallback", "http://localhost:8080/status")],
        &[("StatusCallback", "http://[::1]/status")],
        &[("RiskCheck", "disable"), ("ContentRetention", "discard"), ("AddressRetention", "obfuscate")],
        &media,
        &[("To", "+15005550005")],
        &[("Unheard", "of")],
        &[("StatusCallback", "https://example.com#rc=3&rp=all")],
    ];
    for change in cases {
        let (status, message) = server.post(&changed(change)).await;
        assert_eq!(status, 201, "{change:?} {message}");
    }
    let with_media = &server.twilio.messages()[9];
    assert!(with_media.sid.starts_with("MM") && with_media.media.len() == 10, "{with_media:?}");
}

#[tokio::test]
async fn a_body_that_is_no_form_has_no_parameters() {
    let server = Server::start().await;
    for (content_type, body) in [
        ("application/json", "{\"To\":\"+14155550123\"}"),
        ("text/plain", "To=%2B14155550123"),
        ("application/x-www-form-urlencoded", "%%%&=&&\u{0}"),
        ("application/x-www-form-urlencoded", "To"),
    ] {
        let request = server.request("POST", &messages("")).basic_auth(KEY, Some("secret"));
        let (status, error) = answer(request.header("Content-Type", content_type).body(body)).await;
        assert_eq!((status, &error["code"]), (400, &json!(21604)), "{content_type} {body:?}");
    }
    let request = server.request("POST", &messages("")).basic_auth(KEY, Some("secret"));
    let garbage = request.header("Content-Type", "application/x-www-form-urlencoded").body(b"To=\xff%ff".to_vec());
    assert_eq!(answer(garbage).await.1["code"], 21603);
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let server = Server::start().await;
    for body in ["1", "2", "3", "4", "5"] {
        server.send(body).await;
    }
    let (status, first) = server.get(&messages("?PageSize=2&To=%2B14155550123")).await;
    assert_eq!((status, bodies(&first)), (200, vec!["5", "4"]));
    let sid = first["messages"][1]["sid"].as_str().unwrap();
    let uri = messages("?To=%2B14155550123&PageSize=2&Page=0");
    let next = messages(&format!("?To=%2B14155550123&PageSize=2&Page=1&PageToken=PA{sid}"));
    let paging = ["uri", "first_page_uri", "next_page_uri", "previous_page_uri", "page", "page_size", "start", "end"];
    let expected = json!([uri, uri, next, null, 0, 2, 0, 1]);
    assert_eq!(json!(paging.map(|field| &first[field])), expected);

    server.send("6").await;
    let (_, second) = server.get(&next).await;
    assert_eq!(bodies(&second), ["3", "2"], "a new message doesn't shift the page");
    assert_eq!(json!(paging.map(|field| &second[field])).as_array().unwrap()[4..], [1, 2, 2, 3].map(Value::from));
    assert_eq!(second["uri"], next);
    let (_, third) = server.get(second["next_page_uri"].as_str().unwrap()).await;
    assert_eq!((bodies(&third), &third["next_page_uri"]), (vec!["1"], &Value::Null));
    let (_, back) = server.get(third["previous_page_uri"].as_str().unwrap()).await;
    assert_eq!(bodies(&back), ["3", "2"], "the way back is the same");
    let (_, back) = server.get(back["previous_page_uri"].as_str().unwrap()).await;
    assert_eq!((bodies(&back), &back["previous_page_uri"]), (vec!["5", "4"], &Value::Null));
    let (_, again) = server.get(back["next_page_uri"].as_str().unwrap()).await;
    assert_eq!(bodies(&again), ["3", "2"]);

    let (_, all) = server.get(&messages("")).await;
    assert_eq!((bodies(&all).len(), &all["page_size"], &all["end"]), (6, &json!(50), &json!(5)));
    let (status, error) = server.get(&messages("?Page=1&PageSize=2")).await;
    let expected = (400, &json!(20001), &json!("PageToken is required for paging."));
    assert_eq!((status, &error["code"], &error["message"]), expected);
    assert_eq!(server.get(&messages("?Page=0")).await.0, 200, "the first page needs none");
}

#[tokio::test]
async fn messages_are_filtered_by_number_and_by_time() {
    let server = Server::start().await;
    for (day, body) in [("2026-02-28T23:59:59Z", "1"), ("2026-03-01T00:00:00Z", "2"), ("2026-03-02T08:00:00.5Z", "3")] {
        server.now_ms.store(ms(day), Ordering::SeqCst);
        server.send(body).await;
    }
    server.text("4").await;
    for (query, expected) in [
        ("?From=%2B14155550100", vec!["3", "2", "1"]),
        ("?To=%2B14155550100", vec!["4"]),
        ("?To=%2B14155550100&From=%2B14155550100", vec![]),
        ("?DateSent=2026-03-01", vec!["2"]),
        ("?DateSent=2026-03-01T12:00:00Z", vec![]),
        // What Twilio's libraries make of a date.
        ("?DateSent=2026-03-01T00:00:00Z", vec!["2"]),
        ("?DateSent=2026-02-28T23:59:59Z", vec!["1"]),
        ("?DateSent%3E=2026-03-02T08:00:00Z", vec!["4", "3"]),
        ("?DateSent%3E=2026-03-02T08:00:01Z", vec![]),
        ("?DateSent%3C=2026-03-02T08:00:00Z", vec!["4", "3", "2", "1"]),
        ("?DateSent%3C=2026-03-02T07:59:59Z", vec!["2", "1"]),
        ("?DateSent%3C=2026-03-01T00:00:00Z", vec!["2", "1"]),
        ("?DateSent%3E=2026-02-28T23:59:59Z&DateSent%3C=2026-03-01T00:00:00Z", vec!["2", "1"]),
        ("?DateSent%3E=2026-03-01T00:00:01Z&DateSent%3C=2026-03-01T23:59:59Z", vec![]),
        ("?DateSent%3E=2026-03-01", vec!["4", "3", "2"]),
        ("?DateSent%3C=2026-03-01", vec!["2", "1"]),
        ("?DateSent>=2026-03-01&DateSent<=2026-03-01", vec!["2"]),
    ] {
        let (status, page) = server.get(&messages(query)).await;
        assert_eq!((status, bodies(&page)), (200, expected), "{query}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused() {
    let server = Server::start().await;
    server.send("Hi").await;
    for (query, code) in [
        ("?PageSize=0", 20001),
        ("?PageSize=many", 20001),
        ("?PageSize=1001", 20007),
        ("?Page=-1", 20001),
        ("?Page=18446744073709551615", 20001),
        ("?Page=1", 20001),
        ("?Page=65535&PageSize=1000", 20001),
        ("?DateSent=yesterday", 20001),
        ("?DateSent=2026-03-01T25:00:00Z", 20001),
        ("?PageToken=PBSM0", 21481),
        ("?DateSent%3E=2026-02-30", 20001),
        ("?PageToken=PASM0", 21481),
        ("?PageToken=%00%ff", 21481),
    ] {
        let (status, error) = server.get(&messages(query)).await;
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{query}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let sid = server.send("Hi").await;
    let other = ACCOUNT.replace('0', "1");
    for path in [
        format!("/2010-04-01/Accounts/{other}/Messages.json"),
        format!("/2010-04-01/Accounts/{other}/Messages/{sid}.json"),
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}"),
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/SM0.json"),
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/%ff.json"),
        format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json"),
        "/2010-04-01/Accounts//Messages.json".to_owned(),
        "/".to_owned(),
    ] {
        let message = format!("The requested resource {path} was not found");
        let more_info = "https://www.twilio.com/docs/errors/20404";
        let expected = json!({ "code": 20404, "message": message, "more_info": more_info, "status": 404 });
        assert_eq!(server.get(&path).await, (404, expected));
    }
    // A stranger doesn't learn which accounts exist, but learns that this can't be one.
    for (account, expected) in [(other.as_str(), 401), ("invalid", 404)] {
        let path = format!("/2010-04-01/Accounts/{account}/Messages.json");
        assert_eq!(answer(server.request("POST", &path)).await.0, expected, "{account}");
    }
}

#[tokio::test]
async fn a_method_that_a_resource_does_not_have_is_not_allowed() {
    let server = Server::start().await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let request = server.request(method, &messages("")).basic_auth(KEY, Some("secret"));
        let (status, error) = answer(request).await;
        assert_eq!((status, &error["code"]), (405, &json!(20004)), "{method}");
    }
}

#[tokio::test]
async fn debug_output_never_tells_a_credential() {
    let shown = format!("{:?}", Server::start().await.twilio);
    assert!(shown.contains(ACCOUNT) && !shown.contains("token") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn what_is_texted_and_what_is_answered_stand_in_the_same_list() {
    let app = App::saying("<Response><Message>Welcome</Message></Response>").await;
    let server = Server::start_with(NEVER, &format!("{}/sms", app.url), PATIENT, None).await;
    server.send("Your code").await;
    let inbound = server.text("Hello").await.message;
    let (_, page) = server.get(&messages("")).await;
    let shown = page["messages"].as_array().unwrap().iter().map(|m| [&m["direction"], &m["status"], &m["body"]]);
    let expected = json!([
        ["outbound-reply", "queued", "Welcome"],
        ["inbound", "received", "Hello"],
        ["outbound-api", "queued", "Your code"],
    ]);
    assert_eq!(json!(shown.collect::<Vec<_>>()), expected);
    assert_eq!(page["messages"][1]["date_sent"], "Sun, 01 Mar 2026 12:00:00 +0000");
    assert_eq!(server.twilio.message(&inbound.sid), Some(inbound));
}

#[tokio::test]
async fn many_messages_are_found_by_number_without_reading_all() {
    let server = Server::start().await;
    for index in 0..3000_u32 {
        let phone = format!("+1415556{:04}", index % 1000);
        let message =
            Message::new(ACCOUNT, Direction::OutboundApi, Some(OURS), &phone, &index.to_string(), server.twilio.now());
        server.twilio.add_message(message);
    }
    let (_, page) = server.get(&messages("?To=%2B14155560007&From=%2B14155550100")).await;
    assert_eq!(bodies(&page), ["2007", "1007", "7"]);
    let of_phone = server.twilio.messages_of("+14155560007");
    assert_eq!(of_phone.iter().map(|message| &*message.body).collect::<Vec<_>>(), ["7", "1007", "2007"]);
    assert_eq!(server.get(&messages("?To=%2B14155569999")).await.1["messages"], json!([]));
}

#[tokio::test]
async fn a_finished_message_can_be_redacted_and_deleted_and_no_other() {
    let mut server = Server::start_at(AT_ONCE).await;
    server.send("Your code").await;
    let message = server.until_final().await.pop().unwrap();
    let file = format!("{}.json", path(&message));
    let update = |form: &[(&str, &str)]| answer(server.authenticated("POST", &file).form(form));
    for (form, status, code) in [
        (&[("Status", "canceled")], 400, 30409),
        (&[("Status", "sent")], 400, 20422),
        (&[("Body", "Something else")], 400, 20422),
    ] {
        let (got, error) = update(form).await;
        assert_eq!((got, &error["code"]), (status, &json!(code)), "{form:?}");
    }
    let (status, redacted) = update(&[("Body", "")]).await;
    assert_eq!((status, &redacted["body"], &redacted["status"]), (200, &json!(""), &json!("delivered")));
    assert_eq!(server.twilio.message(&message.sid).unwrap().body, "");

    let response = server.authenticated("DELETE", &file).send().await.unwrap();
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::NO_CONTENT, String::new()));
    assert_eq!(server.get(&file).await.0, 404);
    assert!(server.twilio.messages_of(PHONE).is_empty());
    while let Ok(event) = server.heard.try_recv() {
        match event {
            Event::Deleted { number, sid } => assert_eq!((&*number, sid), (PHONE, message.sid.clone())),
            Event::Forgotten(_) => panic!("the phone was not forgotten"),
            _ => continue,
        }
        assert!(!matches!(server.heard.try_recv(), Ok(Event::Message(_))), "the rest of the phone is as it was");
    }

    let slow = Server::start().await;
    let sid = slow.send("Your code").await;
    let file = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json");
    assert_eq!(answer(slow.authenticated("DELETE", &file)).await.1["code"], 20009);
    assert_eq!(answer(slow.authenticated("POST", &file).form(&[("Body", "")])).await.1["code"], 20009);
    assert_eq!(answer(slow.authenticated("POST", &file).form(&[("Status", "canceled")])).await.1["code"], 30409);
    assert_eq!(slow.get(&file).await.1["body"], "Your code");
}

#[tokio::test]
async fn a_number_is_set_up_over_the_api() {
    let server = Server::start().await;
    let list = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    let (status, page) = server.get(&list).await;
    let number = &page["incoming_phone_numbers"][0];
    assert_eq!((status, &number["phone_number"]), (200, &json!(OURS)));
    assert_eq!(number["sid"], "PN00000000000000000000014155550100");
    assert_eq!(number["sms_url"], "http://127.0.0.1:9/sms");
    assert_eq!(number["capabilities"], json!({"fax": false, "mms": true, "sms": true, "voice": true}));
    for (query, found) in [("?PhoneNumber=%2B14155550100", 1), ("?PhoneNumber=555*", 1), ("?PhoneNumber=666", 0)] {
        let (_, page) = server.get(&format!("{list}{query}")).await;
        assert_eq!(page["incoming_phone_numbers"].as_array().unwrap().len(), found, "{query}");
    }

    let uri = number["uri"].as_str().unwrap();
    assert_eq!(server.get(uri).await, (200, number.clone()));
    let set = |form: Vec<(&'static str, &'static str)>| answer(server.authenticated("POST", uri).form(&form));
    server.now_ms.fetch_add(60_000, Ordering::SeqCst);
    let (status, number) =
        set(vec![("SmsUrl", "https://example.com/sms"), ("SmsMethod", "get"), ("FriendlyName", "Codes")]).await;
    let shown = ["sms_url", "sms_method", "friendly_name", "voice_method", "date_created", "date_updated"];
    let expected = [
        "https://example.com/sms",
        "GET",
        "Codes",
        "POST",
        "Sun, 01 Mar 2026 12:00:00 +0000",
        "Sun, 01 Mar 2026 12:01:00 +0000",
    ];
    assert_eq!((status, shown.map(|field| number[field].as_str().unwrap())), (200, expected));
    assert_eq!(set(vec![("SmsUrl", "")]).await.1["sms_url"], "");
    assert_eq!(server.get(uri).await.1["friendly_name"], "Codes", "what is not given stays");
    for (form, code) in [(("SmsUrl", "nonsense"), 21402), (("SmsFallbackMethod", "PUT"), 21403)] {
        assert_eq!(set(vec![form]).await.1["code"], code);
    }
    let other = uri.replace("PN0", "PN1");
    assert_eq!(server.get(&other).await.0, 404);
    assert_eq!(answer(server.request("POST", uri).form(&[("SmsUrl", "")])).await.0, 401);
}

#[tokio::test]
async fn media_on_this_machine_are_fetched_and_served_as_what_they_are() {
    let html = b"<!DOCTYPE html><script>alert(1)</script>";
    let app = App::start(move |seen| match &*seen.uri {
        "/a.png" => ([(header::CONTENT_TYPE, "text/html")], PNG).into_response(),
        "/evil.png" => ([(header::CONTENT_TYPE, "image/png")], html.to_vec()).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let server = Server::start().await;
    let urls = ["/a.png", "/evil.png", "/gone.png"].map(|path| format!("{}{path}", app.url));
    let mut form = vec![("To", PHONE), ("From", OURS)];
    form.extend(urls.iter().map(|url| ("MediaUrl", url.as_str())));
    form.push(("MediaUrl", "https://example.com/b.png"));
    let (status, resource) = server.post(&form).await;
    assert_eq!((status, &resource["num_media"], &resource["num_segments"]), (201, &json!("4"), &json!("1")));

    let message = server.twilio.messages().pop().unwrap();
    assert!(is_sid(&message.sid, "MM"), "{}", message.sid);
    let kept = message.media.iter().map(|media| (media.content.as_ref().map(Bytes::len), media.content_type()));
    let none = (None, "application/octet-stream");
    let expected = [(Some(PNG.len()), "image/png"), (Some(html.len()), "application/octet-stream"), none, none];
    assert_eq!(kept.collect::<Vec<_>>(), expected);
    assert_eq!(message.media[3].source.as_deref(), Some("https://example.com/b.png"));

    for (media, content_type, disposition, content) in [
        (&message.media[0], "image/png", None, PNG),
        (&message.media[1], "application/octet-stream", Some("attachment"), html),
    ] {
        let response = server.request("GET", &media.path(&message.path())).send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some(content_type));
        assert_eq!(header("content-disposition"), disposition);
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("content-security-policy"), Some("sandbox; default-src 'none'"));
        assert_eq!(response.bytes().await.unwrap(), content);
    }
    let not_here = server.request("GET", &message.media[3].path(&message.path())).send().await.unwrap();
    assert_eq!(not_here.status(), 404);

    let (_, page) = server.get(resource["subresource_uris"]["media"].as_str().unwrap()).await;
    let list = page["media_list"].as_array().unwrap();
    assert_eq!(
        (list.len(), &list[0]["content_type"], &list[0]["parent_sid"]),
        (4, &json!("image/png"), &json!(message.sid))
    );
    let uri = list[0]["uri"].as_str().unwrap();
    assert_eq!(server.get(uri).await, (200, list[0].clone()));
    assert_eq!(answer(server.request("GET", uri)).await.0, 401, "the resource needs credentials");
    assert_eq!(answer(server.request("DELETE", uri)).await.0, 401, "and to delete it, too");
    let elsewhere = message.media[0].path(&message.path()).replace(ACCOUNT, &ACCOUNT.replace('0', "1"));
    assert_eq!(server.request("GET", &elsewhere).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn media_can_be_deleted_and_the_message_stays() {
    let (folder, app) = (Folder::new(), App::start(|_| PNG.into_response()).await);
    let kept = Some(Journal::open(&folder.file()).unwrap());
    let server = Server::start_with(AT_ONCE, "http://127.0.0.1:9/sms", PATIENT, kept).await;
    let urls = ["/a.png", "/b.png"].map(|path| format!("{}{path}", app.url));
    let mut form = changed(&[]);
    form.extend(urls.iter().map(|url| ("MediaUrl", url.as_str())));
    let (_, resource) = server.post(&form).await;
    let list = resource["subresource_uris"]["media"].as_str().unwrap();
    let media = |page: &Value| page["media_list"].as_array().unwrap().clone();
    let (_, page) = server.get(list).await;
    let [first, second] = &media(&page)[..] else { panic!("{page}") };

    let uri = first["uri"].as_str().unwrap();
    let response = server.authenticated("DELETE", uri).send().await.unwrap();
    assert_eq!((response.status(), response.text().await.unwrap()), (StatusCode::NO_CONTENT, String::new()));
    for gone in [uri, uri.trim_end_matches(".json")] {
        assert_eq!(server.get(gone).await.0, 404, "{gone}");
    }
    assert_eq!(answer(server.authenticated("DELETE", uri)).await.1["code"], 20404, "once");
    assert_eq!(media(&server.get(list).await.1), std::slice::from_ref(second));
    let (_, message) = server.get(resource["uri"].as_str().unwrap()).await;
    assert_eq!(
        (&message["num_media"], &message["num_segments"], &message["body"]),
        (&json!("1"), &json!("1"), &json!("Hi"))
    );
    let (_, phone) = answer(server.request("GET", &format!("/phones/{PHONE}/messages?direction=all"))).await;
    assert_eq!(phone["messages"][0]["media"].as_array().unwrap().len(), 1, "it is gone from the phone, too");

    let sids = |message: &Message| message.media.iter().map(|media| media.sid.clone()).collect::<Vec<_>>();
    let before = sids(&server.twilio.messages()[0]);
    server.twilio.end();
    let (_, past) = Journal::open(&folder.file()).unwrap();
    let [Entry::Created(restored)] = &past[..] else { panic!("{past:?}") };
    assert_eq!(sids(restored), before, "and stays so");
}

#[tokio::test]
async fn smart_encoding_replaces_characters_before_segments_are_counted() {
    let mut server = Server::start_at(AT_ONCE).await;
    let text = format!("“{}”", "a".repeat(100));
    for (smart, segments, on_the_phone) in
        [("", "2", text.clone()), ("false", "2", text.clone()), ("true", "1", format!("\"{}\"", "a".repeat(100)))]
    {
        for sender in [("From", OURS), ("From", SERVICE)] {
            let (status, message) = server.post(&changed(&[("Body", &text), ("SmartEncoded", smart), sender])).await;
            assert_eq!((status, &message["body"]), (201, &json!(text)), "{message}");
            server.until_final().await;
            let (_, message) = server.get(message["uri"].as_str().unwrap()).await;
            assert_eq!(message["num_segments"], segments, "{smart} {sender:?}");
            let (_, phone) = answer(server.request("GET", &format!("/phones/{PHONE}/messages"))).await;
            let received = phone["messages"].as_array().unwrap().last().unwrap();
            assert_eq!(
                (&received["body"], &received["segments"]),
                (&json!(on_the_phone), &json!(segments.parse::<u8>().unwrap()))
            );
        }
    }
    // What GSM-7 lacks and nothing resembles stays, and the text stays UCS-2.
    let (_, message) = server.post(&changed(&[("Body", &"認".repeat(71)), ("SmartEncoded", "true")])).await;
    assert_eq!(message["num_segments"], "2");
}

#[tokio::test]
async fn a_message_with_more_than_5_mb_of_media_is_taken_and_fails() {
    let app = App::start(|seen| match &*seen.uri {
        "/half" => vec![0; MAX_MEDIA_BYTES / 2].into_response(),
        _ => vec![0; MAX_MEDIA_BYTES + 1].into_response(),
    })
    .await;
    for (paths, expected) in [
        (&["/half", "/half"][..], json!(["delivered", null, null])),
        (
            &["/half", "/half", "/half"],
            json!(["failed", 11751, "Media Message - Media exceeds messaging provider size limit"]),
        ),
        (&["/large"], json!(["failed", 11751, "Media Message - Media exceeds messaging provider size limit"])),
    ] {
        let mut server = Server::start_at(AT_ONCE).await;
        let urls: Vec<String> = paths.iter().map(|path| format!("{}{path}", app.url)).collect();
        let mut form = changed(&[]);
        form.extend(urls.iter().map(|url| ("MediaUrl", &**url)));
        assert_eq!(server.post(&form).await.0, 201, "{paths:?}");
        let last = server.until_final().await.pop().unwrap();
        let resource = last.resource();
        assert_eq!(
            json!(["status", "error_code", "error_message"].map(|field| &resource[field])),
            expected,
            "{paths:?}"
        );
        assert_eq!(last.media.iter().any(|media| media.content.is_some()), last.error_code.is_none());
    }
}

#[tokio::test]
async fn messages_that_come_at_once_are_dated_in_their_order_and_a_phones_apart() {
    let server = Server::start().await;
    let (twilio, numbers) = (&server.twilio, [PHONE, OTHER_PHONE]);
    let before = twilio.now();
    std::thread::scope(|scope| {
        for index in 0..8 {
            scope.spawn(move || {
                for _ in 0..50 {
                    let to = numbers[index % 2];
                    let message = Message::new(ACCOUNT, Direction::OutboundApi, Some(OURS), to, "Hi", twilio.now());
                    let taken = twilio.add_message(message);
                    assert_eq!(twilio.message(&taken.sid), Some(taken));
                }
            });
        }
    });
    assert!(twilio.messages().is_sorted_by_key(Message::created) && twilio.messages()[0].created() == before);
    for phone in numbers {
        let dates: Vec<_> = twilio.messages_of(phone).iter().map(Message::created).collect();
        assert!(dates.len() == 200 && dates.is_sorted_by(|one, next| one < next), "each date differs from the next");
        assert!(dates.iter().all(|date| date.as_nanosecond() % 1_000_000 == 0), "by its milliseconds");
    }
    server.now_ms.fetch_sub(60_000, Ordering::SeqCst);
    server.send("By a clock that went back").await;
    assert!(server.twilio.messages().is_sorted_by_key(Message::created));
}

#[tokio::test]
async fn a_fault_has_twilio_refuse_what_it_would_take() {
    for (kind, expected) in [
        (Kind::Http500, (500, json!(20500), "An internal server error has occurred")),
        (Kind::Http429, (429, json!(20429), "Too Many Requests")),
        (Kind::TwilioError { code: 21610 }, (400, json!(21610), "Attempt to send to unsubscribed recipient")),
        (Kind::TwilioError { code: 21211 }, (400, json!(21211), "Invalid 'To' Phone Number: +1415555XXXX")),
        (Kind::TwilioError { code: 21611 }, (429, json!(21611), "SMS queue is full.")),
        (Kind::TwilioError { code: 63038 }, (400, json!(63038), "Refused with code 63038 by a fault")),
    ] {
        let mut server = Server::start().await;
        server.fault(kind);
        assert_eq!(server.post(&[("From", OURS), ("Body", "Hi")]).await.1["code"], 21604, "first what is checked");
        assert_eq!(server.post(&changed(&[("To", OTHER_PHONE)])).await.0, 201, "another phone's");
        let (status, error) = server.post(&changed(&[])).await;
        let expected = (expected.0, expected.1, expected.2);
        assert_eq!((status, error["code"].clone(), error["message"].as_str().unwrap()), expected);
        assert_eq!(error["status"], status);
        assert_eq!(server.post(&changed(&[])).await.0, 201, "once");
        assert_eq!(server.twilio.messages().len(), 2);
        let exchanges = [
            server.exchange(ExchangeKind::Twilio).await,
            server.exchange(ExchangeKind::Twilio).await,
            server.exchange(ExchangeKind::Twilio).await,
        ];
        assert_eq!(exchanges[2].fault.as_deref(), Some(kind.as_str()));
        assert_eq!(exchanges[2].summary, format!("{status}, code {}", error["code"]));
    }
}

#[tokio::test]
async fn a_timeout_takes_the_message_and_never_says_so() {
    let mut server = Server::start_at(AT_ONCE).await;
    server.fault(Kind::Timeout);
    let response = server.authenticated("POST", &messages("")).form(&changed(&[])).send().await.unwrap();
    // After a minute, for whoever waits that long; here at once.
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!((exchange.outcome, exchange.fault.as_deref()), (ExchangeOutcome::Failed, Some("timeout")));
    assert_eq!(statuses(&server.until_final().await), ["sent", "delivered"], "the SMS comes all the same");
}

#[tokio::test]
async fn a_reset_connection_takes_nothing() {
    let server = Server::start().await;
    server.fault(Kind::ConnectionReset);
    let error = server.authenticated("POST", &messages("")).form(&changed(&[])).send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    assert!(server.twilio.messages().is_empty());
    assert_eq!(server.post(&changed(&[])).await.0, 201);
}

#[tokio::test]
async fn every_call_for_a_message_becomes_an_exchange_and_others_only_when_they_are_refused() {
    let mut server = Server::start().await;
    server.get(&messages("")).await;
    let (_, resource) =
        server.post(&changed(&[("MediaUrl", "https://a.example"), ("MediaUrl", "https://b.example")])).await;
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!(exchange.title, "POST /Messages.json");
    assert_eq!(exchange.summary, format!("201 {} queued", resource["sid"].as_str().unwrap()));
    assert_eq!((exchange.outcome, exchange.number.as_deref()), (ExchangeOutcome::Ok, Some(PHONE)));
    let media = ["https://a.example", "https://b.example"];
    assert_eq!(exchange.request, json!({"To": PHONE, "From": OURS, "Body": "Hi", "MediaUrl": media}));
    assert_eq!(exchange.response, resource);

    server.post(&changed(&[("Body", "")])).await;
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!((&*exchange.summary, exchange.outcome), ("400, code 21602", ExchangeOutcome::Refused));
    server.post(&changed(&[("To", "garbage")])).await;
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!((exchange.number, &exchange.request["To"]), (None, &json!("garbage")), "which is no phone's number");
    answer(server.request("POST", &messages("")).form(&changed(&[]))).await;
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!((&*exchange.summary, exchange.request["Body"].as_str()), ("401, code 20003", Some("Hi")));
    server.get(&messages("?PageSize=0")).await;
    let exchange = server.exchange(ExchangeKind::Twilio).await;
    assert_eq!((&*exchange.title, &*exchange.summary), ("GET /Messages.json", "400, code 20001"));
    server.get("/favicon.ico").await;
    server.get(&messages("/nothing")).await;
    assert_eq!(server.exchange(ExchangeKind::Twilio).await.summary, "404, code 20404");
    assert_eq!(server.twilio.exchanges().latest().len(), 6, "a call that isn't Twilio's becomes no exchange");
}
