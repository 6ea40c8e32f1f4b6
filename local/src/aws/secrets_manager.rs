//! A small AWS Secrets Manager: enough of its JSON 1.1 protocol for the AWS SDK and the `aws` command.
//!
//! A secret is a list of versions, and each staging label is attached to one of them. Putting a value moves `AWSCURRENT` to the
//! new version, and `AWSPREVIOUS` to the version that had `AWSCURRENT`: that is a rotation.

use crate::random;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::runtime::clock::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const ARN_PREFIX: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";
/// AWS ends an ARN with six random characters. Here they are always the same, so that settings can contain an ARN.
const ARN_SUFFIX: &str = "-aB3dE6";

type Operation = fn(&mut Secrets, &Request) -> Result<Value, SecretsError>;

const OPERATIONS: [(&str, Operation); 6] = [
    ("CreateSecret", Secrets::create_secret),
    ("DescribeSecret", Secrets::describe_secret),
    ("GetSecretValue", Secrets::get_secret_value),
    ("ListSecrets", Secrets::list_secrets),
    ("PutSecretValue", Secrets::put_secret_value),
    ("UpdateSecretVersionStage", Secrets::update_secret_version_stage),
];

/// Secrets Manager, in memory. Clones share it.
#[derive(Clone)]
pub struct FakeSecrets {
    secrets: Arc<Mutex<Secrets>>,
}

impl FakeSecrets {
    /// A Secrets Manager without secrets. The clock dates their versions.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let secrets = Secrets { clock, by_name: BTreeMap::new(), calls: BTreeMap::new() };
        Self { secrets: Arc::new(Mutex::new(secrets)) }
    }

    /// Creates a secret, or rotates it: the current version becomes the previous one.
    pub fn put(&self, name: &str, value: &str) {
        self.set_version(name, CURRENT, value);
    }

    /// Adds a version with one label, which is taken from the version that has it. Only `AWSCURRENT` moves another label too.
    pub fn set_version(&self, name: &str, stage: &str, value: &str) {
        self.lock().entry(name).add(&random::uuid(), value, [stage]);
    }

    /// Removes a label, so that a request for it finds nothing.
    pub fn remove_stage(&self, name: &str, stage: &str) {
        if let Some(secret) = self.lock().by_name.get_mut(name) {
            secret.detach(stage);
        }
    }

    /// How often an operation was called, successfully or not.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.lock().calls.get(operation).copied().unwrap_or_default()
    }

    /// Answers a request. `target` is the header `X-Amz-Target`, by which several services share a port.
    #[must_use]
    pub fn handle(&self, target: &str, body: &[u8]) -> Response {
        let answer = self.answer(target, body);
        let content_type = (header::CONTENT_TYPE, "application/x-amz-json-1.1");
        match answer {
            Ok(answer) => ([content_type], answer.to_string()).into_response(),
            Err(SecretsError(error_type, message)) => {
                let body = json!({ "__type": error_type, "Message": message }).to_string();
                let error_type = (header::HeaderName::from_static("x-amzn-errortype"), error_type);
                (StatusCode::BAD_REQUEST, [content_type, error_type], body).into_response()
            }
        }
    }

    /// The service alone, at `POST /`.
    pub fn router(&self) -> Router {
        let answer = async |State(secrets): State<Self>, headers: HeaderMap, body: Bytes| {
            let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
            secrets.handle(target, &body)
        };
        Router::new().route("/", post(answer)).with_state(self.clone())
    }

    fn answer(&self, target: &str, body: &[u8]) -> Result<Value, SecretsError> {
        let known = OPERATIONS.iter().find(|(name, _)| target.strip_prefix("secretsmanager.") == Some(name));
        let (name, run) = known
            .ok_or_else(|| SecretsError("UnknownOperationException", "There is no such operation here.".to_owned()))?;
        let mut secrets = self.lock();
        *secrets.calls.entry(name).or_default() += 1;
        let request = serde_json::from_slice(body)
            .map_err(|_| SecretsError("SerializationException", format!("The request is not the JSON of {name}.")))?;
        run(&mut secrets, &request)
    }

    /// A panic while the lock is held can't leave a secret half written, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.lock().by_name.keys().cloned().collect();
        f.debug_struct("FakeSecrets").field("names", &names).finish_non_exhaustive()
    }
}

/// The parameters of all operations, as far as they are used.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    client_request_token: Option<String>,
    move_to_version_id: Option<String>,
    name: Option<String>,
    remove_from_version_id: Option<String>,
    secret_id: Option<String>,
    secret_string: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
    version_stages: Option<BTreeSet<String>>,
}

struct Secrets {
    clock: Clock,
    by_name: BTreeMap<String, Secret>,
    calls: BTreeMap<&'static str, usize>,
}

impl Secrets {
    /// The secret of this name, which is created if need be.
    fn entry(&mut self, name: &str) -> &mut Secret {
        let clock = self.clock.clone();
        self.by_name.entry(name.to_owned()).or_insert_with(|| Secret {
            created_ms: clock.now_ms(),
            clock,
            versions: Vec::new(),
        })
    }

    /// Finds the secret by its name, its ARN, or its ARN without the random end.
    fn secret(&mut self, request: &Request) -> Result<(String, &mut Secret), SecretsError> {
        let id = given(request.secret_id.as_ref(), "SecretId")?;
        let name = id.strip_prefix(ARN_PREFIX).unwrap_or(id);
        let name = name.strip_suffix(ARN_SUFFIX).unwrap_or(name);
        self.by_name.get_mut(name).map(|secret| (name.to_owned(), secret)).ok_or_else(|| not_found("."))
    }

    fn create_secret(&mut self, request: &Request) -> Result<Value, SecretsError> {
        let name = given(request.name.as_ref(), "Name")?;
        if self.by_name.contains_key(name) {
            return Err(exists(format!("The operation failed because the secret {name} already exists.")));
        }
        let secret = self.entry(name);
        let mut answer = json!({ "ARN": arn(name), "Name": name });
        if let Some(value) = &request.secret_string {
            let id = request.client_request_token.clone().unwrap_or_else(random::uuid);
            secret.add(&id, value, [CURRENT]);
            answer["VersionId"] = json!(id);
        }
        Ok(answer)
    }

    fn put_secret_value(&mut self, request: &Request) -> Result<Value, SecretsError> {
        let value = given(request.secret_string.as_ref(), "SecretString")?;
        let (name, secret) = self.secret(request)?;
        let id = request.client_request_token.clone().unwrap_or_else(random::uuid);
        match secret.version(&id) {
            // A repeated request changes nothing.
            Some(version) if version.value == *value => {}
            Some(_) => return Err(exists(format!("The token {id} is already in use for another value."))),
            None => {
                let first = secret.versions.is_empty().then_some(CURRENT);
                let stages = request.version_stages.clone().unwrap_or_else(|| BTreeSet::from([CURRENT.to_owned()]));
                secret.add(&id, value, stages.iter().map(String::as_str).chain(first));
            }
        }
        let stages = secret.version(&id).map(|version| &version.stages);
        Ok(json!({ "ARN": arn(&name), "Name": name, "VersionId": id, "VersionStages": stages }))
    }

    fn get_secret_value(&mut self, request: &Request) -> Result<Value, SecretsError> {
        let (name, secret) = self.secret(request)?;
        let stage = request.version_stage.as_deref();
        let version = if let Some(id) = &request.version_id {
            secret.version(id).ok_or_else(|| not_found(&format!(" value for VersionId: {id}")))?
        } else {
            let stage = stage.unwrap_or(CURRENT);
            secret.holder(stage).ok_or_else(|| not_found(&format!(" value for staging label: {stage}")))?
        };
        if stage.is_some_and(|stage| !version.stages.contains(stage)) {
            let sentence = "You provided a VersionStage that is not associated to the provided VersionId.";
            return Err(SecretsError("InvalidRequestException", sentence.to_owned()));
        }
        Ok(json!({
            "ARN": arn(&name),
            "CreatedDate": seconds(version.created_ms),
            "Name": name,
            "SecretString": version.value,
            "VersionId": version.id,
            "VersionStages": version.stages,
        }))
    }

    fn describe_secret(&mut self, request: &Request) -> Result<Value, SecretsError> {
        let (name, secret) = self.secret(request)?;
        let mut answer = secret.summary(&name);
        answer["VersionIdsToStages"] = json!(secret.stages());
        Ok(answer)
    }

    /// All secrets at once, without filters or pages.
    #[expect(clippy::unnecessary_wraps, reason = "every operation has one signature")]
    fn list_secrets(&mut self, _: &Request) -> Result<Value, SecretsError> {
        let entry = |(name, secret): (&String, &Secret)| {
            let mut entry = secret.summary(name);
            entry["SecretVersionsToStages"] = json!(secret.stages());
            entry
        };
        Ok(json!({ "SecretList": self.by_name.iter().map(entry).collect::<Vec<_>>() }))
    }

    fn update_secret_version_stage(&mut self, request: &Request) -> Result<Value, SecretsError> {
        let stage = given(request.version_stage.as_ref(), "VersionStage")?;
        let (name, secret) = self.secret(request)?;
        let (to, from) = (request.move_to_version_id.as_ref(), request.remove_from_version_id.as_ref());
        let holder = secret.holder(stage).map(|version| &version.id);
        // The caller must name the version that has the label, so that one of two concurrent rotations fails.
        if from != holder && (from.is_some() || to != holder) {
            let place = holder.map_or("no version", String::as_str);
            return Err(invalid(format!("Staging label {stage} is on {place}: say so in RemoveFromVersionId.")));
        }
        match to {
            Some(id) if secret.version(id).is_none() => return Err(not_found(&format!(" value for VersionId: {id}"))),
            Some(id) => secret.attach(id, stage),
            None if stage == CURRENT => return Err(invalid(format!("{CURRENT} can be moved, but not removed."))),
            None => _ = secret.detach(stage),
        }
        Ok(json!({ "ARN": arn(&name), "Name": name }))
    }
}

struct Secret {
    clock: Clock,
    created_ms: u64,
    versions: Vec<Version>,
}

struct Version {
    id: String,
    value: String,
    stages: BTreeSet<String>,
    created_ms: u64,
}

impl Secret {
    fn add<'a>(&mut self, id: &str, value: &str, stages: impl IntoIterator<Item = &'a str>) {
        let (id, value, created_ms) = (id.to_owned(), value.to_owned(), self.clock.now_ms());
        self.versions.push(Version { id: id.clone(), value, stages: BTreeSet::new(), created_ms });
        for stage in stages {
            self.attach(&id, stage);
        }
    }

    fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    fn holder(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.stages.contains(stage))
    }

    /// Moves a label to a version. `AWSPREVIOUS` follows to the version that had `AWSCURRENT`.
    fn attach(&mut self, id: &str, stage: &str) {
        let left = self.detach(stage);
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
            version.stages.insert(stage.to_owned());
        }
        if let Some(left) = left.filter(|left| stage == CURRENT && left != id) {
            self.attach(&left, PREVIOUS);
        }
    }

    /// Removes a label and returns the id of the version that had it.
    fn detach(&mut self, stage: &str) -> Option<String> {
        self.versions.iter_mut().find_map(|version| version.stages.remove(stage).then(|| version.id.clone()))
    }

    fn summary(&self, name: &str) -> Value {
        let changed_ms = self.versions.last().map_or(self.created_ms, |version| version.created_ms);
        let (created, changed) = (seconds(self.created_ms), seconds(changed_ms));
        json!({ "ARN": arn(name), "Name": name, "CreatedDate": created, "LastChangedDate": changed })
    }

    /// The labels of each version. A version without labels is deprecated and not listed.
    fn stages(&self) -> BTreeMap<&str, &BTreeSet<String>> {
        let labelled = self.versions.iter().filter(|version| !version.stages.is_empty());
        labelled.map(|version| (version.id.as_str(), &version.stages)).collect()
    }
}

/// Why a request is refused: AWS's error type and a sentence. The status is always 400.
struct SecretsError(&'static str, String);

fn not_found(what: &str) -> SecretsError {
    SecretsError("ResourceNotFoundException", format!("Secrets Manager can't find the specified secret{what}"))
}

fn exists(sentence: String) -> SecretsError {
    SecretsError("ResourceExistsException", sentence)
}

fn invalid(sentence: String) -> SecretsError {
    SecretsError("InvalidParameterException", sentence)
}

fn given<'a>(parameter: Option<&'a String>, name: &str) -> Result<&'a String, SecretsError> {
    parameter.ok_or_else(|| invalid(format!("The parameter {name} is missing.")))
}

fn arn(name: &str) -> String {
    format!("{ARN_PREFIX}{name}{ARN_SUFFIX}")
}

/// The protocol's timestamps: seconds since the epoch, with a fraction.
fn seconds(at_ms: u64) -> f64 {
    Duration::from_millis(at_ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The service on a port of its own, called as the SDK calls it.
    struct Server {
        secrets: FakeSecrets,
        client: reqwest::Client,
        url: String,
    }

    impl Server {
        async fn start() -> Self {
            let secrets = FakeSecrets::new(Clock::system());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let router = secrets.router();
            tokio::spawn(async move { axum::serve(listener, router).await });
            // Every client needs a TLS provider, even one that only speaks HTTP.
            _ = rustls::crypto::ring::default_provider().install_default();
            Self { secrets, client: reqwest::Client::new(), url }
        }

        async fn send(&self, target: &str, body: &str) -> (u16, Option<String>, Value) {
            let request = self.client.post(&self.url).header("X-Amz-Target", target).body(body.to_owned());
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.1");
            let error_type = answer.headers().get("x-amzn-errortype").map(|name| name.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            (status, error_type, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
        }

        async fn call(&self, operation: &str, body: Value) -> Value {
            let (status, error_type, answer) =
                self.send(&format!("secretsmanager.{operation}"), &body.to_string()).await;
            assert_eq!((status, error_type), (200, None), "{answer}");
            answer
        }

        async fn fail(&self, operation: &str, body: Value) -> (String, String) {
            let (status, error_type, answer) =
                self.send(&format!("secretsmanager.{operation}"), &body.to_string()).await;
            assert_eq!(status, 400, "{answer}");
            assert_eq!(answer["__type"].as_str(), error_type.as_deref());
            (error_type.unwrap(), answer["Message"].as_str().unwrap().to_owned())
        }

        async fn value(&self, body: Value) -> String {
            self.call("GetSecretValue", body).await["SecretString"].as_str().unwrap().to_owned()
        }
    }

    #[tokio::test]
    async fn a_secret_is_found_by_its_name_its_arn_and_its_arn_without_the_random_end() {
        let server = Server::start().await;
        server.secrets.put("tollgate/auth-token", "first");
        let answer = server.call("GetSecretValue", json!({ "SecretId": "tollgate/auth-token" })).await;
        let arn = answer["ARN"].as_str().unwrap();
        assert_eq!(arn, "arn:aws:secretsmanager:us-east-1:000000000000:secret:tollgate/auth-token-aB3dE6");
        assert_eq!(answer["Name"], "tollgate/auth-token");
        assert_eq!(answer["SecretString"], "first");
        assert_eq!(answer["VersionId"].as_str().unwrap().len(), 36);
        assert_eq!(answer["VersionStages"], json!(["AWSCURRENT"]));
        assert!(answer["CreatedDate"].is_f64());
        assert_eq!(server.value(json!({ "SecretId": arn })).await, "first");
        assert_eq!(server.value(json!({ "SecretId": arn.strip_suffix("-aB3dE6") })).await, "first");
    }

    #[tokio::test]
    async fn putting_a_value_makes_the_current_one_previous() {
        let server = Server::start().await;
        for value in ["first", "second", "third"] {
            server.secrets.put("token", value);
        }
        assert_eq!(server.value(json!({ "SecretId": "token" })).await, "third");
        assert_eq!(server.value(json!({ "SecretId": "token", "VersionStage": "AWSPREVIOUS" })).await, "second");
        let described = server.call("DescribeSecret", json!({ "SecretId": "token" })).await;
        assert_eq!(
            described["VersionIdsToStages"].as_object().unwrap().len(),
            2,
            "the first has no label: {described}"
        );
    }

    #[tokio::test]
    async fn a_pending_version_waits_next_to_the_current_one_until_its_label_is_removed() {
        let server = Server::start().await;
        server.secrets.put("token", "current");
        server.secrets.set_version("token", "AWSPENDING", "pending");
        let pending = json!({ "SecretId": "token", "VersionStage": "AWSPENDING" });
        assert_eq!(server.value(pending.clone()).await, "pending");
        assert_eq!(server.value(json!({ "SecretId": "token" })).await, "current");
        server.secrets.remove_stage("token", "AWSPENDING");
        let expected = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING";
        let failure = server.fail("GetSecretValue", pending).await;
        assert_eq!(failure, ("ResourceNotFoundException".to_owned(), expected.to_owned()));
    }

    #[tokio::test]
    async fn a_rotation_by_the_api_moves_the_labels_as_aws_does() {
        let server = Server::start().await;
        let first = server.call("CreateSecret", json!({ "Name": "token", "SecretString": "first" })).await;
        let put = json!({
            "SecretId": "token", "SecretString": "second", "ClientRequestToken": "a".repeat(36),
            "VersionStages": ["AWSPENDING"],
        });
        let second = server.call("PutSecretValue", put.clone()).await;
        assert_eq!(second["VersionStages"], json!(["AWSPENDING"]));
        assert_eq!(server.call("PutSecretValue", put).await, second, "a repeated request changes nothing");
        assert_eq!(server.value(json!({ "SecretId": "token" })).await, "first");

        let (from, to) = (&first["VersionId"], &second["VersionId"]);
        let mut update = json!({ "SecretId": "token", "VersionStage": "AWSCURRENT", "MoveToVersionId": to });
        assert_eq!(server.fail("UpdateSecretVersionStage", update.clone()).await.0, "InvalidParameterException");
        update["RemoveFromVersionId"] = from.clone();
        server.call("UpdateSecretVersionStage", update).await;
        let drop = json!({ "SecretId": "token", "VersionStage": "AWSPENDING", "RemoveFromVersionId": to });
        server.call("UpdateSecretVersionStage", drop).await;
        let described = server.call("DescribeSecret", json!({ "SecretId": "token" })).await;
        let stages = &described["VersionIdsToStages"];
        assert_eq!(stages[from.as_str().unwrap()], json!(["AWSPREVIOUS"]));
        assert_eq!(stages[to.as_str().unwrap()], json!(["AWSCURRENT"]));
        assert_eq!(server.value(json!({ "SecretId": "token" })).await, "second");
        assert_eq!(server.value(json!({ "SecretId": "token", "VersionId": from })).await, "first");
    }

    #[tokio::test]
    async fn what_is_wrong_is_answered_in_the_words_of_aws() {
        let server = Server::start().await;
        server.secrets.put("token", "value");
        let id = server.call("GetSecretValue", json!({ "SecretId": "token" })).await["VersionId"].clone();
        let long = "a".repeat(36);
        for (operation, body, expected) in [
            ("GetSecretValue", json!({ "SecretId": "other" }), "ResourceNotFoundException"),
            ("GetSecretValue", json!({}), "InvalidParameterException"),
            ("GetSecretValue", json!({ "SecretId": 7 }), "SerializationException"),
            ("GetSecretValue", json!({ "SecretId": "token", "VersionId": long }), "ResourceNotFoundException"),
            (
                "GetSecretValue",
                json!({ "SecretId": "token", "VersionId": id, "VersionStage": "AWSPREVIOUS" }),
                "InvalidRequestException",
            ),
            ("CreateSecret", json!({ "Name": "token" }), "ResourceExistsException"),
            (
                "PutSecretValue",
                json!({ "SecretId": "token", "SecretString": "new", "ClientRequestToken": id }),
                "ResourceExistsException",
            ),
            ("PutSecretValue", json!({ "SecretId": "token" }), "InvalidParameterException"),
            (
                "UpdateSecretVersionStage",
                json!({ "SecretId": "token", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": id }),
                "InvalidParameterException",
            ),
            (
                "UpdateSecretVersionStage",
                json!({ "SecretId": "token", "VersionStage": "NEW", "MoveToVersionId": long }),
                "ResourceNotFoundException",
            ),
            ("DeleteSecret", json!({ "SecretId": "token" }), "UnknownOperationException"),
        ] {
            assert_eq!(server.fail(operation, body.clone()).await.0, expected, "{operation} {body}");
        }
        for (target, body) in [("", ""), ("dynamodb.GetItem", "{}"), ("secretsmanager.GetSecretValue", "\u{0}{")] {
            assert_eq!(server.send(target, body).await.0, 400, "{target} {body:?}");
        }
        let sentence = server.fail("GetSecretValue", json!({ "SecretId": "other" })).await.1;
        assert_eq!(sentence, "Secrets Manager can't find the specified secret.");
        assert_eq!(server.value(json!({ "SecretId": "token" })).await, "value", "nothing has changed");
    }

    #[tokio::test]
    async fn a_secret_without_a_value_is_listed_but_has_none_to_give() {
        let server = Server::start().await;
        server.call("CreateSecret", json!({ "Name": "empty" })).await;
        server.secrets.put("full", "value");
        let list = server.call("ListSecrets", json!({})).await;
        let names: Vec<_> = list["SecretList"].as_array().unwrap().iter().map(|secret| &secret["Name"]).collect();
        assert_eq!(names, ["empty", "full"]);
        let failure = server.fail("GetSecretValue", json!({ "SecretId": "empty" })).await;
        assert!(failure.1.ends_with("value for staging label: AWSCURRENT"), "{failure:?}");
        // The first value is current, whatever label it was given.
        let put = json!({ "SecretId": "empty", "SecretString": "now", "VersionStages": ["AWSPENDING"] });
        assert_eq!(server.call("PutSecretValue", put).await["VersionStages"], json!(["AWSCURRENT", "AWSPENDING"]));
        assert_eq!(server.value(json!({ "SecretId": "empty" })).await, "now");
    }

    #[tokio::test]
    async fn every_call_is_counted_by_its_operation() {
        let server = Server::start().await;
        server.secrets.put("token", "value");
        assert_eq!(server.secrets.calls("GetSecretValue"), 0);
        server.value(json!({ "SecretId": "token" })).await;
        server.fail("GetSecretValue", json!({ "SecretId": "other" })).await;
        server.fail("Nonsense", json!({})).await;
        assert_eq!(server.secrets.calls("GetSecretValue"), 2);
        assert_eq!(server.secrets.calls("DescribeSecret"), 0);
        assert_eq!(server.secrets.calls("Nonsense"), 0);
    }

    #[test]
    fn debug_output_has_the_names_of_secrets_and_never_their_values() {
        let secrets = FakeSecrets::new(Clock::system());
        secrets.put("token", "hunter2");
        let shown = format!("{secrets:?}");
        assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");
    }
}
