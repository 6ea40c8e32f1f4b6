//! Faults below the AWS SDK: whatever DynamoDB and the network do, nothing is sent twice, nothing goes uncounted, and the answer
//! says what happened.

use crate::support::{Local, PRIVATE, interleaved, no_waits, outcome, sid, start_with};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use local::fixtures::AUTH_TOKEN;
use serde_json::json;
use shared::runtime::http::NeverConnected;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";
/// More than anything is tried.
const ALWAYS: usize = 100;

/// What goes wrong with one call of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// Another transaction holds an item.
    Conflict,
    /// The whole service is throttled.
    Throttled,
    /// One item's partition is throttled.
    ItemThrottled,
    /// The call arrives and takes effect; its answer is lost.
    ReplyLost,
    /// An internal error, before anything is done.
    ServerError,
    /// No answer in time, and nothing done.
    TimedOut,
    /// No connection.
    Unreachable,
    /// An answer that is not DynamoDB's.
    Garbage,
    /// A permission is missing.
    Denied,
}

const FAULTS: [Fault; 9] = [
    Fault::Conflict,
    Fault::Throttled,
    Fault::ItemThrottled,
    Fault::ReplyLost,
    Fault::ServerError,
    Fault::TimedOut,
    Fault::Unreachable,
    Fault::Garbage,
    Fault::Denied,
];

/// The faults to come, one for each call of an operation; none when they are used up.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    transactions: Arc<Mutex<VecDeque<Fault>>>,
    updates: Arc<Mutex<VecDeque<Fault>>>,
}

#[derive(Clone, Debug)]
struct Faulty {
    plan: Plan,
    http: SharedHttpClient,
    connector: Option<SharedHttpConnector>,
}

impl HttpClient for Faulty {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = Some(self.http.http_connector(settings, components));
        SharedHttpConnector::new(Self { connector, ..self.clone() })
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let planned = match target.rsplit('.').next() {
            Some("TransactWriteItems") => self.plan.transactions.lock().unwrap().pop_front(),
            Some("UpdateItem") => self.plan.updates.lock().unwrap().pop_front(),
            _ => None,
        };
        let fault = planned.unwrap_or(Fault::None);
        let items = request.body().bytes().map_or(0, |body| String::from_utf8_lossy(body).matches("TableName").count());
        let connector = self.connector.clone().unwrap();
        let is_update = target.ends_with("UpdateItem");
        let cancelled = |code: &str| {
            if is_update {
                let kind =
                    if code == "TransactionConflict" { "TransactionConflictException" } else { "ThrottlingException" };
                return json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": PRIVATE});
            }
            let mut reasons = vec![json!({"Code": "None"}); items];
            reasons[items - 1] = json!({"Code": code, "Message": PRIVATE});
            json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": PRIVATE,
                "CancellationReasons": reasons,
            })
        };
        let answer =
            |status: u16, body: String| HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        let error =
            |status: u16, kind: &str| Ok(answer(status, json!({"__type": kind, "message": PRIVATE}).to_string()));
        let failed = |text: &str| text.to_owned().into();
        HttpConnectorFuture::ready(match fault {
            Fault::None => return connector.call(request),
            Fault::ReplyLost => {
                return HttpConnectorFuture::new(async move {
                    connector.call(request).await?;
                    Err(ConnectorError::io("connection reset by peer".to_owned().into()))
                });
            }
            Fault::Conflict => Ok(answer(400, cancelled("TransactionConflict").to_string())),
            Fault::ItemThrottled => Ok(answer(400, cancelled("ThrottlingError").to_string())),
            Fault::Throttled => error(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
            Fault::ServerError => error(500, "InternalServerError"),
            Fault::TimedOut => Err(ConnectorError::timeout(failed("no answer"))),
            Fault::Unreachable => {
                Err(ConnectorError::io(NeverConnected(failed("connection refused")).into()).never_connected())
            }
            Fault::Garbage => Ok(answer(200, format!("<html>{PRIVATE}</html>"))),
            Fault::Denied => error(400, "com.amazon.coral.service#AccessDeniedException"),
        })
    }
}

/// The system with one SMS an hour for each phone, and its faults to come.
pub async fn start<const N: usize>(settings: [(&str, &str); N]) -> (Local, Plan) {
    let plan = Plan::default();
    let between = {
        let plan = plan.clone();
        move |http| SharedHttpClient::new(Faulty { plan, http, connector: None })
    };
    (start_with(settings, no_waits(), Some(Box::new(between))).await, plan)
}

/// From now on the functions have no permission to write.
pub fn always_deny(plan: &Plan) {
    set(plan, [Fault::Denied; ALWAYS]);
    *plan.updates.lock().unwrap() = [Fault::Denied; ALWAYS].into();
}

fn set(plan: &Plan, faults: impl IntoIterator<Item = Fault>) {
    *plan.transactions.lock().unwrap() = faults.into_iter().collect();
}

#[tokio::test]
async fn a_fault_that_passes_is_ridden_out_and_the_sms_counts_once() {
    for fault in FAULTS.into_iter().filter(|fault| ![Fault::Garbage, Fault::Denied].contains(fault)) {
        let (local, plan) = start([("PHONE_LIMIT", "2/1h")]).await;
        set(&plan, [fault]);
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent", "{fault:?}");
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent", "{fault:?}: the first counts once");
        assert_eq!(outcome(&local.send(PHONE, IP).await), "phone_limit", "{fault:?}");
        assert_eq!(local.texts().len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_that_stays_fails_closed_and_says_so() {
    for fault in FAULTS {
        let (local, plan) = start([]).await;
        set(&plan, [fault; ALWAYS]);
        let error = local.send(PHONE, IP).await.unwrap_err();
        assert_eq!(error.kind(), "StoreUnavailable", "{fault:?}");
        let text = error.to_string();
        assert!(text.starts_with("DynamoDB is unavailable") || text.starts_with("write conflict"), "{fault:?}: {text}");
        assert!(!text.contains(PRIVATE) && !text.contains(PHONE), "{text}");
        assert!(local.texts().is_empty(), "{fault:?}: what can't be counted is not sent");

        let (status, body) = local.text_in(PHONE, PRIVATE, &sid(1)).await;
        assert_eq!(status, 500, "{fault:?}: what can't be kept is not answered");
        assert!(!body.contains(PRIVATE), "{body}");
        // Twilio's repeat, or the next message, finds all well.
        set(&plan, []);
        assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await.0, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_while_the_outcome_is_recorded_changes_nothing_for_the_caller_and_a_repeat_sends_nothing() {
    for fault in FAULTS {
        let (local, plan) = start([]).await;
        let event = json!({"phone_number": PHONE, "ip": IP, "idempotency_key": "k"});
        set(&plan, [&[Fault::None][..], &[fault; ALWAYS]].concat());
        assert_eq!(outcome(&local.invoke(event.clone()).await), "sent", "{fault:?}");
        set(&plan, []);
        for seconds in [0, 31, 3600] {
            local.clock.advance_seconds(seconds);
            let repeat = local.invoke(event.clone()).await;
            assert!(["sent", "in_progress", "unknown"].contains(&outcome(&repeat)), "{fault:?}: {repeat:?}");
        }
        assert_eq!(local.texts().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_during_a_release_never_releases_twice() {
    for fault in FAULTS {
        // The sender is no valid number: Twilio refuses each message for a fault of the set-up, and nothing is sent.
        let (local, plan) = start([("TWILIO_FROM", "+15005550001"), ("PHONE_LIMIT", "1/1h")]).await;
        for once in [1, ALWAYS] {
            set(&plan, [&[Fault::None][..], &vec![fault; once]].concat());
            assert_eq!(outcome(&local.send(PHONE, IP).await), "TwilioUnavailable", "{fault:?}");
            set(&plan, []);
            local.clock.advance_seconds(3600);
        }
        assert!(local.texts().is_empty());
    }
}

#[tokio::test]
async fn a_fault_at_a_counter_gives_the_send_back_or_passes() {
    for fault in FAULTS {
        let (local, plan) = start([("PHONE_LIMIT", "1/1h")]).await;
        *plan.updates.lock().unwrap() = [fault; ALWAYS].into();
        assert_eq!(outcome(&local.send(PHONE, IP).await), "StoreUnavailable", "{fault:?}");
        assert!(local.texts().is_empty(), "{fault:?}: what can't be counted is not sent");
        *plan.updates.lock().unwrap() = VecDeque::new();
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent", "{fault:?}: the phone's one code is still there");
    }
}

#[tokio::test]
async fn a_fault_at_a_check_counts_one_attempt_and_approves_at_most_once() {
    for fault in FAULTS {
        let (local, plan) = start([("PHONE_CHECK_LIMIT", "2/1h")]).await;
        let code = local.code(PHONE, IP).await;
        *plan.updates.lock().unwrap() = [fault].into();
        let wrong = local.check(PHONE, "000000").await;
        assert!(["incorrect", "StoreUnavailable"].contains(&wrong), "{fault:?}: {wrong}");

        // The second attempt of two, in spite of the fault.
        set(&plan, [fault; ALWAYS]);
        assert_eq!(
            local.check(PHONE, &code).await,
            "StoreUnavailable",
            "{fault:?}: not used up for sure, not approved"
        );
        set(&plan, []);
        let again = local.check(PHONE, &code).await;
        assert!(["too_many_attempts", "approved", "expired"].contains(&again), "{fault:?}: {again}");
    }
}

#[tokio::test]
async fn an_approval_is_valid_even_if_the_send_cant_be_released() {
    for fault in FAULTS {
        let (local, plan) = start([]).await;
        let code = local.code(PHONE, IP).await;
        set(&plan, [&[Fault::None][..], &[fault; ALWAYS]].concat());
        *plan.updates.lock().unwrap() = [&[Fault::None][..], &[fault; ALWAYS]].concat().into();
        assert_eq!(local.check(PHONE, &code).await, "approved", "{fault:?}");
    }
}

#[tokio::test]
async fn a_counter_is_released_once_even_if_the_reply_is_lost() {
    let (local, plan) = start([("COUNTRY_LIMIT", "2/1h")]).await;
    let code = local.code(PHONE, IP).await;
    local.code("+14155551100", "198.51.100.1").await;
    // The attempt is all right; the reply to the giving back is lost.
    *plan.updates.lock().unwrap() = [Fault::None, Fault::ReplyLost].into();
    assert_eq!(local.check(PHONE, &code).await, "approved");
    assert_eq!(outcome(&local.send("+14155552100", "198.51.100.2").await), "sent");
    assert_eq!(outcome(&local.send("+14155553100", "198.51.100.3").await), "country_limit");
}

#[tokio::test]
async fn a_release_of_a_counter_is_tried_again_only_where_nothing_was_written() {
    let faults = FAULTS.map(|fault| {
        let expected = match fault {
            // It was not released.
            Fault::ServerError | Fault::TimedOut | Fault::Garbage | Fault::Denied => "country_limit",
            Fault::None
            | Fault::Conflict
            | Fault::Throttled
            | Fault::ItemThrottled
            | Fault::ReplyLost
            | Fault::Unreachable => "sent",
        };
        (vec![fault], expected)
    });
    let in_a_row = [
        (vec![Fault::Throttled, Fault::Unreachable, Fault::ItemThrottled], "sent"),
        (vec![Fault::Throttled, Fault::ReplyLost], "sent"),
        (vec![Fault::Unreachable, Fault::TimedOut], "country_limit"),
    ];
    for (faults, expected) in faults.into_iter().chain(in_a_row) {
        let (local, plan) = start([("COUNTRY_LIMIT", "2/1h"), ("BLOCK_RECORD", "off")]).await;
        let code = local.code(PHONE, IP).await;
        local.code("+14155551100", "198.51.100.1").await;
        // The first update is the attempt.
        *plan.updates.lock().unwrap() = [vec![Fault::None], faults.clone()].concat().into();
        assert_eq!(local.check(PHONE, &code).await, "approved", "{faults:?}");
        plan.updates.lock().unwrap().clear();
        assert_eq!(outcome(&local.send("+14155552100", "198.51.100.2").await), expected, "{faults:?}");
        let more = outcome(&local.send("+14155553100", "198.51.100.3").await);
        assert_eq!(more, "country_limit", "{faults:?}: never released twice");
    }
}

#[tokio::test]
async fn a_fault_while_a_report_is_taken_counts_it_once_or_has_twilio_report_again() {
    for fault in FAULTS {
        let (local, plan) = start([]).await;
        let form = crate::deliveries::status(&sid(1), "delivered", &[]);
        *plan.updates.lock().unwrap() = [fault].into();
        let mut counted = vec![];
        if local.report(AUTH_TOKEN, &form).await == 500 {
            counted = local.counted();
            assert_eq!(counted, ["StoreErrors=1"], "{fault:?}");
            counted.clear();
        }
        // Twilio's own repeat, or another try after the 500.
        assert_eq!(local.report(AUTH_TOKEN, &form).await, 204, "{fault:?}");
        counted.extend(local.counted());
        assert_eq!(counted, ["Country=US Delivered=1"], "{fault:?}");
    }
}

/// Numbers that look random and are the same in each run: a xorshift generator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_of_faults_no_limit_is_ever_exceeded_and_no_request_is_sent_twice() {
    let (local, plan) = start([("PHONE_LIMIT", "3/1h"), ("IP_LIMIT", "80/1h"), ("RANGE_LIMIT", "off")]).await;
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    for round in 0..12 {
        // Three calls in five go wrong somehow.
        set(&plan, (0..400).map(|_| if dice.roll(5) < 2 { Fault::None } else { FAULTS[dice.roll(FAULTS.len())] }));
        let before = local.texts().len();
        let requests = (0..24).map(|n| {
            // Each of eight requests is made three times, at once and one after another.
            json!({"phone_number": PHONE, "ip": IP, "code": format!("10000{round:02}{}", n % 8), "idempotency_key": format!("{round}-{}", n % 8)})
        });
        let results = interleaved(requests.map(|event| local.invoke(event))).await;
        let sent = local.texts().split_off(before);
        assert!(sent.len() <= 3, "round {round}: {} went out", sent.len());
        let mut distinct = sent.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), sent.len(), "round {round}: a request was sent twice");
        for result in &results {
            let outcomes = ["sent", "phone_limit", "in_progress", "unknown", "StoreUnavailable"];
            assert!(outcomes.contains(&outcome(result)), "round {round}: {result:?}");
        }
        local.clock.advance_seconds(3600);
    }
}
