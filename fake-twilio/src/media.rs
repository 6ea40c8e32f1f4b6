//! What messages carry beside their text.
//!
//! The one idea: what a content is, its own bytes say. Whatever somebody claimed of it is forgotten at once, so that nothing but a
//! picture is ever served as one.

use super::errors::{self, Refusal};
use super::message::{Message, random_sid, rfc2822};
use super::paging::{Paging, Parameters};
use super::rest::{Authenticated, segment};
use super::webhook::is_here;
use super::{FakeTwilio, MAX_MEDIA};
use crate::feed::{Between, Outcome, Telling};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// The most that all media of a message have together. <https://www.twilio.com/docs/messaging/guides/accepted-mime-types>
pub(super) const MAX_BYTES: usize = 5 * 1024 * 1024;
/// How long another server on this machine may take to hand out a picture.
const FETCH_WITHIN: Duration = Duration::from_secs(5);
const TOO_LARGE: &str = "it is larger than 5 MB";
const UNKNOWN: &str = "application/octet-stream";

/// What a phone attaches to a text.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its bytes; all attachments have at most 5 MB together.
    pub content: Vec<u8>,
}

/// One thing that a message carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// `ME…`.
    pub sid: String,
    /// The `MediaUrl` that it came from; none if a phone attached it.
    pub source: Option<String>,
    /// Its bytes; none if it stayed outside this machine, or could not be fetched.
    #[serde(with = "in_base64")]
    pub content: Option<Bytes>,
}

impl Media {
    pub(super) fn of(source: Option<String>, content: Option<Bytes>) -> Self {
        Self { sid: random_sid("ME"), source, content }
    }

    /// What its bytes show it to be.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.content.as_deref().map_or(UNKNOWN, sniff)
    }

    /// Where its bytes are served, on the host of the API.
    #[must_use]
    pub fn path(&self, message: &Message) -> String {
        format!("{}/Media/{}", message.path(), self.sid)
    }

    fn resource(&self, message: &Message) -> Value {
        let date = rfc2822(message.created);
        json!({
            "account_sid": message.account_sid,
            "content_type": self.content_type(),
            "date_created": date,
            "date_updated": date,
            "parent_sid": message.sid,
            "sid": self.sid,
            "uri": format!("{}.json", self.path(message)),
        })
    }

    /// The bytes, for a browser that must take nothing but a picture for something to show.
    fn response(&self, content: Bytes) -> Response {
        let content_type = self.content_type();
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
}

/// The kind of picture, by the first bytes, which each of these formats begins with.
fn sniff(content: &[u8]) -> &'static str {
    match content {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => UNKNOWN,
    }
}

/// The media of a message that is to be sent.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) media: Vec<Media>,
    /// Twilio takes such a message, and fails to send it.
    pub(super) too_large: bool,
}

impl FakeTwilio {
    /// The media at these URLs, in their order, with the content of those that are on this machine, unless they are too large
    /// together.
    pub(super) async fn collect(&self, urls: Vec<String>, phone: &str) -> Collected {
        let mut fetches = JoinSet::new();
        for (index, url) in urls.iter().take(MAX_MEDIA).enumerate().filter(|(_, url)| is_here(url)) {
            let (http, url) = (self.http().clone(), url.clone());
            fetches.spawn(async move { (index, url.clone(), fetch(&http, &url).await) });
        }
        let mut media: Vec<Media> = urls.into_iter().map(|url| Media::of(Some(url), None)).collect();
        let (mut bytes, mut too_large) = (0, false);
        while let Some(fetched) = fetches.join_next().await {
            match fetched {
                Ok((index, _, Ok(content))) => {
                    bytes += content.len();
                    too_large |= bytes > MAX_BYTES;
                    if let Some(media) = media.get_mut(index) {
                        media.content = Some(content);
                    }
                }
                Ok((_, url, Err(reason))) => {
                    too_large |= reason == TOO_LARGE;
                    self.feed().happened(Telling {
                        between: Between::Twilio,
                        title: "MediaUrl",
                        summary: format!("not fetched: {reason}"),
                        outcome: Outcome::Failed,
                        number: Some(phone.to_owned()),
                        request: json!({ "MediaUrl": url }),
                        response: Value::Null,
                        fault: None,
                    });
                }
                Err(_) => {}
            }
        }
        if too_large {
            for media in &mut media {
                media.content = None;
            }
        }
        Collected { media, too_large }
    }
}

async fn fetch(http: &reqwest::Client, url: &str) -> Result<Bytes, String> {
    let mut answer = http.get(url).timeout(FETCH_WITHIN).send().await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the answer was {}", answer.status().as_u16()));
    }
    let mut content = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        content.extend_from_slice(&chunk);
        if content.len() > MAX_BYTES {
            return Err(TOO_LARGE.to_owned());
        }
    }
    Ok(content.into())
}

/// `GET …/Messages/{message}/Media.json`
pub(super) async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let paging = Paging::read(&Parameters(query))?;
    let message = twilio.listed(segment(&uri, 5)).ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))?;
    let after = paging.token.as_deref().and_then(|token| message.media.iter().position(|media| media.sid == token));
    let rest = message.media.iter().skip(after.map_or(0, |place| place + 1));
    Ok(Json(paging.fill(&uri, "media_list", rest, |media| &media.sid, |media| media.resource(&message))))
}

/// `GET …/Messages/{message}/Media/{media}`, with `.json` for the resource, without for the content. As at Twilio, unless it is told
/// otherwise in the console, who knows the URL of a content may have it: an `<img>` can't authenticate.
/// <https://help.twilio.com/articles/223183748>
pub(super) async fn fetch_one(
    State(twilio): State<FakeTwilio>,
    authenticated: Result<Authenticated, Refusal>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let resource = segment(&uri, 7).strip_suffix(".json");
    if resource.is_some() {
        authenticated?;
    }
    let not_found = || errors::NOT_FOUND.about(&[uri.path()]);
    let message = twilio.listed(segment(&uri, 5)).filter(|message| message.account_sid == segment(&uri, 3));
    let message = message.ok_or_else(not_found)?;
    let media_sid = resource.unwrap_or(segment(&uri, 7));
    let media = message.media.iter().find(|media| media.sid == media_sid).ok_or_else(not_found)?;
    if resource.is_some() {
        return Ok(Json(media.resource(&message)).into_response());
    }
    let content = media.content.clone().ok_or_else(not_found)?;
    Ok(media.response(content))
}

mod in_base64 {
    use axum::body::Bytes;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    // serde gives what the field is.
    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(content: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match content {
            Some(content) => serializer.serialize_some(&BASE64.encode(content)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64.decode(text).map(Bytes::from).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_what_its_bytes_say() {
        for (content, expected) in [
            (&b"\xff\xd8\xff\xe0\x00\x10JFIF"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"),
            (b"GIF89a\x01\x00", "image/gif"),
            (b"GIF87a", "image/gif"),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", UNKNOWN),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN),
            (b"<!DOCTYPE html><script>", UNKNOWN),
            (b"\x89PNG", UNKNOWN),
            (b"", UNKNOWN),
        ] {
            assert_eq!(sniff(content), expected, "{content:?}");
        }
    }
}
