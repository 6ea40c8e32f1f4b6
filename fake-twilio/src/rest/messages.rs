//! The messages of the account: <https://www.twilio.com/docs/messaging/api/message-resource>

use crate::errors::{self, TwilioRefusal, ensure};
use crate::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use crate::faults::{FaultPoint, Kind};
use crate::media_download::DownloadedMedia;
use crate::message::{Direction, Message};
use crate::parameters::{Parameters, as_object, day_of_midnight};
use crate::resettable::ConnectionHandle;
use crate::rest::auth::{Authenticated, segment};
use crate::rest::paging::Paging;
use crate::store::ledger::Entry;
use crate::twilio::FakeTwilio;
use crate::validation::{check, masked};
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, Query, State};
use axum::http::{Extensions, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use shared::phone::number::is_e164;

const CREATE: &str = "POST /Messages.json";

/// The outcome of a create request.
enum CreateResult {
    /// The message, and the fault that decides its delivery.
    Created(Message, Option<Kind>),
    Refused(TwilioRefusal, Option<Kind>),
    /// The message was created, but there is no response.
    Unanswered(Message),
    ConnectionReset,
}

pub(crate) async fn create(
    authenticated: Result<Authenticated, TwilioRefusal>,
    State(twilio): State<FakeTwilio>,
    extensions: Extensions,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    // A body that is not a form has no parameters: Twilio reads JSON as a request without To.
    let parameters = Parameters(form.unwrap_or_default().0);
    let request = as_object(parameters.0.iter().map(|(name, value)| (&**name, &**value)));
    let phone = parameters.get("To").filter(|to| is_e164(to)).map(str::to_owned);
    let created = match authenticated {
        Ok(_) => twilio.create(parameters).await,
        Err(refusal) => CreateResult::Refused(refusal, None),
    };
    let (summary, outcome, body, fault) = match &created {
        CreateResult::Created(message, fault) => {
            let summary = format!("201 {} {}", message.sid, message.status.as_str());
            (summary, ExchangeOutcome::Ok, message.resource(), *fault)
        }
        CreateResult::Refused(refusal, fault) => {
            (refusal.summary(), ExchangeOutcome::of_status(refusal.status), refusal.body(), *fault)
        }
        CreateResult::Unanswered(message) => {
            let summary = format!("{} {}, no response", message.sid, message.status.as_str());
            (summary, ExchangeOutcome::Failed, Value::Null, Some(Kind::Timeout))
        }
        CreateResult::ConnectionReset => {
            ("connection reset".to_owned(), ExchangeOutcome::Failed, Value::Null, Some(Kind::ConnectionReset))
        }
    };
    twilio.exchanges().record(NewExchange {
        kind: ExchangeKind::Twilio,
        title: CREATE,
        summary,
        outcome,
        number: phone,
        request,
        response: body.clone(),
        fault: fault.map(Kind::as_str),
    });
    let mut response = match created {
        CreateResult::Created(message, _) => {
            twilio.deliver(message);
            (StatusCode::CREATED, Json(body)).into_response()
        }
        CreateResult::Refused(refusal, _) => refusal.into_response(),
        CreateResult::Unanswered(message) => {
            twilio.deliver(message);
            // Longer than any client waits: an earlier answer would end its uncertainty.
            tokio::time::sleep(twilio.timeouts().no_answer).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        CreateResult::ConnectionReset => reset_connection(&extensions),
    };
    // It is recorded already, with its parameters.
    response.extensions_mut().remove::<TwilioRefusal>();
    response
}

/// Resets the connection instead of answering, if the server supports it.
fn reset_connection(extensions: &Extensions) -> Response {
    if let Some(ConnectInfo(connection)) = extensions.get::<ConnectInfo<ConnectionHandle>>() {
        connection.reset();
    }
    TwilioRefusal::from(errors::INTERNAL).into_response()
}

impl FakeTwilio {
    /// Creates a message, unless it is invalid or a fault intervenes.
    async fn create(&self, parameters: Parameters) -> CreateResult {
        let account = self.account();
        let request = match check(&account, &parameters) {
            Ok(request) => request,
            Err(refusal) => return CreateResult::Refused(refusal, None),
        };
        if self.has_opted_out(request.from, &request.to) {
            return CreateResult::Refused(errors::OPTED_OUT.into(), None);
        }
        let fault = self.faults().take(FaultPoint::Request, Some(&request.to));
        match fault {
            Some(Kind::Http500) => return CreateResult::Refused(errors::INTERNAL.into(), fault),
            Some(Kind::Http429) => return CreateResult::Refused(errors::TOO_MANY_REQUESTS.into(), fault),
            Some(Kind::TwilioError { code }) => {
                let about = [&*masked(&request.to), request.from.unwrap_or_default()];
                return CreateResult::Refused(TwilioRefusal::forced(code, &about), fault);
            }
            Some(Kind::ConnectionReset) => return CreateResult::ConnectionReset,
            _ => {}
        }
        let urls = parameters.all("MediaUrl").map(str::to_owned).collect();
        let DownloadedMedia { media, too_large } = self.download_media(urls, &request.to).await;
        let (sid, now) = (&account.account_sid, self.now());
        let message = Message::new(sid, Direction::OutboundApi, request.from, &request.to, request.body, now);
        let service = request.service.map(str::to_owned);
        let mut message = message.with_media(media).with_parameters(parameters.0);
        message.messaging_service_sid = service;
        let decided;
        (message.plan, decided) = self.plan_delivery(&message.to);
        if too_large {
            message.plan.error_code = Some(errors::MEDIA_TOO_LARGE);
        }
        let message = self.add_message(message);
        if fault == Some(Kind::Timeout) {
            CreateResult::Unanswered(message)
        } else {
            CreateResult::Created(message, decided)
        }
    }
}

pub(crate) async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, TwilioRefusal> {
    let query = Parameters(query);
    let paging = Paging::read(&query)?;
    let (on, since, until) = (query.seconds("DateSent")?, query.seconds("DateSent>")?, query.seconds("DateSent<")?);
    let on = on.map(day_of_midnight);
    let store = twilio.store();
    let newest = store.ledger.newest(query.get("To"), query.get("From"), paging.after());
    let found = newest.ok_or(errors::PAGE_TOKEN)?.filter(|message| {
        let sent = message.sent_second();
        !message.by_twilio
            && on.as_ref().is_none_or(|seconds| seconds.contains(&sent))
            && since.as_ref().is_none_or(|seconds| *seconds.start() <= sent)
            && until.as_ref().is_none_or(|seconds| sent <= *seconds.end())
    });
    let page = paging.fill(&uri, "messages", found, |message| &message.sid, Message::resource);
    page.map(Json)
}

pub(crate) async fn fetch(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
) -> Result<Json<Value>, TwilioRefusal> {
    find(&twilio, &uri).map(|message| Json(message.resource()))
}

/// Removes the text, the only change Twilio allows.
pub(crate) async fn update(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Value>, TwilioRefusal> {
    let parameters = Parameters(form.unwrap_or_default().0);
    let message = find(&twilio, &uri)?;
    match parameters.get("Status") {
        // Only scheduled messages can be canceled, and the fake has none. https://www.twilio.com/docs/api/errors/30409
        Some("canceled") => return Err(errors::NOT_CANCELABLE.into()),
        Some(_) => return Err(errors::INVALID_PARAMETER.about(&["Status"])),
        None => {}
    }
    let changed = match parameters.given("Body") {
        Some("") => {
            ensure(message.status.is_final(), errors::NOT_COMPLETE)?;
            twilio.change(Entry::Redacted { sid: message.sid.clone(), at: twilio.now() })
        }
        Some(_) => return Err(errors::INVALID_PARAMETER.about(&["Body"])),
        None => None,
    };
    Ok(Json(changed.unwrap_or(message).resource()))
}

pub(crate) async fn delete(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
) -> Result<StatusCode, TwilioRefusal> {
    let message = find(&twilio, &uri)?;
    ensure(message.status.is_final(), errors::NOT_COMPLETE)?;
    twilio.change(Entry::Deleted { sid: message.sid });
    Ok(StatusCode::NO_CONTENT)
}

/// The message of `…/SM….json`.
fn find(twilio: &FakeTwilio, uri: &Uri) -> Result<Message, TwilioRefusal> {
    let found = segment(uri, 5).strip_suffix(".json").and_then(|sid| twilio.listed(sid));
    found.ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))
}
