//! Twilio's REST API, at the paths that it has at `https://api.twilio.com`.

use super::checks::{check, masked};
use super::errors::{self, Refusal, ensure};
use super::ledger::Entry;
use super::media::{self, Collected};
use super::message::{Direction, Message, is_sid};
use super::paging::{Paging, Parameters, as_object};
use super::{FakeTwilio, numbers};
use crate::breakable::Line;
use crate::faults::{Kind, Place, is_e164};
use crate::feed::{Between, Outcome, Telling};
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const CREATE: &str = "POST /Messages.json";

pub(super) fn router(twilio: &FakeTwilio) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", get(list).post(create))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(fetch).post(update).delete(delete))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media.json", get(media::list))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}", get(media::fetch_one))
        .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", get(numbers::list))
        .route(
            "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{number}",
            get(numbers::fetch).post(numbers::update),
        )
        .method_not_allowed_fallback(async || Refusal::from(errors::METHOD_NOT_ALLOWED))
        .fallback(async |uri: Uri| errors::NOT_FOUND.about(&[uri.path()]))
        .layer(middleware::from_fn_with_state(twilio.clone(), tell_refusals))
        .with_state(twilio.clone())
}

/// The answer has been told of already.
#[derive(Clone)]
struct Told;

/// Tells of the calls that are refused; those that create a message tell of themselves, with their parameters.
async fn tell_refusals(State(twilio): State<FakeTwilio>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let refusal = response.extensions().get::<Refusal>();
    // Any other path is somebody else's: this router may be the last of several.
    if let Some(refusal) = refusal.filter(|_| uri.path().starts_with("/2010-04-01/"))
        && response.extensions().get::<Told>().is_none()
    {
        let path = uri.path().splitn(5, '/').last().unwrap_or_default();
        twilio.feed().happened(Telling {
            between: Between::Twilio,
            title: &format!("{method} /{path}"),
            summary: refusal.summary(),
            outcome: Outcome::of_status(refusal.status),
            number: None,
            request: json!(uri.query()),
            response: refusal.body(),
            fault: None,
        });
    }
    response
}

/// How a wish for a message ended.
enum Created {
    /// With the message, and the fault that decides its fate.
    Taken(Message, Option<Kind>),
    Refused(Refusal, Option<Kind>),
    /// The message was taken, but nobody will learn of it.
    Silent(Message),
    Reset,
}

async fn create(
    authenticated: Result<Authenticated, Refusal>,
    State(twilio): State<FakeTwilio>,
    extensions: Extensions,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    // What is not a form has no parameters: Twilio reads JSON as a request without To.
    let parameters = Parameters(form.unwrap_or_default().0);
    let request = as_object(parameters.0.iter().map(|(name, value)| (&**name, &**value)));
    let phone = parameters.get("To").filter(|to| is_e164(to)).map(str::to_owned);
    let created = match authenticated {
        Ok(_) => twilio.create(parameters).await,
        Err(refusal) => Created::Refused(refusal, None),
    };
    let (summary, outcome, told, fault) = match &created {
        Created::Taken(message, fault) => {
            let summary = format!("201 {} {}", message.sid, message.status.as_str());
            (summary, Outcome::Ok, message.resource(), *fault)
        }
        Created::Refused(refusal, fault) => {
            (refusal.summary(), Outcome::of_status(refusal.status), refusal.body(), *fault)
        }
        Created::Silent(message) => {
            let summary = format!("{} {}, and no answer", message.sid, message.status.as_str());
            (summary, Outcome::Failed, Value::Null, Some(Kind::Timeout))
        }
        Created::Reset => ("connection reset".to_owned(), Outcome::Failed, Value::Null, Some(Kind::ConnectionReset)),
    };
    twilio.feed().happened(Telling {
        between: Between::Twilio,
        title: CREATE,
        summary,
        outcome,
        number: phone,
        request,
        response: told.clone(),
        fault: fault.map(Kind::as_str),
    });
    let mut response = match created {
        Created::Taken(message, _) => {
            twilio.deliver(message);
            (StatusCode::CREATED, Json(told)).into_response()
        }
        Created::Refused(refusal, _) => refusal.into_response(),
        Created::Silent(message) => {
            twilio.deliver(message);
            // Nobody waits this long, and nobody should find out by waiting on.
            tokio::time::sleep(twilio.limits().silence).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Created::Reset => reset_connection(&extensions),
    };
    response.extensions_mut().insert(Told);
    response
}

/// Has the connection reset in place of the answer, where the server is one that can.
fn reset_connection(extensions: &Extensions) -> Response {
    if let Some(ConnectInfo(line)) = extensions.get::<ConnectInfo<Line>>() {
        line.reset();
    }
    Refusal::from(errors::INTERNAL).into_response()
}

impl FakeTwilio {
    /// Takes a message, or nothing at all; unless a fault has it otherwise.
    async fn create(&self, parameters: Parameters) -> Created {
        let account = self.account();
        let wanted = match check(&account, &parameters) {
            Ok(wanted) => wanted,
            Err(refusal) => return Created::Refused(refusal, None),
        };
        if self.has_opted_out(wanted.from, wanted.to) {
            return Created::Refused(errors::OPTED_OUT.into(), None);
        }
        let fault = self.faults().take(Place::Request, Some(wanted.to));
        match fault {
            Some(Kind::Http500) => return Created::Refused(errors::INTERNAL.into(), fault),
            Some(Kind::Http429) => return Created::Refused(errors::TOO_MANY_REQUESTS.into(), fault),
            Some(Kind::TwilioError { code }) => {
                let about = [&masked(wanted.to), wanted.from.unwrap_or_default()];
                return Created::Refused(Refusal::forced(code, &about), fault);
            }
            Some(Kind::ConnectionReset) => return Created::Reset,
            _ => {}
        }
        let urls = parameters.all("MediaUrl").map(str::to_owned).collect();
        let Collected { media, too_large } = self.collect(urls, wanted.to).await;
        let (sid, now) = (&account.account_sid, self.now());
        let message = Message::new(sid, Direction::OutboundApi, wanted.from, wanted.to, wanted.body, now);
        let mut message = message.with_media(media);
        message.messaging_service_sid = wanted.service.map(str::to_owned);
        message.parameters = parameters.0;
        let decided;
        (message.fate, decided) = self.decide(&message.to);
        if too_large {
            message.fate.error_code = Some(errors::MEDIA_TOO_LARGE);
        }
        let message = self.take(message);
        if fault == Some(Kind::Timeout) { Created::Silent(message) } else { Created::Taken(message, decided) }
    }
}

async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let query = Parameters(query);
    let paging = Paging::read(&query)?;
    let (on, since, until) = (query.date("DateSent")?, query.date("DateSent>")?, query.date("DateSent<")?);
    let books = twilio.books();
    let newest = books.ledger.newest(query.get("To"), query.get("From"), paging.token.as_deref());
    let found = newest.ok_or(errors::PAGE_TOKEN)?.filter(|message| {
        let day = TimeZone::UTC.to_datetime(message.created()).date();
        !message.by_twilio
            && on.is_none_or(|date| day == date)
            && since.is_none_or(|date| day >= date)
            && until.is_none_or(|date| day <= date)
    });
    Ok(Json(paging.fill(&uri, "messages", found, |message| &message.sid, Message::resource)))
}

async fn fetch(_: Authenticated, State(twilio): State<FakeTwilio>, uri: Uri) -> Result<Json<Value>, Refusal> {
    find(&twilio, &uri).map(|message| Json(message.resource()))
}

/// Takes the text away, which is all that can be changed of a message.
async fn update(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Value>, Refusal> {
    let parameters = Parameters(form.unwrap_or_default().0);
    let message = find(&twilio, &uri)?;
    match parameters.get("Status") {
        // Only one that is scheduled can be canceled, and those are refused. https://www.twilio.com/docs/api/errors/30409
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

async fn delete(_: Authenticated, State(twilio): State<FakeTwilio>, uri: Uri) -> Result<StatusCode, Refusal> {
    let message = find(&twilio, &uri)?;
    ensure(message.status.is_final(), errors::NOT_COMPLETE)?;
    twilio.change(Entry::Deleted { sid: message.sid });
    Ok(StatusCode::NO_CONTENT)
}

/// The message of `…/SM….json`.
fn find(twilio: &FakeTwilio, uri: &Uri) -> Result<Message, Refusal> {
    let found = segment(uri, 5).strip_suffix(".json").and_then(|sid| twilio.listed(sid));
    found.ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))
}

/// A part of the path as it came: what can't be decoded is merely not found.
pub(super) fn segment(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index).unwrap_or_default()
}

/// The caller proved to be the account, or one of its API keys, and asks for that account.
pub(super) struct Authenticated;

impl FromRequestParts<FakeTwilio> for Authenticated {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, twilio: &FakeTwilio) -> Result<Self, Refusal> {
        let account = &twilio.books().account;
        let asked_for = segment(&parts.uri, 3);
        let ours = asked_for == account.account_sid;
        // What can't be an account is no resource at all, whoever asks.
        if !ours && !is_sid("AC", asked_for) {
            return Err(errors::NOT_FOUND.about(&[parts.uri.path()]));
        }
        let known =
            basic_credentials(&parts.headers).is_some_and(|(user, secret)| account.authenticates(&user, &secret));
        match (known, ours) {
            (true, true) => Ok(Self),
            (true, false) => Err(errors::NOT_FOUND.about(&[parts.uri.path()])),
            (false, _) => Err(errors::AUTHENTICATE.into()),
        }
    }
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    scheme.eq_ignore_ascii_case("Basic").then(|| (user.to_owned(), secret.to_owned()))
}
