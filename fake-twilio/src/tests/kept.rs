//! What outlives the process.

use super::*;

async fn start(folder: &Folder, timing: DeliveryTiming) -> Server {
    let kept = Journal::open(&folder.file()).unwrap();
    Server::start_with(timing, "http://127.0.0.1:9/sms", PATIENT, Some(kept)).await
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let folder = Folder::new();
    let mut server = start(&folder, AT_ONCE).await;
    let first = server.send("Your code").await;
    server.until_final().await;
    server.send("Deleted").await;
    let deleted = server.until_final().await.pop().unwrap();
    let file = format!("{}.json", path(&deleted));
    assert_eq!(server.authenticated("DELETE", &file).send().await.unwrap().status(), 204);
    let attachment = Attachment { content: PNG.to_vec() };
    server.twilio.text(OTHER_PHONE, OURS, "STOP", vec![attachment]).await.unwrap();
    server.until_final().await;
    server.twilio.remember_clock(3_600_000);
    let number = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN00000000000000000000014155550100.json");
    answer(server.authenticated("POST", &number).form(&[("SmsMethod", "GET")])).await;
    let before = server.twilio.messages();
    server.twilio.end();

    for _ in 0..2 {
        let (journal, past) = Journal::open(&folder.file()).unwrap();
        assert_eq!(clock_ahead_ms(&past), 3_600_000);
        let server = Server::start_with(NEVER, "http://127.0.0.1:9/sms", PATIENT, Some((journal, past))).await;
        assert_eq!(server.twilio.messages(), before);
        assert_eq!(server.get(&number).await.1["sms_method"], "GET");
        assert_eq!(server.post(&changed(&[("To", OTHER_PHONE)])).await.1["code"], 21610, "still opted out");
        let media = &before[1].media[0];
        let response = server.request("GET", &media.path(&before[1].path())).send().await.unwrap();
        assert_eq!(response.bytes().await.unwrap(), PNG);
        assert_eq!(server.get(&format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{first}.json")).await.0, 200);
        server.twilio.end();
    }
    let text = std::fs::read_to_string(folder.file()).unwrap();
    assert_eq!(text.lines().count(), before.len() + 3, "as few lines as possible: {text}");
}

#[tokio::test]
async fn a_message_that_was_under_way_goes_on_after_a_restart() {
    let folder = Folder::new();
    let server = start(&folder, NEVER).await;
    server.fault(Kind::TwilioError { code: 30003 });
    server.post(&[("To", PHONE), ("MessagingServiceSid", SERVICE), ("Body", "Hi")]).await;
    server.send("Delivered").await;
    server.twilio.end();

    let (journal, mut past) = Journal::open(&folder.file()).unwrap();
    for entry in &mut past {
        if let Entry::Created(message) = entry {
            // Long ago, by the clock of the system.
            message.created = "2026-03-01T09:00:00Z".parse().unwrap();
        }
    }
    let mut server = Server::start_with(NEVER, "http://127.0.0.1:9/sms", PATIENT, Some((journal, past))).await;
    let mut last = [server.until_final().await.pop().unwrap(), server.until_final().await.pop().unwrap()];
    last.sort_by_key(|message| message.error_code);
    assert_eq!(
        last.map(|message| (message.status, message.error_code)),
        [(DeliveryState::Delivered, None), (DeliveryState::Undelivered, Some(30003)),]
    );
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let folder = Folder::new();
    let server = start(&folder, NEVER).await;
    server.send("Whole").await;
    server.send("Torn").await;
    server.twilio.end();
    let written = std::fs::read(folder.file()).unwrap();
    for cut in [1, 2, 40, 200] {
        std::fs::write(folder.file(), &written[..written.len() - cut]).unwrap();
        let (journal, past) = Journal::open(&folder.file()).unwrap();
        // Only the end of the line is missing: the change is all there.
        let expected = if cut == 1 { 2 } else { 1 };
        assert_eq!(past.len(), expected, "{cut} bytes cut off");
        drop(journal);
        let read = Journal::open(&folder.file()).unwrap().1;
        assert_eq!(read.len(), expected, "written anew without it");
    }
    // What a file system may leave where it had not yet written, and what a write that failed does, whatever comes after it.
    for (tail, expected) in [
        (&[0; 100][..], 2),
        (b"{\"entry\":\"clo\0\0\0\0", 2),
        (b"\0\0\0\n{\"entry\":\"clock\",\"clock_ahead_ms\":1}\n", 3),
        (b"{\"entry\":\"deleted\",\"si\n{\"entry\":\"clock\",\"clock_ahead_ms\":1}\n", 3),
        (b"{\"entry\":\"del\n\n\n{\"entry\":\"clock\",\"clock_ahead_ms\":1}\n", 3),
    ] {
        std::fs::write(folder.file(), [&written[..], tail].concat()).unwrap();
        assert_eq!(Journal::open(&folder.file()).unwrap().1.len(), expected, "{tail:?}");
    }
}

#[tokio::test]
async fn status_callbacks_that_were_not_made_are_made_after_a_restart() {
    let mut app = App::start(|_| StatusCode::OK.into_response()).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = Folder::new();
    let mut server = start(&folder, AT_ONCE).await;
    let url = format!("http://{}/status", silent.local_addr().unwrap());
    server.post(&changed(&[("StatusCallback", &url)])).await;
    // Delivered, while its first callback waits for an answer.
    assert_eq!(statuses(&server.until_final().await).last(), Some(&"delivered"));
    server.twilio.end();

    for (last_notified, expected) in
        [(None, &["queued", "sent", "delivered"][..]), (Some(DeliveryState::Queued), &["sent", "delivered"])]
    {
        let (journal, mut past) = Journal::open(&folder.file()).unwrap();
        let [Entry::Created(message)] = &mut past[..] else { panic!("{past:?}") };
        message.parameters = vec![("StatusCallback".to_owned(), format!("{}/status", app.url))];
        message.last_notified = last_notified;
        let server = Server::start_with(AT_ONCE, "http://127.0.0.1:9/sms", PATIENT, Some((journal, past))).await;
        for status in expected {
            assert_eq!(app.next().await.form(&app).text("MessageStatus"), Ok(Some(*status)));
        }
        while server.twilio.messages()[0].last_notified != Some(DeliveryState::Delivered) {
            tokio::task::yield_now().await;
        }
        server.twilio.end();
    }
    let past = Journal::open(&folder.file()).unwrap().1;
    assert!(
        matches!(&past[..], [Entry::Created(message)] if message.pending_notifications().is_empty()),
        "and then no more: {past:?}"
    );
    drop(silent);
}

#[tokio::test]
async fn the_clock_stays_where_it_was_moved_farthest() {
    let folder = Folder::new();
    let server = start(&folder, NEVER).await;
    for ahead_ms in [7_200_000, 3_600_000] {
        server.twilio.remember_clock(ahead_ms);
    }
    server.twilio.end();
    assert_eq!(clock_ahead_ms(&Journal::open(&folder.file()).unwrap().1), 7_200_000);
}

#[test]
fn a_broken_line_that_is_not_the_last_is_an_error_that_names_it() {
    let folder = Folder::new();
    std::fs::write(folder.file(), "{\"entry\":\"clock\",\"clock_ahead_ms\":1}\nnonsense\n").unwrap();
    let error = Journal::open(&folder.file()).unwrap_err();
    assert!(matches!(error, JournalError::Line { line: 2, .. }), "{error}");
    assert!(
        error.to_string().contains("line 2 of ")
            && error.to_string().contains("start fresh")
            && error.to_string().contains("messages.jsonl"),
        "{error}"
    );
    let untouched = std::fs::read_to_string(folder.file()).unwrap();
    assert!(untouched.contains("nonsense"), "nobody's messages are thrown away");
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let folder = Folder::new();
    let first = Journal::open(&folder.file()).unwrap();
    let error = Journal::open(&folder.file()).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    drop(first);
    assert!(Journal::open(&folder.file()).is_ok());
    let missing = folder.0.join("not/there.jsonl");
    assert!(matches!(Journal::open(&missing), Err(JournalError::Io { .. })));
}

#[tokio::test]
async fn names_in_the_journal_stay_the_same() {
    let folder = Folder::new();
    let taken = json!({
        "entry": "taken", "sid": "SM0123456789abcdef0123456789abcdef", "account_sid": ACCOUNT, "direction": "outbound-api",
        "from": OURS, "to": PHONE, "body": "Hi", "messaging_service_sid": null, "media": [], "status": "sent",
        "error_code": null, "parameters": [], "by_twilio": false, "segments": 1, "created": "2026-03-01T11:00:00Z",
        "sent": "2026-03-01T11:00:01Z", "updated": "2026-03-01T11:00:01Z",
        "fate": {"sent_after_ms": 1, "delivered_after_ms": 2, "error_code": 30003}, "told": "queued",
    });
    let notified = json!({"entry": "told", "sid": "SM0123456789abcdef0123456789abcdef", "status": "sent"});
    std::fs::write(folder.file(), format!("{taken}\n{notified}\n")).unwrap();
    let mut server = start(&folder, NEVER).await;
    let message = server.until_final().await.pop().unwrap();
    assert_eq!((message.error_code, message.last_notified), (Some(30003), Some(DeliveryState::Sent)));
    server.twilio.end();
    let written = std::fs::read_to_string(folder.file()).unwrap();
    assert!(written.contains(r#""entry":"taken""#) && written.contains(r#""fate":{"#), "{written}");
}
