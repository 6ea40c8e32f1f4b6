//! A demonstration on the local system. Each step prints a request and its response.

use crate::fixtures::{ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER};
use crate::system::{Options, System, SystemError};
use serde_json::Value;
use shared::runtime::clock::Clock;
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, EmptyAuthToken, sign};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why the demonstration ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system can't start.
    #[error(transparent)]
    Start(#[from] SystemError),
    /// The client can't be built.
    #[error(transparent)]
    Client(#[from] shared::runtime::http::HttpError),
    /// A request fails.
    #[error("a request failed ({0})")]
    Request(#[from] reqwest::Error),
    /// The token can't sign.
    #[error(transparent)]
    Token(#[from] EmptyAuthToken),
    /// A response is not the expected one: a defect.
    #[error("unexpected response: {0}")]
    Unexpected(String),
}

struct Demo {
    system: System,
    http: reqwest::Client,
    later_ms: Arc<AtomicU64>,
}

/// Runs the demonstration. It moves the clock where people would wait.
///
/// # Errors
/// [`DemoError`], also if a response is not the expected one.
pub async fn play() -> Result<(), DemoError> {
    // Lower than the default, to be brief.
    let demo = Demo::start([("IP_LIMIT", "3/1h")]).await?;
    demo.verify().await?;
    demo.limits().await?;
    demo.unknown().await?;
    demo.webhooks().await?;

    let text_to_verify = Demo::start([("TEXT_TO_VERIFY", "direct"), ("COUNTRY_LIMIT", "1/1h")]).await?;
    text_to_verify.text_to_verify().await?;

    let messages = demo.system.twilio.messages().len() + text_to_verify.system.twilio.messages().len();
    println!("\n{messages} messages reached the fake Twilio; nothing left this machine.");
    Ok(())
}

enum Signed {
    ByTwilio,
    WithAnotherToken,
}

fn heading(text: &str) {
    println!("\n── {text}");
}

impl Demo {
    async fn start<const N: usize>(settings: [(&str, &str); N]) -> Result<Self, DemoError> {
        let later_ms = Arc::new(AtomicU64::new(0));
        let (system_clock, later) = (Clock::system(), later_ms.clone());
        let clock = Clock::new(move || system_clock.now_ms() + later.load(Ordering::SeqCst));
        let settings = settings.map(|(variable, value)| (variable.to_owned(), value.to_owned())).into();
        let system = System::start(Options { settings, clock, ..Options::default() }).await?;
        let timeouts = shared::runtime::http::Timeouts {
            connect: std::time::Duration::from_secs(5),
            total: std::time::Duration::from_secs(30),
        };
        let http = shared::runtime::http::Tls::new()?.client(timeouts, shared::runtime::http::Connections::Kept)?;
        Ok(Self { system, http, later_ms })
    }

    async fn text_to_verify(&self) -> Result<(), DemoError> {
        heading(
            "Attackers have filled a country's limit. A new user is refused, and texts us instead: TextToVerify is direct.",
        );
        self.send_quietly("+14155553000", "198.51.100.1", "sent").await?;
        let request = r#"{"phone_number":"+14155550123","ip":"203.0.113.7"}"#;
        let answer = self.invoke("send-code", request, "country_limit").await?;
        let offer = &answer["alternatives"][0];
        let body = offer["body"].as_str().unwrap_or_default();
        self.text("+14155550123", body, "SM00000000000000000000000000000777", Signed::ByTwilio, 200).await?;
        let verification = offer["verification"].as_str().unwrap_or_default();
        let request = format!(r#"{{"phone_number":"+14155550123","verification":"{verification}"}}"#);
        self.invoke("check-code", &request, "approved").await.map(drop)
    }

    async fn verify(&self) -> Result<(), DemoError> {
        heading("A user requests a code. The app's back end invokes send-code with an idempotency key.");
        let request = r#"{"phone_number":"+14155550123","ip":"203.0.113.7","idempotency_key":"signup-1"}"#;
        let answer = self.invoke("send-code", request, "sent").await?;
        let text = self.system.twilio.messages().last().map(|message| message.body.clone()).unwrap_or_default();
        println!("   the phone shows: {text:?}");
        let code: String = text.chars().filter(char::is_ascii_digit).collect();

        heading("The answer gets lost on its way, so the back end repeats the request. No second SMS is sent.");
        let repeated = self.invoke("send-code", request, "sent").await?;
        if repeated["replayed"] != true || repeated["message_sid"] != answer["message_sid"] {
            return Err(DemoError::Unexpected(repeated.to_string()));
        }

        heading("The user taps \"send again\" right away. PhoneLimit is 1/30s, 3/1h, 10/1d.");
        self.send("+14155550123", "203.0.113.7", "phone_limit").await?;

        heading("The user mistypes the code, then types it correctly. The app's back end invokes check-code.");
        let verification = answer["verification"].as_str().unwrap_or_default();
        self.check("+14155550123", verification, "12345", "incorrect").await?;
        self.check("+14155550123", verification, &code, "approved").await
    }

    async fn limits(&self) -> Result<(), DemoError> {
        heading("The user signs in twice, 31 seconds apart. An approved send still counts for PhoneLimit.");
        for _ in 0..2 {
            self.wait(31);
            self.send("+14155550123", "203.0.113.7", "sent").await?;
        }

        heading("The fourth send within an hour is refused. The response says how long to wait.");
        self.wait(31);
        self.send("+14155550123", "203.0.113.7", "phone_limit").await?;

        heading(
            "Another phone at the same IP address. IpLimit is 3/1h here and counts unverified sends; this address has two.",
        );
        self.send("+14155551199", "203.0.113.7", "sent").await?;
        self.send("+14155552199", "203.0.113.7", "ip_limit").await?;

        heading("Pumping: numbers of one block, each from a new IP address, never verified. RangeLimit is 10/1h.");
        for n in 0..10 {
            self.send_quietly(&format!("+1415555300{n}"), &format!("198.51.100.{n}"), "sent").await?;
        }
        println!("   (ten such sends went out)");
        self.send("+14155553777", "198.51.100.77", "range_limit").await?;

        heading("A number in Jamaica, which shares +1 with the US, and a premium-rate number.");
        self.send("+18762101234", "198.51.100.99", "country_not_allowed").await?;
        self.send("+19002345678", "198.51.100.99", "number_type_not_allowed").await
    }

    async fn unknown(&self) -> Result<(), DemoError> {
        heading("The connection to Twilio breaks before its answer. The SMS may have been sent, so it counts.");
        let fault = r#"{"kind":"connection_reset","number":"+12125550123","times":1}"#;
        println!("   ▶ POST /faults {fault}");
        let url = format!("{}/faults", self.system.base_url);
        let answer = self.http.post(url).header("content-type", "application/json").body(fault).send().await?;
        println!("   ◀ {}", answer.error_for_status()?.status());
        let request = r#"{"phone_number":"+12125550123","ip":"192.0.2.4","idempotency_key":"signup-2"}"#;
        self.invoke("send-code", request, "unknown").await?;

        heading("The back end repeats the request. The answer is the same, and Twilio is not called again.");
        self.invoke("send-code", request, "unknown").await.map(drop)
    }

    async fn webhooks(&self) -> Result<(), DemoError> {
        heading("A user texts the service. Twilio signs the webhook; the response is TwiML.");
        let hello = "SM00000000000000000000000000000001";
        self.text("+14155550123", "Hello?", hello, Signed::ByTwilio, 200).await?;

        heading("An attacker posts the same form without the auth token.");
        self.text("+14155550123", "Hello?", hello, Signed::WithAnotherToken, 403).await?;

        heading("A user texts STOP. Twilio confirms it, and Tollgate stores the opt-out.");
        self.text("+14165550123", "STOP", "SM00000000000000000000000000000002", Signed::ByTwilio, 200).await?;
        self.send("+14165550123", "198.51.100.99", "opted_out").await
    }

    fn wait(&self, seconds: u64) {
        self.later_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
        println!("   ({seconds} seconds later)");
    }

    async fn send(&self, phone_number: &str, ip: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone_number}","ip":"{ip}"}}"#);
        self.invoke("send-code", &request, expected).await.map(drop)
    }

    /// A send that is printed only if the response is unexpected.
    async fn send_quietly(&self, phone_number: &str, ip: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone_number}","ip":"{ip}"}}"#);
        self.answer("send-code", &request, expected).await.map(drop)
    }

    async fn check(&self, phone: &str, verification: &str, code: &str, expected: &str) -> Result<(), DemoError> {
        let request = format!(r#"{{"phone_number":"{phone}","verification":"{verification}","code":"{code}"}}"#);
        self.invoke("check-code", &request, expected).await.map(drop)
    }

    async fn invoke(&self, function: &str, request: &str, expected: &str) -> Result<Value, DemoError> {
        println!("   ▶ {function} {request}");
        let (text, answer) = self.answer(function, request, expected).await?;
        println!("   ◀ {text}");
        Ok(answer)
    }

    /// The answer as its text and its value.
    async fn answer(&self, function: &str, request: &str, expected: &str) -> Result<(String, Value), DemoError> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.system.base_url);
        let answer = self.http.post(url).body(request.to_owned()).send().await?.text().await?;
        let value: Value = serde_json::from_str(&answer).unwrap_or_default();
        if value["status"] == expected || value["reason"] == expected {
            Ok((answer, value))
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
            Signed::WithAnotherToken => AuthToken::new("a guess")?,
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
