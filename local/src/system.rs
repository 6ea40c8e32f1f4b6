//! The whole system: services, functions and server, started and wired together on one port.

use crate::api::state::AppState;
use crate::aws::dynamodb::{self, Database, TableError};
use crate::aws::lambda_account::FakeLambdaAccount;
use crate::aws::secrets_manager::FakeSecrets;
use crate::clock::MovableClock;
use crate::fake_account::FakeAccount;
use crate::fixtures::{self, API_KEY_SECRET_NAME, AUTH_TOKEN_SECRET, HMAC_KEY_SECRET, OUR_NUMBER, TABLE_NAME};
use crate::functions::{Functions, LONG, States};
use crate::server;
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
use fake_twilio::{DeliveryTiming, Entry, FakeTwilio, TwilioConfig};
use fake_twilio::{Journal, JournalError};
use shared::runtime::aws::AwsSettings;
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::dependencies::{Deadlines, Dependencies, StartError};
use shared::runtime::http::{self, Connections, HttpError, Tls};
use shared::runtime::metrics::Sink;

use shared::runtime::settings::Environment;
use shared::twilio::url::CALL_AGAIN;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How to start the system.
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The folder that keeps the table and the messages; `None` keeps them in memory.
    pub data: Option<PathBuf>,
    /// The table to go on with, in place of the one in `data`.
    pub database: Option<Database>,
    /// Settings by their variables, in place of their defaults.
    pub settings: Vec<(String, String)>,
    /// The clock of all parts, to which `POST /clock` adds.
    pub clock: Clock,
    /// How fast messages are delivered.
    pub delivery_timing: DeliveryTiming,
    /// How long send-code waits for Twilio and the table.
    pub deadlines: Deadlines,
    /// Puts something between the functions' AWS SDK and the network: tests inject failures here.
    pub aws_http: Option<WrapHttpClient>,
    /// Where the functions' metrics go.
    pub metrics: Sink,
}

/// Puts something before an HTTP client.
pub type WrapHttpClient = Box<dyn FnOnce(SharedHttpClient) -> SharedHttpClient + Send>;

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            data: None,
            database: None,
            settings: Vec::new(),
            clock: Clock::system(),
            delivery_timing: DeliveryTiming::default(),
            // A webhook may wait for a debugger.
            deadlines: Deadlines { webhook: LONG.total, ..Deadlines::LAMBDA },
            aws_http: None,
            metrics: Sink::none(),
        }
    }
}

/// The running system. It stops when this is dropped.
pub struct System {
    /// The system's address, `http://127.0.0.1:PORT`.
    pub base_url: String,
    /// The fake Twilio.
    pub twilio: FakeTwilio,
    /// The resources of the Twilio account.
    pub account: FakeAccount,
    /// The small Secrets Manager.
    pub secrets: FakeSecrets,
    /// Lambda's quota of the AWS account.
    pub lambda_account: FakeLambdaAccount,
    /// The pending faults.
    pub faults: Faults,
    /// send-code, as Lambda would hold it.
    pub send_code: Arc<send_code::state::State>,
    /// check-code, as Lambda would hold it.
    pub check_code: Arc<check_code::state::State>,
    /// inbound-sms, as Lambda would hold it.
    pub inbound_sms: Arc<inbound_sms::state::State>,
    /// delivery-status, as Lambda would hold it.
    pub delivery_status: Arc<delivery_status::state::State>,
    /// checklist, as Lambda would hold it.
    pub checklist: Arc<checklist::state::State>,
    server: JoinHandle<()>,
}

/// Why the system can't start.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The port is probably in use.
    #[error(
        "can't listen on 127.0.0.1:{port} ({error}); choose another port with --port N, or --port 0 for a free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The folder can't be used.
    #[error("can't keep the table in {} ({reason}); choose another folder with --data DIR", folder.display())]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The kept messages can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The embedded DynamoDB can't be opened.
    #[error("can't open the embedded DynamoDB ({0})")]
    Database(String),
    /// The table can't be created.
    #[error(transparent)]
    Table(#[from] TableError),
    /// HTTP or TLS can't be set up.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A function can't start.
    #[error("can't start the functions ({0})")]
    Function(#[from] StartError),
}

impl System {
    /// Starts everything on 127.0.0.1.
    ///
    /// # Errors
    /// [`SystemError`] says what can't start, and why.
    pub async fn start(options: Options) -> Result<Self, SystemError> {
        let Options { port, data, database, settings, clock, delivery_timing, deadlines, aws_http, metrics } = options;
        let (listener, base_url) = listen(port).await?;
        let mut storage = Storage::open(data)?;
        if let Some(database) = database {
            storage.database = database;
        }
        let database = storage.database.clone();
        let tls = Tls::new()?;
        let aws = aws_settings(&base_url, deadlines.table_backoff);
        let dynamodb = aws.connect_over(database.http_client()).dynamodb;
        dynamodb::create_table(&dynamodb, TABLE_NAME).await?;

        let environment = environment(&base_url, settings);
        let services = Services { base_url: &base_url, clock, delivery_timing, tls: &tls };
        let state = services.start(storage, dynamodb, environment)?;
        // The functions fetch their secrets over HTTP when they start, so the server comes first.
        let server = server::start(listener, &state, database);

        let http = http::for_aws(tls.client(LONG, Connections::Kept)?);
        let http = match aws_http {
            Some(wrap) => wrap(http),
            None => http,
        };
        let (aws, clock) = (aws.connect_over(http), state.clock.clock());
        let dependencies = Dependencies { aws, tls, clock, random: getrandom::fill, metrics, deadlines };
        let states = States::start(&state.environment, &dependencies).await?;
        state.functions.set(states.clone());
        // Texts whose webhook was pending when the last process ended.
        state.twilio.resume_inbound();
        let AppState { twilio, account, secrets, lambda_account, faults, .. } = state;
        let States { send_code, check_code, inbound_sms, delivery_status, checklist } = states;
        Ok(Self {
            base_url,
            twilio,
            account,
            secrets,
            lambda_account,
            faults,
            send_code,
            check_code,
            inbound_sms,
            delivery_status,
            checklist,
            server,
        })
    }

    /// Serves until the process ends.
    pub async fn serve(mut self) {
        let _ = (&mut self.server).await;
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.server.abort();
        // An open connection would keep the messages alive and their journal locked.
        self.twilio.end();
    }
}

async fn listen(port: u16) -> Result<(TcpListener, String), SystemError> {
    let failed = |error| SystemError::Port { port, error };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let base_url = format!("http://{}", listener.local_addr().map_err(failed)?);
    Ok((listener, base_url))
}

/// The database and the messages, as the last process left them.
struct Storage {
    database: Database,
    journal: Option<Journal>,
    past: Vec<Entry>,
}

impl Storage {
    /// Opens the files in this folder and creates them if need be.
    fn open(folder: Option<PathBuf>) -> Result<Self, SystemError> {
        let Some(folder) = folder else {
            let database = Database::open(None).map_err(SystemError::Database)?;
            return Ok(Self { database, journal: None, past: Vec::new() });
        };
        let opened = match std::fs::create_dir_all(&folder) {
            Ok(()) => Database::open(Some(&folder.join("tollgate.db"))),
            Err(error) => Err(error.to_string()),
        };
        let database = opened.map_err(|reason| SystemError::Data { folder: folder.clone(), reason })?;
        let (journal, past) = Journal::open(&folder.join("messages.jsonl"))?;
        Ok(Self { database, journal: Some(journal), past })
    }
}

/// What the services are started with.
struct Services<'a> {
    base_url: &'a str,
    clock: Clock,
    delivery_timing: DeliveryTiming,
    tls: &'a Tls,
}

impl Services<'_> {
    /// Starts the fake Twilio and Secrets Manager. The functions are added to the result when they have started.
    fn start(
        self,
        storage: Storage,
        dynamodb: aws_sdk_dynamodb::Client,
        environment: Environment,
    ) -> Result<AppState, SystemError> {
        let Storage { journal, past, .. } = storage;
        let clock = MovableClock::new(self.clock, fake_twilio::clock_ahead_ms(&past));
        let exchanges = Exchanges::new(clock.clock());
        let faults = Faults::new(exchanges.clone());
        let config = TwilioConfig {
            clock: clock.clock(),
            http: self.tls.client(LONG, Connections::Fresh)?,
            exchanges: exchanges.clone(),
            faults: faults.clone(),
            timing: self.delivery_timing,
            journal,
            past,
            api_url: self.base_url.to_owned(),
            sms_url: format!("{}/sms{CALL_AGAIN}", self.base_url),
        };
        let twilio = FakeTwilio::new(fixtures::account(), config);
        twilio.resume_deliveries();
        let secrets = FakeSecrets::new(clock.clock());
        for (name, value) in fixtures::secrets() {
            secrets.put(name, &value);
        }
        Ok(AppState {
            base_url: self.base_url.into(),
            account: FakeAccount::new(twilio.clone(), clock.clock()),
            clock,
            exchanges,
            faults,
            twilio,
            secrets,
            lambda_account: FakeLambdaAccount::default(),
            functions: Functions::default(),
            dynamodb,
            environment: Arc::new(environment),
        })
    }
}

fn aws_settings(base_url: &str, table: Backoff) -> AwsSettings {
    AwsSettings {
        region: "us-east-1".to_owned(),
        endpoint: Some(base_url.to_owned()),
        credentials: Credentials::new("local", "local", None, None, "local"),
        backoff: Backoff { base: Duration::from_millis(1), ..table },
        attempt_timeout: LONG.total,
    }
}

/// The environment that `template.yaml` gives the functions, for all of them at once.
fn environment(base_url: &str, settings: Vec<(String, String)>) -> Environment {
    let ours = [
        ("API_ENDPOINT", base_url),
        ("API_KEY_SECRET", API_KEY_SECRET_NAME),
        ("AUTH_TOKEN_SECRET", AUTH_TOKEN_SECRET),
        ("HMAC_KEY_SECRET", HMAC_KEY_SECRET),
        ("PUBLIC_URL", base_url),
        ("SENDING_SECRET", API_KEY_SECRET_NAME),
        ("STATUS_CALLBACK", &format!("{base_url}/sms/status{CALL_AGAIN}")),
        ("TABLE_NAME", TABLE_NAME),
        ("TWILIO_BASE_URL", base_url),
        ("TWILIO_FROM", OUR_NUMBER),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment::of(ours.into_iter().chain(settings))
}
