//! What the gate's own decisions cost: `cargo bench --package shared`.
//!
//! An admission is measured from the call to the decision, against an embedded DynamoDB over HTTP on 127.0.0.1: what remains
//! of it on Lambda is our share, to which the network's and DynamoDB's are added.

#![allow(clippy::unwrap_used, reason = "a benchmark that goes wrong measures nothing, so it stops there")]

use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use axum::Router;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use divan::{Bencher, black_box};
use dynoxide::Database;
use serde_json::Value;
use shared::phone::code::VerificationCode;
use shared::phone::number::PhoneNumber;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::Secret;
use shared::runtime::http::{Timeouts, Tls};
use shared::runtime::ip::ClientIp;
use shared::runtime::settings::Environment;
use shared::store::admission::{Decision, SendRequest};
use shared::store::items::Items;
use shared::store::send_limits::SendLimits;
use shared::store::table::Table;
use shared::twilio::price::Dollars;
use shared::twilio::signature::{AuthToken, SignedRequest, verify};
use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What `events/inbound-sms.json` is signed with.
const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(1), total: Duration::from_secs(5) };

/// Everything asynchronous runs here: the table's client on the thread that is measured, its server on the others.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn main() {
    divan::main();
}

/// A real inbound SMS of 20 parameters, signed with the last of this many tokens.
#[divan::bench(args = [1, 3])]
fn verify_a_signature(bencher: Bencher<'_, '_>, tokens: usize) {
    let inbound = Inbound::from_event();
    let tokens = auth_tokens(tokens);
    bencher.bench_local(|| verify(black_box(&tokens), &inbound.request()).unwrap().token);
}

#[divan::bench(args = [1, 3])]
fn verify_a_forged_signature(bencher: Bencher<'_, '_>, tokens: usize) {
    let inbound = Inbound { signature: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(), ..Inbound::from_event() };
    let tokens = auth_tokens(tokens);
    bencher.bench_local(|| verify(black_box(&tokens), &inbound.request()).unwrap_err());
}

/// Once the country's patterns are compiled, as in a warm function.
#[divan::bench(args = ["+14155550123", "+44 (0)20 7946 0123"])]
fn parse_a_phone_number(bencher: Bencher<'_, '_>, text: &str) {
    PhoneNumber::parse(text).unwrap();
    bencher.bench_local(|| PhoneNumber::parse(black_box(text)).unwrap());
}

/// A phone and an IP that have never been seen: the write with everything in it.
#[divan::bench(sample_count = 300, sample_size = 1)]
fn admit(bencher: Bencher<'_, '_>) {
    let gate = Gate::open();
    let mut applicants = 0..;
    bencher
        .with_inputs(|| Applicant::new(applicants.next().unwrap()))
        .bench_local_values(|applicant| assert!(matches!(gate.admit(&applicant), Decision::Admitted(_))));
}

/// A phone that was texted a moment ago: DynamoDB refuses, and its reasons are read.
#[divan::bench(sample_count = 300, sample_size = 1)]
fn admit_refuses(bencher: Bencher<'_, '_>) {
    let gate = Gate::open();
    assert!(matches!(gate.admit(&Applicant::new(0)), Decision::Admitted(_)));
    let mut applicants = 1..;
    bencher
        .with_inputs(|| Applicant { phone: phone(0), ..Applicant::new(applicants.next().unwrap()) })
        .bench_local_values(|applicant| assert!(matches!(gate.admit(&applicant), Decision::LimitReached(_))));
}

/// Once at each start: mostly reading the certificate authorities that this machine trusts.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn set_up_tls() -> Tls {
    Tls::new().unwrap()
}

/// The webhook call of `events/inbound-sms.json`.
struct Inbound {
    url: String,
    signature: String,
    body: Vec<u8>,
}

impl Inbound {
    fn from_event() -> Self {
        let event: Value = serde_json::from_str(include_str!("../../events/inbound-sms.json")).unwrap();
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap();
        Self {
            url: format!("https://{}{}", text("/requestContext/domainName"), text("/rawPath")),
            signature: text("/headers/x-twilio-signature").to_owned(),
            body: BASE64.decode(text("/body")).unwrap(),
        }
    }

    fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: "POST",
            url: &self.url,
            content_type: Some("application/x-www-form-urlencoded"),
            body: &self.body,
            signature: Some(&self.signature),
        }
    }
}

/// So many tokens, the last of which is the right one.
fn auth_tokens(count: usize) -> Vec<AuthToken> {
    let others = (1..count).map(|other| format!("{other:032x}"));
    others.chain([AUTH_TOKEN.to_owned()]).map(|token| AuthToken::new(&token).unwrap()).collect()
}

/// Somebody who asks for a code.
struct Applicant {
    phone: PhoneNumber,
    ip: ClientIp,
    key: String,
}

impl Applicant {
    fn new(number: u32) -> Self {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + number);
        Self { phone: phone(number), ip: ClientIp::parse(&ip.to_string()).unwrap(), key: format!("send-{number}") }
    }
}

/// Each in a block of 1,000 numbers of its own, since these have a limit too.
fn phone(number: u32) -> PhoneNumber {
    PhoneNumber::parse(&format!("+1415{}", 2_000_000 + 1_000 * number)).unwrap()
}

/// The table in an embedded DynamoDB, under the default limits, with room for all applicants in the one network that they come from.
struct Gate {
    table: Table,
    limits: SendLimits,
    now_ms: u64,
}

impl Gate {
    fn open() -> Self {
        RUNTIME.block_on(async {
            let database = listener().await;
            let dynamodb = connect(&database).dynamodb;
            tokio::spawn(dynoxide::server::serve_on(database, Database::memory().unwrap()));
            dynamodb
                .create_table()
                .table_name("tollgate")
                .key_schema(KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap())
                .attribute_definitions(
                    AttributeDefinition::builder()
                        .attribute_name("pk")
                        .attribute_type(ScalarAttributeType::S)
                        .build()
                        .unwrap(),
                )
                .billing_mode(BillingMode::PayPerRequest)
                .send()
                .await
                .unwrap();

            // The table's key comes out of Secrets Manager only, so a small one gives it.
            let secrets = listener().await;
            let secrets_manager = connect(&secrets).secrets_manager;
            let key = post(async || r#"{"SecretString":"{\"key\":\"a-benchmark-has-nothing-to-hide-at-all\"}"}"#);
            tokio::spawn(axum::serve(secrets, Router::new().route("/", key)).into_future());
            let key = Secret::hmac_key(secrets_manager, "key", Clock::system()).get().await.unwrap();

            let backoff = Backoff { tries: 1, base: Duration::ZERO, cap: Duration::ZERO };
            Self {
                table: Table {
                    items: Items { client: dynamodb, table_name: "tollgate".to_owned(), backoff },
                    key: key[0].clone(),
                },
                limits: SendLimits::from_environment(&Environment::of([("NETWORK_LIMIT", "100000/1h")])).unwrap(),
                now_ms: Clock::system().now_ms(),
            }
        })
    }

    fn admit(&self, applicant: &Applicant) -> Decision {
        let idempotency_key = &applicant.key.parse().unwrap();
        let code: &VerificationCode = &"493027".parse().unwrap();
        let phone = &applicant.phone;
        let verification = &self.table.start_verification(phone.as_str(), self.now_ms, getrandom::fill).unwrap();
        let wish = SendRequest {
            phone,
            ip: &applicant.ip,
            idempotency_key,
            code,
            verification,
            trusted: false,
            is_unassigned: false,
            price: Dollars::default(),
            fingerprint: "",
        };
        RUNTIME.block_on(self.table.admit(wish, &self.limits, self.now_ms)).unwrap()
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

fn connect(listener: &TcpListener) -> Aws {
    let settings = AwsSettings {
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        credentials: Credentials::new("local", "local", None, None, "local"),
        backoff: Backoff { tries: 1, base: Duration::ZERO, cap: Duration::ZERO },
        attempt_timeout: TIMEOUTS.total,
    };
    settings.connect(&Tls::new().unwrap()).unwrap()
}
