//! The story, played on the local system: every step shows what goes in and what comes out.

use crate::fixtures::{ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER};
use crate::system::{Options, System, SystemError};
use serde_json::Value;
use shared::runtime::clock::Clock;
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, EmptyAuthToken, sign};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why the story ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system does not start.
    #[error(transparent)]
    Start(#[from] SystemError),
    /// The client can't be built.
    #[error(transparent)]
    Client(#[from] shared::runtime::http::HttpError),
    /// A request gets no answer.
    #[error("a request got no answer: {0}")]
    Request(#[from] reqwest::Error),
    /// The token can't sign.
    #[error(transparent)]
    Token(#[from] EmptyAuthToken),
    /// An answer is not what the story tells: then the product is broken.
    #[error("this is not what should have come out: {0}")]
    Unexpected(String),
}

struct Demo {
    system: System,
    http: reqwest::Client,
    later_ms: Arc<AtomicU64>,
}

/// Plays the story, with the clock moved by hand where people would wait.
///
/// # Errors
/// [`DemoError`], also if an answer is not the one that the story tells.
pub async fn play() -> Result<(), DemoError> {
    let later_ms = Arc::new(AtomicU64::new(0));
    let (system_clock, later) = (Clock::system(), later_ms.clone());
    let clock = Clock::new(move || system_clock.now_ms() + later.load(Ordering::SeqCst));
    // Fewer than by default, so that the story is short.
    let settings = vec![("IP_LIMIT".to_owned(), "3/1h".to_owned())];
    let system = System::start(Options { settings, clock, ..Options::default() }).await?;
    let timeouts = shared::runtime::http::Timeouts {
        connect: std::time::Duration::from_secs(5),
        total: std::time::Duration::from_secs(30),
    };
    let http = shared::runtime::http::Tls::new()?.client(timeouts, shared::runtime::http::Connections::Kept)?;
    let demo = Demo { system, http, later_ms };

    heading("A user asks for a code. The app's back end invokes send-code.");
    demo.send("+14155550123", "203.0.113.7", "sent").await?;
    let text = demo.system.twilio.messages().last().map(|message| message.body.clone()).unwrap_or_default();
    println!("   the phone shows: {text:?}");
    let code: String = text.chars().filter(char::is_ascii_digit).collect();

    heading("The user mistypes it, then types it. The app's back end invokes check-code.");
    demo.check("+14155550123", "12345", "incorrect").await?;
    demo.check("+14155550123", &code, "approved").await?;

    heading("The user taps \"send again\" at once.");
    demo.send("+14155550123", "203.0.113.7", "phone_limit").await?;

    heading("Twice more, 31 seconds apart: PhoneLimit is 1/30s, 3/1h, 10/1d.");
    for _ in 0..2 {
        demo.wait(31);
        demo.send("+14155550123", "203.0.113.7", "sent").await?;
    }

    heading("The fourth is refused, with the wait.");
    demo.wait(31);
    demo.send("+14155550123", "203.0.113.7", "phone_limit").await?;

    heading(
        "Another phone at the same IP address: two of its sends were never verified, IpLimit is 3/1h here, of those.",
    );
    demo.send("+14155551199", "203.0.113.7", "sent").await?;
    demo.send("+14155552199", "203.0.113.7", "ip_limit").await?;

    heading("Pumping: numbers of one block, each from a fresh IP, nobody verifies. RangeLimit is 10/1h.");
    for n in 0..10 {
        demo.send_quietly(&format!("+1415555300{n}"), &format!("198.51.100.{n}"), "sent").await?;
    }
    println!("   (ten such sends went out)");
    demo.send("+14155553777", "198.51.100.77", "range_limit").await?;

    heading("A number in Jamaica, which shares +1 with the US, and a premium-rate number.");
    demo.send("+18762101234", "198.51.100.99", "country_not_allowed").await?;
    demo.send("+19002345678", "198.51.100.99", "number_type_not_allowed").await?;

    heading("Somebody texts us. Twilio signs the webhook; it is answered with TwiML.");
    let hello = "SM00000000000000000000000000000001";
    demo.text("+14155550123", "Hello?", hello, Signed::ByTwilio, 200).await?;

    heading("Somebody else posts the same form, without the auth token.");
    demo.text("+14155550123", "Hello?", hello, Signed::BySomebodyElse, 403).await?;

    heading("A user texts STOP: Twilio confirms it, we remember it.");
    demo.text("+14165550123", "STOP", "SM00000000000000000000000000000002", Signed::ByTwilio, 200).await?;
    demo.send("+14165550123", "198.51.100.99", "opted_out").await?;

    let messages = demo.system.twilio.messages().len();
    println!("\n{messages} messages reached the fake Twilio; nothing left this machine.");
    Ok(())
}

enum Signed {
    ByTwilio,
    BySomebodyElse,
}

fn heading(text: &str) {
    println!("\n── {text}");
}

impl Demo {
    fn wait(&self, seconds: u64) {
        self.later_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
        println!("   ({seconds} seconds later)");
    }

    async fn send(&self, phone_number: &str, ip: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone_number}","ip":"{ip}"}}"#);
        self.invoke("send-code", &request, expected).await
    }

    /// A send that is only worth showing if it goes wrong.
    async fn send_quietly(&self, phone_number: &str, ip: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone_number}","ip":"{ip}"}}"#);
        self.answer("send-code", &request, expected).await.map(|_| ())
    }

    async fn check(&self, phone_number: &str, code: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone_number}","code":"{code}"}}"#);
        self.invoke("check-code", &request, expected).await
    }

    async fn invoke(&self, function: &str, request: &str, expected: &str) -> Result<(), DemoError> {
        println!("   ▶ {function} {request}");
        let answer = self.answer(function, request, expected).await?;
        println!("   ◀ {answer}");
        Ok(())
    }

    async fn answer(&self, function: &str, request: &str, expected: &str) -> Result<String, DemoError> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.system.base_url);
        let answer = self.http.post(url).body(request.to_owned()).send().await?.text().await?;
        let value: Value = serde_json::from_str(&answer).unwrap_or_default();
        if value["status"] == expected || value["reason"] == expected {
            Ok(answer)
        } else {
            Err(DemoError::Unexpected(answer))
        }
    }

    async fn text(&self, from: &str, body: &str, sid: &str, signed: Signed, expected: u16) -> Result<(), DemoError> {
        let url = format!("{}/sms", self.system.base_url);
        let form = Form::from_pairs([
            ("AccountSid", ACCOUNT_SID),
            ("Body", body),
            ("From", from),
            ("MessageSid", sid),
            ("To", OUR_NUMBER),
        ]);
        let token = match signed {
            Signed::ByTwilio => AuthToken::new(AUTH_TOKEN)?,
            Signed::BySomebodyElse => AuthToken::new("a guess")?,
        };
        let signature = sign(&token, &url, &form);
        println!("   ▶ POST /sms  X-Twilio-Signature: {signature}\n     {}", form.encoded());
        let request = self.http.post(url).header("x-twilio-signature", signature);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.encoded());
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        println!("   ◀ {status}\n     {text}");
        if status.as_u16() == expected { Ok(()) } else { Err(DemoError::Unexpected(format!("{status} {text}"))) }
    }
}
