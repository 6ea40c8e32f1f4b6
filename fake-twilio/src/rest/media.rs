//! The media of a message: <https://www.twilio.com/docs/messaging/api/media-resource>

use crate::errors::{self, TwilioRefusal};
use crate::media::{Media, UNKNOWN};
use crate::message::{Message, rfc2822};
use crate::parameters::Parameters;
use crate::rest::auth::{Authenticated, segment};
use crate::rest::paging::Paging;
use crate::store::ledger::Entry;
use crate::twilio::FakeTwilio;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// `GET …/Messages/{message}/Media.json`
pub(crate) async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, TwilioRefusal> {
    let paging = Paging::read(&Parameters(query))?;
    let message = twilio.listed(segment(&uri, 5)).ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))?;
    let after = match paging.after() {
        Some(token) => 1 + message.media.iter().position(|media| media.sid == token).ok_or(errors::PAGE_TOKEN)?,
        None => 0,
    };
    let rest = message.media.iter().skip(after);
    paging.fill(&uri, "media_list", rest, |media| &media.sid, |media| resource(&message, media)).map(Json)
}

/// `DELETE …/Messages/{message}/Media/{media}.json`
pub(crate) async fn delete(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
) -> Result<StatusCode, TwilioRefusal> {
    let media_sid = segment(&uri, 7).strip_suffix(".json");
    let message = twilio.listed(segment(&uri, 5));
    let found = message.and_then(|message| {
        let media = message.media.into_iter().find(|media| Some(&*media.sid) == media_sid)?;
        Some((message.sid, media.sid))
    });
    let (sid, media) = found.ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))?;
    twilio.change(Entry::MediaDeleted { sid, media, at: twilio.now() });
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/Messages/{message}/Media/{media}`: the resource with `.json`, else the content. The content needs no
/// credentials, since an `<img>` can't authenticate; that is Twilio's default too.
/// <https://help.twilio.com/articles/223183748>
pub(crate) async fn fetch_one(
    State(twilio): State<FakeTwilio>,
    authenticated: Result<Authenticated, TwilioRefusal>,
    uri: Uri,
) -> Result<Response, TwilioRefusal> {
    let resource_sid = segment(&uri, 7).strip_suffix(".json");
    if resource_sid.is_some() {
        authenticated?;
    }
    let not_found = || errors::NOT_FOUND.about(&[uri.path()]);
    let message = twilio.listed(segment(&uri, 5)).filter(|message| message.account_sid == segment(&uri, 3));
    let message = message.ok_or_else(not_found)?;
    let media_sid = resource_sid.unwrap_or(segment(&uri, 7));
    let media = message.media.iter().find(|media| media.sid == media_sid).ok_or_else(not_found)?;
    if resource_sid.is_some() {
        return Ok(Json(resource(&message, media)).into_response());
    }
    let content = media.content.clone().ok_or_else(not_found)?;
    Ok(response(media, content))
}

fn resource(message: &Message, media: &Media) -> Value {
    let date = rfc2822(message.created);
    json!({
        "account_sid": message.account_sid,
        "content_type": media.content_type(),
        "date_created": date,
        "date_updated": date,
        "parent_sid": message.sid,
        "sid": media.sid,
        "uri": format!("{}.json", media.path(&message.path())),
    })
}

/// The content, with headers that stop browsers from rendering anything but pictures.
fn response(media: &Media, content: Bytes) -> Response {
    let content_type = media.content_type();
    let mut response = content.into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, content_type);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    if content_type == UNKNOWN {
        set(header::CONTENT_DISPOSITION, "attachment");
    }
    response
}
