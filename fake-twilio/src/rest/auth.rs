//! Authentication.

use crate::errors::{self, TwilioRefusal};
use crate::twilio::FakeTwilio;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shared::twilio::sid::is_sid;

/// A segment of the path, undecoded.
pub(crate) fn segment(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index).unwrap_or_default()
}

/// Proof that the caller has credentials of the account in the path.
pub(crate) struct Authenticated;

impl FromRequestParts<FakeTwilio> for Authenticated {
    type Rejection = TwilioRefusal;

    async fn from_request_parts(parts: &mut Parts, twilio: &FakeTwilio) -> Result<Self, TwilioRefusal> {
        let account = &twilio.store().account;
        let asked_for = segment(&parts.uri, 3);
        let ours = asked_for == account.account_sid;
        // Twilio answers 404 to a malformed SID, even without credentials.
        if !ours && !is_sid(asked_for, "AC") {
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
