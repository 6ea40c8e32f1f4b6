//! The embedded DynamoDB, in this process and without a port of its own.
//!
//! A request is what the AWS SDK writes: the name of an operation and its JSON. [`json_api`](super::json_api) passes such requests
//! on. To get past all faults, use [`Database::http_client`] as the HTTP client of the real SDK.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::DynoxideError;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::Path;

/// The media type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "DynamoDB_20120810.";
const CONTINUOUS_BACKUPS: &str = r#"{"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED",
    "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}}"#;

/// Why the table can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A request to DynamoDB is incomplete.
    #[error("invalid request to the embedded DynamoDB ({0})")]
    Request(#[from] BuildError),
    /// DynamoDB refuses the request.
    #[error("the embedded DynamoDB failed ({0})")]
    Refused(#[source] Box<aws_sdk_dynamodb::Error>),
}

impl TableError {
    pub(crate) fn refused(error: impl Into<aws_sdk_dynamodb::Error>) -> Self {
        Self::Refused(Box::new(error.into()))
    }
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct Database(dynoxide::Database);

impl Database {
    /// Opens the database in this file and creates it if need be. Without a file it is kept in memory.
    ///
    /// # Errors
    /// The reason that `SQLite` gives.
    pub fn open(file: Option<&Path>) -> Result<Self, String> {
        let opened = match file {
            Some(file) => dynoxide::Database::new(file.to_str().ok_or("its name is not UTF-8")?),
            None => dynoxide::Database::memory(),
        };
        opened.map(Self).map_err(|error| error.to_string())
    }

    /// Writes a copy into this file, which must not exist.
    ///
    /// # Errors
    /// The reason that `SQLite` gives.
    pub fn copy_to(&self, file: &Path) -> Result<(), String> {
        let file = file.to_str().ok_or("its name is not UTF-8")?;
        self.0.vacuum_into(file).map_err(|error| error.to_string())
    }

    /// Reads such a copy into memory. The file stays as it is.
    ///
    /// # Errors
    /// The reason that `SQLite` gives.
    pub fn of_copy(file: &Path) -> Result<Self, String> {
        let file = file.to_str().ok_or("its name is not UTF-8")?;
        let database = Self::open(None)?;
        database.0.restore_from(file).map_err(|error| error.to_string())?;
        Ok(database)
    }

    /// Answers a request with an HTTP status and JSON. `target` is the header `X-Amz-Target`.
    #[must_use]
    pub fn answer(&self, target: &str, body: &[u8]) -> (u16, String) {
        answered(self.dispatch(target.strip_prefix(TARGET).unwrap_or_default(), body))
    }

    /// The operations that the functions use, and those to look into a table with.
    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        let Self(db) = self;
        match operation {
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteTable" => run(body, |request| db.delete_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
            "ExecuteStatement" => run(body, |request| db.execute_statement(request)),
            // The table of `template.yaml` has backups on; the library doesn't know the operation.
            "DescribeContinuousBackups" => Ok(CONTINUOUS_BACKUPS.to_owned()),
            _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
        }
    }

    /// The database as the HTTP client of an AWS SDK. It reaches nothing else.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// An HTTP client for all of AWS: requests to DynamoDB go straight to the database, the others to `others`.
    ///
    /// No answer is lost on this way, so a transaction needs no `ClientRequestToken`. It is dropped, because with each transaction the
    /// database goes through the tokens of the last ten minutes.
    #[must_use]
    pub fn before(&self, others: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Shortcut { database: self.clone(), others })
    }
}

/// See [`Database::before`].
#[derive(Debug)]
struct Shortcut<O> {
    database: Database,
    others: O,
}

impl HttpClient for Shortcut<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let others = self.others.http_connector(settings, components);
        SharedHttpConnector::new(Shortcut { database: self.database.clone(), others })
    }
}

impl HttpConnector for Shortcut<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match request.headers().get("x-amz-target").and_then(|target| target.strip_prefix(TARGET)) {
            None => self.others.call(request),
            Some("TransactWriteItems") => {
                let Database(db) = &self.database;
                let answer = run(request.body().bytes().unwrap_or_default(), |request: TransactWriteItemsRequest| {
                    db.transact_write_items(TransactWriteItemsRequest { client_request_token: None, ..request })
                });
                let (status, answer) = answered(answer);
                respond(status, answer)
            }
            Some(_) => self.database.call(request),
        }
    }
}

fn answered(answer: Result<String, DynoxideError>) -> (u16, String) {
    match answer {
        Ok(answer) => (200, answer),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request =
        serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    let answer = operation(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

impl HttpClient for Database {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Database {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (status, answer) = self.answer(target, request.body().bytes().unwrap_or_default());
        respond(status, answer)
    }
}

fn respond(status: u16, answer: String) -> HttpConnectorFuture {
    let answer = StatusCode::try_from(status).map(|status| {
        let mut response = HttpResponse::new(status, SdkBody::from(answer));
        response.headers_mut().insert("content-type", CONTENT_TYPE);
        response
    });
    HttpConnectorFuture::ready(answer.map_err(|error| ConnectorError::user(error.into())))
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

/// Creates the table of `template.yaml`, unless it was kept from an earlier start.
///
/// # Errors
/// [`TableError`] if DynamoDB refuses.
pub async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), TableError> {
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build()?;
    let pk = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build()?;
    let created = dynamodb
        .create_table()
        .table_name(name)
        .key_schema(key)
        .attribute_definitions(pk)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => {
            return Ok(());
        }
        Err(error) => return Err(TableError::refused(error)),
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build()?;
    let enabled = dynamodb.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await;
    enabled.map(|_| ()).map_err(TableError::refused)
}

/// Deletes every item of the table.
///
/// # Errors
/// [`TableError`] if DynamoDB refuses.
pub async fn empty_table(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), TableError> {
    loop {
        // One page at a time: the next scan no longer finds the deleted items.
        let page = dynamodb.scan().table_name(name).projection_expression("pk").send().await;
        let page = page.map_err(TableError::refused)?;
        let Some(items) = page.items.filter(|items| !items.is_empty()) else { return Ok(()) };
        for key in items {
            let deleted = dynamodb.delete_item().table_name(name).set_key(Some(key)).send().await;
            deleted.map_err(TableError::refused)?;
        }
    }
}
