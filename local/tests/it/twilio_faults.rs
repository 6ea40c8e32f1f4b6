//! Faults below the HTTP client to Twilio: a message that may have been sent counts and is not sent again; any other is released.

use crate::support::{CODE, PRIVATE, no_waits, outcome, start_with};
use send_code::answer::Answer;
use serde_json::{Value, json};
use shared::runtime::dependencies::Deadlines;
use shared::runtime::http::Timeouts;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";

/// What Twilio's end of a connection does with one request.
#[derive(Clone, Copy, Debug)]
enum Twilio {
    /// Takes the message.
    Takes,
    /// Answers with this status and body.
    Answers(u16, &'static str),
    /// Reads the request and says nothing.
    Hangs,
    /// Reads the request and closes the connection.
    Closes,
    /// Breaks off in the middle of its answer.
    BreaksOff,
}

const CREATED: &str = r#"{"sid":"SM00000000000000000000000000000001","status":"queued"}"#;
const TOO_MANY: &str = r#"{"code":20429,"message":"Too Many Requests","status":429}"#;

/// A Twilio that behaves like this, request by request, the last again and again. It counts the requests.
async fn twilio(behaviour: &'static [Twilio]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    tokio::spawn(async move {
        let mut held = vec![];
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = String::new();
            while !request.contains("ValidityPeriod=600&RiskCheck=enable") {
                let mut buffer = [0; 4096];
                match connection.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.push_str(&String::from_utf8_lossy(&buffer[..length])),
                }
            }
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let (status, body, announced) = match behaviour[number.min(behaviour.len() - 1)] {
                Twilio::Takes => (201, CREATED, CREATED.len()),
                Twilio::Answers(status, body) => (status, body, body.len()),
                Twilio::BreaksOff => (201, &CREATED[..20], CREATED.len()),
                Twilio::Closes => continue,
                Twilio::Hangs => {
                    held.push(connection);
                    continue;
                }
            };
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\r\n{body}"
            );
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    (url, requests)
}

fn deadlines() -> Deadlines {
    // Long enough for a loopback connection on a busy machine, short enough to wait for.
    let twilio = Timeouts { connect: Duration::from_secs(2), total: Duration::from_secs(2) };
    Deadlines { twilio, ..no_waits() }
}

/// What must be the same in an answer and its repeat. The repeat's seconds count from the stored time, which is rounded up.
fn repeated(answer: &Answer) -> Value {
    let mut answer = json!(answer);
    for field in ["replayed", "expires_in", "next_send_in"] {
        answer.as_object_mut().unwrap().remove(field);
    }
    answer
}

/// What Twilio does; what the app gets; how many requests Twilio got; whether the send counts.
const FAILURES: &[(&[Twilio], &str, usize, bool)] = {
    use Twilio::{Answers, BreaksOff, Closes, Hangs, Takes};
    &[
        (&[Takes], "sent", 1, true),
        // Never processed: tried again, and released if it stays so.
        (&[Answers(429, TOO_MANY), Takes], "sent", 2, true),
        (&[Answers(429, "busy"), Answers(429, ""), Takes], "sent", 3, true),
        (&[Answers(429, TOO_MANY)], "TwilioUnavailable", 3, false),
        // It may have gone: once, and counted.
        (&[Hangs], "unknown", 1, true),
        (&[Closes], "unknown", 1, true),
        (&[BreaksOff], "unknown", 1, true),
        (&[Answers(500, r#"{"code":20500,"message":"between you and me","status":500}"#)], "unknown", 1, true),
        (&[Answers(503, "<html>between you and me</html>")], "unknown", 1, true),
        (&[Answers(200, "<html>between you and me</html>")], "unknown", 1, true),
        (&[Answers(201, "{}")], "unknown", 1, true),
        (&[Answers(201, r#"{"sid":"nonsense"}"#)], "unknown", 1, true),
        (&[Answers(302, "")], "unknown", 1, true),
        (&[Answers(403, "<html>between you and me</html>")], "unknown", 1, true),
        // The recipient's: refused, and counted.
        (
            &[Answers(400, r#"{"code":21211,"message":"between you and me","status":400}"#)],
            "rejected_by_twilio",
            1,
            true,
        ),
        (&[Answers(400, r#"{"code":21408,"status":400}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(403, r#"{"code":30450,"status":403}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(400, r#"{"code":21610,"status":400}"#)], "opted_out", 1, true),
        // Perhaps the recipient's, so that nobody calls Twilio without end.
        (&[Answers(400, r#"{"code":21606,"status":400}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(400, r#"{"code":21608,"status":400}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(400, r#"{"code":21659,"status":400}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(400, r#"{"code":21703,"status":400}"#)], "rejected_by_twilio", 1, true),
        (&[Answers(400, r#"{"code":99999,"status":400}"#)], "rejected_by_twilio", 1, true),
        // Ours: an error that says what to do, and released.
        (&[Answers(400, r#"{"code":21212,"status":400}"#)], "TwilioUnavailable", 1, false),
        (&[Answers(400, r#"{"code":21704,"status":400}"#)], "TwilioUnavailable", 1, false),
        (&[Answers(400, r#"{"code":21609,"status":400}"#)], "TwilioUnavailable", 1, false),
        (&[Answers(404, r#"{"code":20404,"status":404}"#)], "TwilioUnavailable", 1, false),
        (&[Answers(403, r#"{"code":70051,"status":403}"#)], "TwilioUnavailable", 1, false),
        // Not accepted, and there is no newer key in the secret to try.
        (&[Answers(401, r#"{"code":20003,"status":401}"#)], "TwilioUnavailable", 1, false),
        (&[Answers(401, "")], "TwilioUnavailable", 1, false),
    ]
};

#[tokio::test]
async fn each_way_that_twilio_can_fail_has_its_answer() {
    use Twilio::Answers;
    for (behaviour, expected, requests, counts) in FAILURES {
        let (url, received) = twilio(behaviour).await;
        let settings = [("TWILIO_BASE_URL", url.as_str()), ("PHONE_LIMIT", "1/1h")];
        let local = start_with(settings, deadlines(), None).await;
        let event = json!({"phone_number": PHONE, "ip": IP, "code": CODE, "idempotency_key": "k"});
        let result = local.invoke(event.clone()).await;
        assert_eq!(outcome(&result), *expected, "{behaviour:?}: {result:?}");
        assert_eq!(received.load(Ordering::SeqCst), *requests, "{behaviour:?}");
        let counted = match *expected {
            "sent" => "EstimatedSpend=0.0083 Sent=1 Verified=0".to_owned(),
            // It may have to be paid for.
            "unknown" => "EstimatedSpend=0.0083 TwilioErrors=1".to_owned(),
            "TwilioUnavailable" if matches!(behaviour, [Answers(401, _)]) => "CredentialErrors=1".to_owned(),
            "TwilioUnavailable" => "TwilioErrors=1".to_owned(),
            refused => format!("Reason={refused} Refused=1"),
        };
        assert_eq!(local.counted(), [counted], "{behaviour:?}");
        let answer = result.as_ref().map_or_else(ToString::to_string, |answer| json!(answer).to_string());
        assert!(!answer.contains(PRIVATE) && !answer.contains(PHONE) && !answer.contains(CODE), "{answer}");

        if *counts {
            let again = local.invoke(event).await.unwrap();
            assert_eq!(json!(again)["replayed"], true, "{behaviour:?}");
            assert_eq!(repeated(&again), repeated(&result.unwrap()), "{behaviour:?}");
            assert_eq!(received.load(Ordering::SeqCst), *requests, "{behaviour:?}: a repeat reaches nobody");
            assert_eq!(outcome(&local.send(PHONE, IP).await), "phone_limit", "{behaviour:?}");
        } else {
            // Nothing was sent, so nothing counts.
            assert_eq!(outcome(&local.invoke(event).await), *expected, "{behaviour:?}");
            assert!(received.load(Ordering::SeqCst) > *requests, "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn a_twilio_that_is_not_there_is_an_error_and_counts_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let settings = [("TWILIO_BASE_URL", nowhere.as_str()), ("PHONE_LIMIT", "1/1h")];
    let local = start_with(settings, deadlines(), None).await;
    for _ in 0..3 {
        let error = local.send(PHONE, IP).await.unwrap_err();
        assert!(error.to_string().contains("could not be reached"), "{error}");
    }
}
