//! Everything started, wired together, and served on one port.

use crate::clock::MovableClock;
use crate::database::Database;
use crate::desk::Desk;
use crate::fake_account::FakeAccount;
use crate::fake_secrets::FakeSecrets;
use crate::gateway::{self, Functions, States};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
use fake_twilio::resettable::{ConnectionHandle, ResettableListener};
use fake_twilio::{self, DeliveryTiming, FakeTwilio, TwilioAccount};
use fake_twilio::{Journal, JournalError};
use jiff::Timestamp;
use shared::runtime::aws::AwsSettings;
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::dependencies::{Deadlines, Dependencies};
use shared::runtime::http::{self, Connections, HttpError, Timeouts, Tls};
use shared::runtime::metrics::Sink;
use shared::runtime::settings::Environment;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The account that the fake Twilio knows. Anybody may sign with its token: it opens nothing but this machine's fake.
pub const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
/// Its auth token, which signs webhooks.
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Its API key, which sends.
pub const API_KEY_SID: &str = "SK00000000000000000000000000000001";
/// The API key's secret.
pub const API_KEY_SECRET: &str = "local-api-key-secret";
/// Its number. Twilio's own "magic" number for a sender that works.
pub const OUR_NUMBER: &str = "+15005550006";
/// Its Messaging Service.
pub const OUR_SERVICE: &str = "MG00000000000000000000000000000001";

/// The names of the secrets and the table.
pub const AUTH_TOKEN_SECRET: &str = "tollgate/twilio-auth-token";
/// See [`AUTH_TOKEN_SECRET`].
pub const API_KEY_SECRET_NAME: &str = "tollgate/twilio-api-key";
/// See [`AUTH_TOKEN_SECRET`].
pub const HMAC_KEY_SECRET: &str = "tollgate/hmac-key";
/// See [`AUTH_TOKEN_SECRET`].
pub const TABLE_NAME: &str = "tollgate";

/// How the system is to be started.
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Where the table and the messages are kept; `None` keeps them in memory.
    pub data: Option<PathBuf>,
    /// Settings by the names of their variables, in place of their defaults.
    pub settings: Vec<(String, String)>,
    /// The time that all parts go by, as long as nobody moves it.
    pub clock: Clock,
    /// How long a message takes to its phone.
    pub pace: DeliveryTiming,
    /// How long the functions wait for everything else.
    pub deadlines: Deadlines,
    /// What stands between the functions' AWS SDK and the network, if anything: tests break things here.
    pub aws_http: Option<Between>,
    /// Where the functions' metrics go.
    pub metrics: Sink,
}

/// Puts something before an HTTP client.
pub type Between = Box<dyn FnOnce(SharedHttpClient) -> SharedHttpClient + Send>;

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            data: None,
            settings: Vec::new(),
            clock: Clock::system(),
            pace: DeliveryTiming::default(),
            // A webhook may wait for a debugger.
            deadlines: Deadlines { webhook: ENOUGH_TIME.total, ..Deadlines::LAMBDA },
            aws_http: None,
            metrics: Sink::none(),
        }
    }
}

/// The running system. It ends when this is dropped.
pub struct System {
    /// Where everything is: `http://127.0.0.1:PORT`.
    pub base_url: String,
    /// The fake Twilio.
    pub twilio: FakeTwilio,
    /// What Twilio tells of its account.
    pub account: FakeAccount,
    /// The small Secrets Manager.
    pub secrets: FakeSecrets,
    /// What goes wrong.
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
pub enum StartError {
    /// The port is taken, most likely.
    #[error(
        "127.0.0.1:{port} can't be listened on ({error}): choose another port with --port N, or --port 0 for a free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The folder for the table.
    #[error("the table can't be kept in {folder}: {reason}")]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The kept messages.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The embedded DynamoDB.
    #[error("the embedded DynamoDB does not start: {0}")]
    Database(String),
    /// HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// One of the functions.
    #[error("the functions do not start: {0}")]
    Function(#[from] shared::runtime::dependencies::StartError),
}

impl System {
    /// Starts everything on 127.0.0.1.
    ///
    /// # Errors
    /// [`StartError`] says what and why.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { port, data, settings, clock, pace, deadlines, aws_http, metrics } = options;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| StartError::Port { port, error })?;
        let base_url = address(&listener, port)?;

        let kept = data.map(folder).transpose()?;
        let database = open(kept.as_deref())?;

        let (journal, past) = match kept {
            Some(folder) => {
                Journal::open(&folder.join("messages.jsonl")).map(|(journal, past)| (Some(journal), past))?
            }
            None => (None, Vec::new()),
        };
        let tls = Tls::new()?;
        let clock = MovableClock::new(clock, fake_twilio::clock_ahead_ms(&past));
        let feed = Exchanges::new(clock.clock());
        let faults = Faults::new(feed.clone());
        let world = fake_twilio::TwilioConfig {
            clock: clock.clock(),
            http: tls.client(ENOUGH_TIME, Connections::Fresh)?,
            exchanges: feed.clone(),
            faults: faults.clone(),
            timing: pace,
            journal,
            past,
            api_url: base_url.clone(),
            sms_url: format!("{base_url}/sms"),
        };
        let twilio = FakeTwilio::new(self::account(), world);
        twilio.resume_deliveries();
        let account = FakeAccount::new(twilio.clone(), clock.clock());
        let secrets = FakeSecrets::new(timestamps(clock.clock()));
        fill(&secrets);

        let aws = AwsSettings {
            region: "us-east-1".to_owned(),
            endpoint: Some(base_url.clone()),
            credentials: Credentials::new("local", "local", None, None, "local"),
            backoff: Backoff { base: Duration::from_millis(1), ..deadlines.table_backoff },
            attempt_timeout: ENOUGH_TIME.total,
        };
        let timeouts = Timeouts { connect: aws.attempt_timeout, total: aws.attempt_timeout };
        let http = http::for_aws(tls.client(timeouts, Connections::Kept)?);
        let dynamodb = aws.connect_over(database.http_client()).dynamodb;
        create_table(&dynamodb).await?;

        let environment = Arc::new(environment(&base_url, settings));
        let functions = Functions::default();
        let desk = Desk {
            base_url: base_url.as_str().into(),
            clock: clock.clone(),
            feed,
            faults: faults.clone(),
            twilio: twilio.clone(),
            account: account.clone(),
            secrets: secrets.clone(),
            functions: functions.clone(),
            dynamodb,
            environment: environment.clone(),
        };
        // The functions ask for their secrets when they start, so the services run first.
        let app = gateway::router(&desk, database).into_make_service_with_connect_info::<ConnectionHandle>();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(ResettableListener(listener), app).await {
                tracing::error!(%error, "the local server has ended");
            }
        });

        let aws = aws.connect_over(match aws_http {
            Some(between) => between(http),
            None => http,
        });
        let dependencies = Dependencies { aws, tls, clock: clock.clock(), random: getrandom::fill, metrics, deadlines };
        let states = start_functions(&environment, dependencies).await?;
        functions.set(states.clone());
        // Texts whose webhook was under way when the last process ended.
        twilio.resume_inbound();
        let States { send_code, check_code, inbound_sms, delivery_status, checklist } = states;
        Ok(Self {
            base_url,
            twilio,
            account,
            secrets,
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
        // A connection that is still open would keep the messages going, and their journal locked.
        self.twilio.end();
    }
}

/// Starts each function as Lambda would.
async fn start_functions(environment: &Environment, dependencies: Dependencies) -> Result<States, StartError> {
    let checklist = checklist::state::State::start(environment, dependencies.clone())?;
    let check_code = check_code::state::State::start(environment, dependencies.clone()).await?;
    let inbound_sms = inbound_sms::state::State::start(environment, dependencies.clone()).await?;
    let delivery_status = delivery_status::state::State::start(environment, dependencies.clone()).await?;
    let send_code = send_code::state::State::start(environment, dependencies).await?;
    Ok(States {
        send_code: Arc::new(send_code),
        check_code: Arc::new(check_code),
        inbound_sms: Arc::new(inbound_sms),
        delivery_status: Arc::new(delivery_status),
        checklist: Arc::new(checklist),
    })
}

const ENOUGH_TIME: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_mins(1) };

fn address(listener: &TcpListener, port: u16) -> Result<String, StartError> {
    let address = listener.local_addr().map_err(|error| StartError::Port { port, error })?;
    Ok(format!("http://{address}"))
}

fn account() -> TwilioAccount {
    TwilioAccount {
        account_sid: ACCOUNT_SID.to_owned(),
        auth_token: AUTH_TOKEN.to_owned(),
        api_key_sid: API_KEY_SID.to_owned(),
        api_key_secret: API_KEY_SECRET.to_owned(),
        numbers: vec![OUR_NUMBER.to_owned()],
        messaging_services: vec![OUR_SERVICE.to_owned()],
    }
}

fn timestamps(clock: Clock) -> crate::fake_secrets::Clock {
    Arc::new(move || {
        let now_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX)
    })
}

fn fill(secrets: &FakeSecrets) {
    secrets.put(AUTH_TOKEN_SECRET, &format!(r#"{{"accountSid":"{ACCOUNT_SID}","authToken":"{AUTH_TOKEN}"}}"#));
    let api_key =
        format!(r#"{{"accountSid":"{ACCOUNT_SID}","apiKeySid":"{API_KEY_SID}","apiKeySecret":"{API_KEY_SECRET}"}}"#);
    secrets.put(API_KEY_SECRET_NAME, &api_key);
    // Always the same, so that a table that was kept can still be read.
    secrets.put(HMAC_KEY_SECRET, r#"{"key":"the-key-of-a-laptop-protects-nothing-at-all"}"#);
}

/// The environment that `template.yaml` would give, for both functions at once.
fn environment(base_url: &str, settings: Vec<(String, String)>) -> Environment {
    let ours = [
        ("API_ENDPOINT", base_url),
        ("API_KEY_SECRET", API_KEY_SECRET_NAME),
        ("AUTH_TOKEN_SECRET", AUTH_TOKEN_SECRET),
        ("HMAC_KEY_SECRET", HMAC_KEY_SECRET),
        ("PUBLIC_URL", base_url),
        ("SENDING_SECRET", API_KEY_SECRET_NAME),
        ("STATUS_CALLBACK", &format!("{base_url}/sms/status")),
        ("TABLE_NAME", TABLE_NAME),
        ("TWILIO_BASE_URL", base_url),
        ("TWILIO_FROM", OUR_NUMBER),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment::of(ours.into_iter().chain(settings))
}

fn folder(folder: PathBuf) -> Result<PathBuf, StartError> {
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(error) => Err(StartError::Data { folder, reason: error.to_string() }),
    }
}

fn open(folder: Option<&Path>) -> Result<Database, StartError> {
    let file = folder.map(|folder| folder.join("tollgate.db"));
    Database::open(file.as_deref()).map_err(|reason| match folder {
        Some(folder) => StartError::Data { folder: folder.to_owned(), reason },
        None => StartError::Database(reason),
    })
}

/// Deletes everything in the table.
///
/// # Errors
/// What DynamoDB says.
pub async fn empty_table(dynamodb: &aws_sdk_dynamodb::Client) -> Result<(), aws_sdk_dynamodb::Error> {
    loop {
        // A page at a time: what was deleted is not in the next.
        let page = dynamodb.scan().table_name(TABLE_NAME).projection_expression("pk").send().await?;
        let Some(items) = page.items.filter(|items| !items.is_empty()) else { return Ok(()) };
        for key in items {
            dynamodb.delete_item().table_name(TABLE_NAME).set_key(Some(key)).send().await?;
        }
    }
}

/// The table of `template.yaml`, unless a kept one is there already.
async fn create_table(dynamodb: &aws_sdk_dynamodb::Client) -> Result<(), StartError> {
    let failed = |error: String| StartError::Database(error);
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build();
    let pk = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build();
    let created = dynamodb
        .create_table()
        .table_name(TABLE_NAME)
        .key_schema(key.map_err(|error| failed(error.to_string()))?)
        .attribute_definitions(pk.map_err(|error| failed(error.to_string()))?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error.into_service_error().to_string())),
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build();
    let ttl = ttl.map_err(|error| failed(error.to_string()))?;
    let set = dynamodb.update_time_to_live().table_name(TABLE_NAME).time_to_live_specification(ttl).send().await;
    set.map(|_| ()).map_err(|error| failed(error.into_service_error().to_string()))
}
