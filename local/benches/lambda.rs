//! What the functions cost on Lambda: cold start, invocation time, processor time, memory and size.
//!
//! Lambda's side of a function is an HTTP API of a few calls, so this process can be Lambda. It starts the built binaries, hands
//! them events, and measures the time between their calls. Each figure is compared with that of a function that does nothing,
//! `examples/hello.rs`, started in turn with the others: machines differ and drift, the ratio hardly does.
//!
//! ```text
//! sam build --build-dir target/ci/build        or   cargo build --release --bins
//! cargo build --release --package local --example hello
//! cargo bench --package local --bench lambda   [-- send-code=PATH inbound-sms=PATH hello=PATH]
//! ```
//!
//! AWS and Twilio are those of [`local::system`], in this process and over plain HTTP on 127.0.0.1. The figures include setting
//! up TLS at the start, but no handshake.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use local::fixtures::{API_KEY_SECRET_NAME, AUTH_TOKEN, AUTH_TOKEN_SECRET, HMAC_KEY_SECRET, OUR_NUMBER, TABLE_NAME};
use local::system::{Options, System};
use serde_json::{Value, json};
use shared::runtime::clock::Clock;
use shared::runtime::settings::Environment;
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, sign};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How often each function is started.
const STARTS: usize = 30;
/// How many events it receives one after another in its own sandbox. Many, because the system counts processor time in
/// hundredths of a second.
const INVOCATIONS: u32 = 2000;
/// The longest time that a function may take for one call.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The unit of times in `/proc/PID/stat`: 100 a second, on every architecture of Lambda.
const TICK: Duration = Duration::from_millis(10);

// The targets.
const MOST_INIT: f64 = 1.5;
const MOST_FIRST_MS: f64 = 10.0;
const MOST_WARM_CPU_MS: f64 = 1.0;
const MOST_RESIDENT_MB: f64 = 12.0;
const MOST_ZIP_MB: f64 = 3.5;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo test --all-targets` starts benchmarks too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run cargo bench --package local --bench lambda to measure");
        return Ok(());
    }
    let system = System::start(Options::default()).await?;
    let functions =
        [Function::hello()?, Function::send_code(&system.base_url)?, Function::inbound_sms(&system.base_url)?];

    // Each invocation has its own number, from which its phone number, address and ids are made.
    let mut numbers = 0..;
    let mut event = |function: &Function| Event::new(function, numbers.next().unwrap_or_default());
    let mut figures = [const { Figures::new() }; 3];
    for _ in 0..STARTS {
        for (function, figures) in functions.iter().zip(&mut figures) {
            let (mut sandbox, init) = Sandbox::start(function).await?;
            let (first, answer) = sandbox.invoke(event(function)?).await?;
            function.check(&answer)?;
            figures.init.push(init);
            figures.first.push(first);
            figures.resident_bytes.push(sandbox.memory("VmRSS")?);
        }
    }
    for (function, figures) in functions.iter().zip(&mut figures) {
        let (mut sandbox, _) = Sandbox::start(function).await?;
        sandbox.invoke(event(function)?).await?;
        let before = sandbox.processor_time()?;
        for _ in 0..INVOCATIONS {
            let (warm, answer) = sandbox.invoke(event(function)?).await?;
            function.check(&answer)?;
            figures.warm.push(warm);
        }
        figures.warm_cpu = sandbox.processor_time()?.saturating_sub(before) / INVOCATIONS;
        figures.peak_bytes = sandbox.memory("VmHWM")?;
        figures.binary_bytes = std::fs::metadata(&function.binary)?.len().try_into()?;
        figures.zip_bytes = zip_bytes(&function.binary)?;
    }
    for function in &functions {
        println!("{}: {}", function.name, function.binary.display());
    }
    print(&functions, &figures)
}

/// A built function, with everything that it needs to run.
struct Function {
    name: &'static str,
    binary: PathBuf,
    environment: Vec<(&'static str, String)>,
    event: fn(u32) -> Result<Value>,
    /// The field of a successful answer and its value. A refusal would be the wrong thing to measure.
    good: (&'static str, Value),
}

impl Function {
    fn hello() -> Result<Self> {
        Ok(Self {
            name: "hello",
            binary: binary("hello", &[build().join("examples/hello")])?,
            environment: vec![],
            event: |_| Ok(json!({})),
            good: ("/hello", "world".into()),
        })
    }

    fn send_code(base_url: &str) -> Result<Self> {
        let own = [
            ("SENDING_SECRET", API_KEY_SECRET_NAME),
            ("TWILIO_BASE_URL", base_url),
            // A day's sends take seconds here.
            ("NETWORK_LIMIT", "100000/1h, 100000/1d"),
            ("COUNTRY_LIMIT", "100000/1d"),
            ("SPEND_LIMIT", "$9999/1h, $9999/1d"),
            ("TOTAL_LIMIT", "100000/1d"),
        ];
        Ok(Self {
            name: "send-code",
            binary: binary("send-code", &[sam_build("SendCode"), build().join("send-code")])?,
            environment: environment(base_url, &own),
            event: send_code_event,
            good: ("/status", "sent".into()),
        })
    }

    fn inbound_sms(base_url: &str) -> Result<Self> {
        let own = [("AUTH_TOKEN_SECRET", AUTH_TOKEN_SECRET)];
        Ok(Self {
            name: "inbound-sms",
            binary: binary("inbound-sms", &[sam_build("InboundSms"), build().join("inbound-sms")])?,
            environment: environment(base_url, &own),
            event: inbound_sms_event,
            good: ("/statusCode", 200.into()),
        })
    }

    fn check(&self, answer: &Value) -> Result<()> {
        let (pointer, good) = &self.good;
        if answer.pointer(pointer) == Some(good) {
            return Ok(());
        }
        Err(format!("{} answered {answer}, which is not the answer to measure", self.name).into())
    }
}

/// The binary that the command line names, or the first of these that exists.
fn binary(name: &str, places: &[PathBuf]) -> Result<PathBuf> {
    let prefix = format!("{name}=");
    let given = std::env::args().find_map(|argument| Some(PathBuf::from(argument.strip_prefix(&prefix)?)));
    let missing = || format!("{name} is not built; see the top of benches/lambda.rs, or pass {name}=PATH");
    Ok(given.or_else(|| places.iter().find(|place| place.exists()).cloned()).ok_or_else(missing)?)
}

/// The folder of `cargo build --release`. This benchmark is in its `deps`.
fn build() -> PathBuf {
    std::env::current_exe().unwrap_or_default().ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

fn sam_build(logical_id: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(""));
    workspace.join("target/ci/build").join(logical_id).join("bootstrap")
}

/// The variables that `template.yaml` gives all functions, with `own` in place of the defaults, then those of Lambda and the
/// address of the local system.
fn environment(base_url: &str, own: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let both = [("TABLE_NAME", TABLE_NAME), ("HMAC_KEY_SECRET", HMAC_KEY_SECRET), ("TWILIO_FROM", OUR_NUMBER)];
    let lambda = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("AWS_ENDPOINT_URL", base_url),
    ];
    // If a name occurs twice, the process gets the later value.
    let given = both.iter().chain(own).chain(&lambda).map(|(name, value)| (*name, (*value).to_owned()));
    Environment::defaults().map(|(name, value)| (name, value.to_owned())).chain(given).collect()
}

/// Each number is in its own block of 1,000, because blocks have a limit too. There are 8,000.
fn phone_number(number: u32) -> String {
    format!("+1415{}", 2_000_000 + 1_000 * number)
}

fn send_code_event(number: u32) -> Result<Value> {
    let mut event: Value = serde_json::from_str(include_str!("../../events/send-code.json"))?;
    event["phone_number"] = phone_number(number).into();
    event["ip"] = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + number).to_string().into();
    Ok(event)
}

fn inbound_sms_event(number: u32) -> Result<Value> {
    let mut event: Value = serde_json::from_str(include_str!("../../events/inbound-sms.json"))?;
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).ok_or("the event is not an HTTP API's");
    let url = format!("https://{}{}", text("/requestContext/domainName")?, text("/rawPath")?);
    let body = String::from_utf8(BASE64.decode(text("/body")?)?)?;
    let sid = Form::parse(body.as_bytes()).text("MessageSid")?.ok_or("the event has no MessageSid")?.to_owned();
    let from = Form::parse(body.as_bytes()).text("From")?.ok_or("the event has no From")?.to_owned();
    let body = body.replace(&sid, &format!("SM{number:032x}")).replace(&from[1..], &phone_number(number)[1..]);

    let signature = sign(&AuthToken::new(AUTH_TOKEN)?, &url, &Form::parse(body.as_bytes()));
    event["headers"]["x-twilio-signature"] = signature.into();
    event["body"] = BASE64.encode(body).into();
    Ok(event)
}

/// What Lambda hands to a function.
struct Event {
    request_id: String,
    payload: String,
}

impl Event {
    fn new(function: &Function, number: u32) -> Result<Self> {
        let request_id = format!("00000000-0000-4000-8000-{number:012x}");
        Ok(Self { request_id, payload: (function.event)(number)?.to_string() })
    }
}

/// A function that runs, and Lambda's side of it. Both end when this is dropped.
struct Sandbox {
    process: Child,
    server: JoinHandle<()>,
    asked: UnboundedReceiver<Instant>,
    events: UnboundedSender<Event>,
    answers: UnboundedReceiver<Answer>,
}

/// When an answer arrived, and the answer: `Err` if the function reports an error.
type Answer = (Instant, std::result::Result<Bytes, Bytes>);

/// The ends that the server of a sandbox holds.
#[derive(Clone)]
struct RuntimeApi {
    asked: UnboundedSender<Instant>,
    events: Arc<Mutex<UnboundedReceiver<Event>>>,
    answers: UnboundedSender<Answer>,
}

impl Sandbox {
    /// Starts a function, and returns how long it took to ask for its first event.
    async fn start(function: &Function) -> Result<(Self, Duration)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ((ask, asked), (events, event)) = (unbounded_channel(), unbounded_channel());
        let (answer, answers) = unbounded_channel();
        let api = RuntimeApi { asked: ask, events: Arc::new(Mutex::new(event)), answers: answer };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .with_state(api);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the Runtime API has ended: {error}");
            }
        });

        let started = Instant::now();
        let process = Command::new(&function.binary)
            .env_clear()
            .envs(function.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_FUNCTION_NAME", function.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", function.binary.display()))?;
        let mut sandbox = Self { process, server, asked, events, answers };
        let init = sandbox.ready().await? - started;
        Ok((sandbox, init))
    }

    /// Waits until the function asks for an event.
    async fn ready(&mut self) -> Result<Instant> {
        let asked = tokio::time::timeout(TIMEOUT, self.asked.recv()).await;
        Ok(asked?.ok_or("the Runtime API has ended")?)
    }

    /// Hands the function an event, and returns how long it took to answer.
    async fn invoke(&mut self, event: Event) -> Result<(Duration, Value)> {
        let handed = Instant::now();
        self.events.send(event).map_err(|_| "the Runtime API has ended")?;
        let answer = tokio::time::timeout(TIMEOUT, self.answers.recv()).await;
        let (answered, answer) = answer?.ok_or("the Runtime API has ended")?;
        let answer = answer.map_err(|error| format!("a function failed: {}", String::from_utf8_lossy(&error)))?;
        self.ready().await?;
        Ok((answered - handed, serde_json::from_slice(&answer)?))
    }

    /// User and system time so far.
    fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The second field is the name, in parentheses; the 14th and 15th are the times.
        let (_, rest) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
        let ticks: u32 =
            rest.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<std::result::Result<_, _>>()?;
        Ok(TICK * ticks)
    }

    /// A line of `/proc/PID/status`, in bytes.
    fn memory(&self, name: &str) -> Result<u32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: u32 = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("no such line in /proc/PID/status")?
            .trim()
            .parse()?;
        Ok(1024 * kib)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
        // It fails only if the function has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// The three calls of <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

async fn next(State(api): State<RuntimeApi>) -> std::result::Result<impl IntoResponse, StatusCode> {
    let _ = api.asked.send(Instant::now());
    let event = api.events.lock().await.recv().await.ok_or(StatusCode::GONE)?;
    let headers = [
        ("lambda-runtime-aws-request-id", event.request_id),
        ("lambda-runtime-deadline-ms", (Clock::system().now_ms() + 20_000).to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:local".to_owned()),
    ];
    Ok((headers.map(|(name, value)| (HeaderName::from_static(name), value)), event.payload))
}

async fn answered(State(api): State<RuntimeApi>, answer: Bytes) -> StatusCode {
    let _ = api.answers.send((Instant::now(), Ok(answer)));
    StatusCode::ACCEPTED
}

async fn failed(State(api): State<RuntimeApi>, error: Bytes) -> StatusCode {
    let _ = api.answers.send((Instant::now(), Err(error)));
    StatusCode::ACCEPTED
}

/// What was measured of one function.
struct Figures {
    init: Vec<Duration>,
    first: Vec<Duration>,
    resident_bytes: Vec<u32>,
    warm: Vec<Duration>,
    warm_cpu: Duration,
    peak_bytes: u32,
    binary_bytes: u32,
    zip_bytes: u32,
}

impl Figures {
    const fn new() -> Self {
        Self {
            init: vec![],
            first: vec![],
            resident_bytes: vec![],
            warm: vec![],
            warm_cpu: Duration::ZERO,
            peak_bytes: 0,
            binary_bytes: 0,
            zip_bytes: 0,
        }
    }
}

/// Prints the figures as a Markdown table, each with its ratio to hello and a cross if it misses a target.
fn print(functions: &[Function; 3], figures: &[Figures; 3]) -> Result<()> {
    println!(
        "\n{}, {} cores; medians of {STARTS} starts and {INVOCATIONS} warm invocations; AWS, Twilio and the Runtime API over \
         plain HTTP on 127.0.0.1, so no TLS handshake is in these times; zip by Python's zipfile, deflate level 9.\n",
        std::env::consts::ARCH,
        std::thread::available_parallelism()?
    );
    let [hello, others @ ..] = functions.each_ref().map(|function| function.name);
    println!("| | {hello} | {} | target |\n|---|--:|--:|--:|---|", others.join(" | "));

    let ms = |time: fn(&Figures) -> Duration| figures.each_ref().map(|of| time(of).as_secs_f64() * 1000.0);
    let mb = |bytes: fn(&Figures) -> u32| figures.each_ref().map(|of| f64::from(bytes(of)) / 1e6);
    let init = ms(|of| median(&of.init));
    row("init: start to first `GET …/next`", init, "ms", MOST_INIT * init[0], &format!("≤ {MOST_INIT} × hello"));
    let (first, target) = (ms(|of| median(&of.first)), format!("≤ {MOST_FIRST_MS} ms"));
    row("first invocation", first, "ms", MOST_FIRST_MS, &target);
    row("warm invocation", ms(|of| median(&of.warm)), "ms", f64::INFINITY, "");
    let (warm_cpu, target) = (ms(|of| of.warm_cpu), format!("≤ {MOST_WARM_CPU_MS} ms"));
    row("warm invocation, processor time", warm_cpu, "ms", MOST_WARM_CPU_MS, &target);
    let resident = mb(|of| median(&of.resident_bytes));
    row("resident after the first", resident, "MB", MOST_RESIDENT_MB, &format!("≤ {MOST_RESIDENT_MB} MB"));
    row("resident at most, warm", mb(|of| of.peak_bytes), "MB", MOST_RESIDENT_MB, "the same");
    row("binary", mb(|of| of.binary_bytes), "MB", f64::INFINITY, "");
    row("zip", mb(|of| of.zip_bytes), "MB", MOST_ZIP_MB, &format!("≤ {MOST_ZIP_MB} MB"));
    Ok(())
}

fn row(name: &str, [hello, others @ ..]: [f64; 3], unit: &str, most: f64, target: &str) {
    let others = others.map(|value| {
        let missed = if value > most { " ✗" } else { "" };
        format!("{value:.2} {unit} ({:.2} ×){missed}", value / hello)
    });
    println!("| {name} | {hello:.2} {unit} | {} | {target} |", others.join(" | "));
}

fn median<T: Copy + Ord>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2]
}

/// The size of a zip of a binary, which is what Lambda fetches for a cold start.
fn zip_bytes(binary: &Path) -> Result<u32> {
    const PROGRAM: &str = "
import io, sys, zipfile
file = io.BytesIO()
with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as zip:
    zip.write(sys.argv[1], 'bootstrap')
print(len(file.getvalue()))";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(binary).stderr(Stdio::inherit()).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
