//! Least privilege, proved from both sides: each function runs with nothing but the environment that `template.yaml` gives it, every
//! call that its AWS SDK makes is written down, and its role allows these calls and no others.
//!
//! A role lists actions, kinds of keys in the table, and secrets. Each that is used must be in the list, and each in the list must be
//! used. Of deletions, the test knows which kinds of keys they meet. It doesn't distinguish other actions by kind.

use crate::support::{CODE, TestClock, message_event, no_waits};
use crate::template::Template;
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use local::fixtures::{
    API_KEY_SECRET, API_KEY_SECRET_NAME, AUTH_TOKEN, AUTH_TOKEN_SECRET, HMAC_KEY_SECRET, TABLE_NAME,
};
use local::system::{Options, System};
use serde_json::{Value, json};
use shared::runtime::aws::AwsSettings;
use shared::runtime::backoff::Backoff;
use shared::runtime::dependencies::Dependencies;
use shared::runtime::http::{self, Connections, Timeouts, Tls};
use shared::runtime::metrics::Sink;
use shared::runtime::settings::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PHONE: &str = "+14155550123";
const OTHER_PHONE: &str = "+14165550123";
/// In another country, which is not full.
/// Of a range that the metadata doesn't know.
const UNASSIGNED: &str = "+16245552345";
const ELSEWHERE: &str = "+14165550199";
const IP: &str = "203.0.113.7";
const TEST_NUMBER: &str = "+14155550100";

/// The names that the local system has for what the template makes.
const MADE: [(&str, &str); 4] = [
    ("Table", TABLE_NAME),
    ("HmacKey", HMAC_KEY_SECRET),
    ("TwilioApiKey", API_KEY_SECRET_NAME),
    ("TwilioAuthToken", AUTH_TOKEN_SECRET),
];

/// What a role allows, or what a function does: actions of the table, the kinds of keys that they meet, those that are
/// deleted, the secrets read, and actions that concern the whole account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rights {
    actions: BTreeSet<String>,
    keys: BTreeSet<String>,
    deleted: BTreeSet<String>,
    secrets: BTreeSet<String>,
    account: BTreeSet<String>,
}

/// Writes down each call before it is made.
#[derive(Clone, Debug)]
struct Recorder {
    used: Arc<Mutex<Rights>>,
    http: SharedHttpClient,
    connector: Option<SharedHttpConnector>,
}

impl HttpClient for Recorder {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = Some(self.http.http_connector(settings, components));
        SharedHttpConnector::new(Self { connector, ..self.clone() })
    }
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut used = self.used.lock().unwrap();
        match request.headers().get("x-amz-target") {
            Some(target) => used.add(target, &serde_json::from_slice(request.body().bytes().unwrap()).unwrap()),
            None => used.add_account(request.method(), request.uri()),
        }
        drop(used);
        self.connector.clone().unwrap().call(request)
    }
}

/// The resource of the template that has this name in the local system, or this logical id.
fn made(name: &str) -> &str {
    MADE.iter().find(|(_, local)| *local == name).map_or(name, |(resource, _)| resource)
}

impl Rights {
    /// Adds what a call needs. A transaction and a batch need the permission of each part.
    fn add(&mut self, target: &str, body: &Value) {
        let (service, operation) = target.split_once('.').unwrap();
        if service == "secretsmanager" {
            assert_eq!(operation, "GetSecretValue");
            self.secrets.insert(made(body["SecretId"].as_str().unwrap()).to_owned());
            return;
        }
        assert_eq!(service, "DynamoDB_20120810");
        match operation {
            "TransactWriteItems" => {
                for write in body["TransactItems"].as_array().unwrap() {
                    let (kind, write) = write.as_object().unwrap().iter().next().unwrap();
                    self.add_item(&format!("{kind}Item"), write, write.get("Key").unwrap_or(&write["Item"]));
                }
            }
            "BatchGetItem" => {
                for (table, read) in body["RequestItems"].as_object().unwrap() {
                    for key in read["Keys"].as_array().unwrap() {
                        self.add_item(operation, &json!({"TableName": table}), key);
                    }
                }
            }
            "UpdateItem" => self.add_item(operation, body, &body["Key"]),
            _ => {
                assert_eq!(body["TableName"], TABLE_NAME);
                self.actions.insert(format!("dynamodb:{operation}"));
            }
        }
    }

    /// Adds what a call of Lambda's REST API needs. It concerns the account, so it has no resource.
    fn add_account(&mut self, method: &str, uri: &str) {
        assert!(method == "GET" && uri.ends_with("/2016-08-19/account-settings"), "{method} {uri}");
        self.account.insert("lambda:GetAccountSettings".to_owned());
    }

    fn add_item(&mut self, action: &str, call: &Value, key: &Value) {
        assert_eq!(call["TableName"], TABLE_NAME);
        self.actions.insert(format!("dynamodb:{action}"));
        let pk = key["pk"]["S"].as_str().unwrap();
        let pattern = pk.split_once('#').map_or(pk.to_owned(), |(kind, _)| format!("{kind}#*"));
        if action == "DeleteItem" {
            self.deleted.insert(pattern.clone());
        }
        self.keys.insert(pattern);
    }

    /// What the role of a function allows, besides writing its own log, which Lambda does.
    fn of(template: &Template, function: &str) -> Self {
        let role = template.get(["Resources", function, "Properties", "Role"]);
        let role = template.get(["Resources", role.as_str().unwrap(), "Properties"]);
        assert!(
            role.get("ManagedPolicyArns").is_none(),
            "{function}: what a managed policy allows is not in the template"
        );
        let mut rights = Self::default();
        for policy in role["Policies"].as_array().unwrap() {
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                assert_eq!(statement["Effect"], "Allow");
                let (actions, resources) = (all(&statement["Action"]), all(&statement["Resource"]));
                match statement["Sid"].as_str().unwrap() {
                    "WriteLogs" => {
                        assert_eq!(actions, ["logs:CreateLogStream", "logs:PutLogEvents"]);
                        assert_eq!(resources, [format!("{function}Logs")]);
                    }
                    "ReadSecrets" => {
                        assert_eq!(actions, ["secretsmanager:GetSecretValue"]);
                        rights.secrets.extend(resources);
                    }
                    "ReadQuota" => {
                        assert_eq!(actions, ["lambda:GetAccountSettings"]);
                        assert_eq!(resources, ["*"], "AWS knows no narrower resource");
                        rights.account.extend(actions);
                    }
                    _ => {
                        assert_eq!(resources, ["Table"]);
                        // Nothing that reaches several items without naming their keys.
                        let (reads_all, described): (Vec<_>, Vec<_>) = actions
                            .iter()
                            .partition(|action| ["Scan", "Query", "*"].iter().any(|all| action.contains(all)));
                        assert!(reads_all.is_empty(), "{function}: {reads_all:?}");
                        let keys = all(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
                        let of_the_table = described.iter().all(|action| action.starts_with("dynamodb:Describe"));
                        assert_eq!(keys.is_empty(), of_the_table, "{function}: items need the condition on their keys");
                        if actions.iter().any(|action| action == "dynamodb:DeleteItem") {
                            rights.deleted.extend(keys.clone());
                        }
                        rights.actions.extend(actions);
                        rights.keys.extend(keys);
                    }
                }
            }
        }
        rights
    }
}

/// One text, or several.
fn all(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().unwrap().to_owned();
    match value {
        Value::Null => vec![],
        Value::Array(values) => values.iter().map(one).collect(),
        value => vec![one(value)],
    }
}

/// A local system, and functions next to it that are set up as the template says.
struct Stack {
    system: System,
    template: Template,
    clock: TestClock,
}

impl Stack {
    async fn start(parameters: &[(&str, &str)]) -> Self {
        let clock = TestClock::new();
        let system = System::start(Options { clock: clock.clock(), ..Options::default() }).await.unwrap();
        let ours = [
            ("TwilioFrom", local::fixtures::OUR_NUMBER),
            ("TwilioBaseUrl", &system.base_url),
            ("TestNumbers", "+14155550100=123456"),
        ];
        let template = Template::with(&[&ours[..], parameters].concat());
        Self { system, template, clock }
    }

    /// The environment that the template gives a function, with the local system's names.
    fn environment(&self, function: &str) -> Environment {
        let names: BTreeMap<_, _> = MADE.into();
        let variables = self.template.environment(function).into_iter();
        Environment::of(variables.map(|(name, value)| {
            let value = names.get(value.as_str()).map_or(value.clone(), |local| (*local).to_owned());
            (name, value)
        }))
    }

    /// The dependencies of one function, and what it uses of AWS.
    fn dependencies(&self) -> (Dependencies, Arc<Mutex<Rights>>) {
        let tls = Tls::new().unwrap();
        let minute = Duration::from_mins(1);
        let settings = AwsSettings {
            region: "us-east-1".to_owned(),
            endpoint: Some(self.system.base_url.clone()),
            credentials: Credentials::new("local", "local", None, None, "local"),
            backoff: Backoff { tries: 1, base: Duration::ZERO, cap: Duration::ZERO },
            attempt_timeout: minute,
        };
        let http = http::for_aws(tls.client(Timeouts { connect: minute, total: minute }, Connections::Kept).unwrap());
        let used = Arc::<Mutex<Rights>>::default();
        let recorder = Recorder { used: used.clone(), http, connector: None };
        let dependencies = Dependencies {
            aws: settings.connect_over(SharedHttpClient::new(recorder)),
            tls,
            clock: self.clock.clock(),
            random: getrandom::fill,
            metrics: Sink::none(),
            deadlines: no_waits(),
        };
        (dependencies, used)
    }

    async fn send_code(&self) -> (send_code::state::State, Arc<Mutex<Rights>>) {
        let (dependencies, used) = self.dependencies();
        (send_code::state::State::start(&self.environment("SendCode"), dependencies).await.unwrap(), used)
    }

    /// Everything that send-code does: a send, a repeat, a refusal by each kind of limit, one that is released, and a known number's.
    async fn sends(&self) -> Rights {
        let (state, used) = self.send_code().await;
        for (phone, key) in [
            (PHONE, "a"),
            (PHONE, "a"),
            (PHONE, "b"),
            (OTHER_PHONE, "c"),
            ("+14155551100", "d"),
            (TEST_NUMBER, "e"),
            (UNASSIGNED, "g"),
        ] {
            let event = json!({"phone_number": phone, "ip": IP, "code": CODE, "idempotency_key": key});
            send_code::handle(&state, key, &event).await.unwrap();
        }
        // Twilio takes no credentials for a moment, so this send is released.
        let twilio = &self.system.twilio;
        twilio.set_api_key_secret("not this one".to_owned());
        twilio.set_auth_token("nor this one".to_owned());
        let event = json!({"phone_number": ELSEWHERE, "ip": IP, "code": CODE, "idempotency_key": "f"});
        send_code::handle(&state, "f", &event).await.unwrap_err();
        twilio.set_api_key_secret(API_KEY_SECRET.to_owned());
        twilio.set_auth_token(AUTH_TOKEN.to_owned());
        let (dependencies, _) = self.dependencies();
        let check_code = check_code::state::State::start(&self.environment("CheckCode"), dependencies).await.unwrap();
        let event = json!({"phone_number": PHONE, "code": CODE});
        assert_eq!(check_code::handle(&check_code, "r", &event).await.unwrap().status(), "approved");
        let known = json!({"phone_number": PHONE, "ip": IP, "code": CODE, "idempotency_key": "known"});
        assert_eq!(send_code::handle(&state, "r", &known).await.unwrap().status(), "sent");
        taken(&used)
    }

    /// Everything that check-code does: a wrong code and the right one, which releases its send, with and without a verification, of
    /// strangers and known numbers, and a test number's.
    async fn checks(&self) -> Rights {
        let (dependencies, used) = self.dependencies();
        let state = check_code::state::State::start(&self.environment("CheckCode"), dependencies).await.unwrap();
        let (send_code, _) = self.send_code().await;
        let send = async |phone: &str| {
            let event =
                json!({"phone_number": phone, "ip": IP, "code": CODE, "idempotency_key": format!("check {phone}")});
            let answer = json!(send_code::handle(&send_code, "r", &event).await.unwrap());
            assert_eq!(answer["status"], "sent", "{answer}");
            answer["verification"].clone()
        };
        let (of_stranger, of_known) = (send(OTHER_PHONE).await, send(PHONE).await);
        let of_unknown_range = send(UNASSIGNED).await;
        for (phone, verification, code, status) in [
            (OTHER_PHONE, json!(null), "000000", "incorrect"),
            (OTHER_PHONE, of_stranger, CODE, "approved"),
            (PHONE, of_known.clone(), "000000", "incorrect"),
            (PHONE, of_known, CODE, "approved"),
            (UNASSIGNED, of_unknown_range, CODE, "approved"),
            (TEST_NUMBER, json!(null), "000000", "incorrect"),
            (TEST_NUMBER, json!(null), "123456", "approved"),
        ] {
            let event = json!({"phone_number": phone, "verification": verification, "code": code});
            assert_eq!(check_code::handle(&state, "r", &event).await.unwrap().status(), status);
        }
        let (_, verification) = self.offer().await;
        let event = json!({"phone_number": PHONE, "verification": verification});
        assert_eq!(check_code::handle(&state, "r", &event).await.unwrap().status(), "pending");
        taken(&used)
    }

    /// What a user is offered to text, and for which verification.
    async fn offer(&self) -> (String, String) {
        let (state, _) = self.send_code().await;
        let event = json!({"phone_number": PHONE, "ip": IP, "channel": "text_to_verify"});
        let answer = json!(send_code::handle(&state, "offer", &event).await.unwrap());
        let text = |field: &str| answer["alternatives"][0][field].as_str().unwrap().to_owned();
        (text("body"), text("verification"))
    }

    /// Everything that inbound-sms does: a message with a reply, one again, a forged one, STOP and START, and a text for a verification.
    async fn messages(&self) -> Rights {
        let (dependencies, used) = self.dependencies();
        let state = inbound_sms::state::State::start(&self.environment("InboundSms"), dependencies).await.unwrap();
        for (name, status) in [
            ("inbound-sms", 200),
            ("inbound-sms-repeat", 200),
            ("inbound-sms-forged", 403),
            ("inbound-sms-emoji", 200),
            ("inbound-sms-stop", 200),
        ] {
            assert_eq!(inbound_sms::handle(&state, event(name)).await.status_code, status, "{name}");
        }
        let (body, _) = self.offer().await;
        assert_eq!(inbound_sms::handle(&state, message_event(PHONE, &body, 77)).await.status_code, 200);
        taken(&used)
    }

    /// Everything that delivery-status does.
    async fn deliveries(&self) -> Rights {
        let (dependencies, used) = self.dependencies();
        let environment = self.environment("DeliveryStatus");
        let state = delivery_status::state::State::start(&environment, dependencies).await.unwrap();
        for (name, status) in [
            ("delivery-status", 204),
            ("delivery-status-late", 204),
            ("delivery-status-undelivered", 204),
            ("delivery-status-forged", 403),
        ] {
            assert_eq!(delivery_status::handle(&state, event(name)).await.status_code, status, "{name}");
        }
        taken(&used)
    }

    /// Everything that the checklist does, repairs included.
    async fn checklist(&self) -> Rights {
        let (dependencies, used) = self.dependencies();
        let state = checklist::state::State::start(&self.environment("Checklist"), dependencies);
        let event = json!({"apply": ["geo_permissions", "webhooks"]});
        checklist::handle(&state.unwrap(), "r", &event).await.unwrap();
        taken(&used)
    }
}

fn taken(used: &Mutex<Rights>) -> Rights {
    std::mem::take(&mut *used.lock().unwrap())
}

fn event(name: &str) -> Value {
    let path = format!("{}/../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn each_function_may_do_what_it_does_and_nothing_else() {
    for credential in ["ApiKey", "AuthToken"] {
        let stack = Stack::start(&[
            ("SendingCredential", credential),
            ("CountryLimit", "2/1d"),
            ("PhoneLimit", "9/1h"),
            ("TextToVerify", "direct"),
        ])
        .await;
        let used = BTreeMap::from([
            ("SendCode", stack.sends().await),
            ("CheckCode", stack.checks().await),
            ("InboundSms", stack.messages().await),
            ("DeliveryStatus", stack.deliveries().await),
            ("Checklist", stack.checklist().await),
        ]);
        let mut functions = stack.template.functions();
        functions.sort_unstable();
        assert_eq!(functions, used.keys().copied().collect::<Vec<_>>(), "a function that is not looked at");
        for (function, used) in used {
            assert_eq!(Rights::of(&stack.template, function), used, "{function} with {credential}: allowed, and used");
        }
    }
}

#[test]
fn no_function_may_read_the_secret_of_another() {
    let template = Template::with(&[("TwilioFrom", "+15005550006")]);
    let secrets = |function| Vec::from_iter(Rights::of(&template, function).secrets);
    assert_eq!(secrets("InboundSms"), ["HmacKey", "TwilioAuthToken"]);
    assert_eq!(secrets("DeliveryStatus"), ["TwilioAuthToken"]);
    assert_eq!(secrets("SendCode"), ["HmacKey", "TwilioApiKey"]);
    assert_eq!(secrets("CheckCode"), ["HmacKey"]);
    assert_eq!(secrets("Checklist"), ["TwilioApiKey", "TwilioAuthToken"]);
}

#[test]
fn the_app_may_invoke_the_two_functions_in_the_outputs_and_nothing_else() {
    let template = Template::with(&[("TwilioFrom", "+15005550006")]);
    let policy = template.written(["Resources", "InvokeGate", "Properties", "PolicyDocument", "Statement"]);
    let in_outputs =
        ["SendCodeFunctionArn", "CheckCodeFunctionArn"].map(|output| template.written(["Outputs", output, "Value"]));
    assert_eq!(policy, &json!([{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": in_outputs}]));
    for arn in in_outputs {
        assert!(arn["Ref"].as_str().unwrap().ends_with(".Alias"), "a deployment moves the alias: {arn}");
    }
}
