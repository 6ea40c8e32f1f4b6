//! Twilio request signatures: is this request from Twilio?
//!
//! `X-Twilio-Signature = base64(HMAC-SHA1(auth token, URL ‖ parameters))`. Only [`verify`] returns the form of a request, so
//! parameters are never read from bytes that were not signed.
//!
//! Sources: Twilio's "Webhooks security" page and the seven official helper libraries. Where those differ, this fails closed.
//! `tests/data/signature.json` holds their vectors.

use crate::twilio::form::Form;
use crate::twilio::url::without_fragment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};

/// Base64 of the 20 bytes of an HMAC-SHA1.
const SIGNATURE_LENGTH: usize = 28;

/// A Twilio auth token: the key that Twilio signs webhooks with. Never empty, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthToken(String);

/// The auth token is empty, or white space only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the auth token is empty")]
pub struct EmptyAuthToken;

impl AuthToken {
    /// A token from a secret, without white space around it.
    ///
    /// # Errors
    /// [`EmptyAuthToken`] if nothing is left: anyone could sign with an empty key.
    pub fn new(token: &str) -> Result<Self, EmptyAuthToken> {
        match token.trim() {
            "" => Err(EmptyAuthToken),
            token => Ok(Self(token.to_owned())),
        }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The key is the token's text, never its hex-decoded bytes.
    fn hmac(&self) -> Option<Hmac<Sha1>> {
        // HMAC takes a key of any length, so this is always `Some`; `None` would sign nothing and match nothing.
        Hmac::new_from_slice(self.0.as_bytes()).ok()
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken([redacted])")
    }
}

/// A request as it arrived, with nothing decoded but the body's base64 transfer encoding.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// The URL that is configured at Twilio, byte for byte.
    pub url: &'a str,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
    /// The `X-Twilio-Signature` header.
    pub signature: Option<&'a str>,
}

/// The proof that Twilio signed a request.
#[derive(Debug)]
pub struct Verified {
    /// The index of the token that signed it.
    pub token: usize,
    /// The parameters, if the body is a form.
    pub form: Option<Form>,
}

/// Why a request is not signed by Twilio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No `X-Twilio-Signature`.
    #[error("the request has no X-Twilio-Signature header")]
    Unsigned,
    /// Not the format of a signature. Two signatures that a proxy joined look like this too.
    #[error("the X-Twilio-Signature header is not one signature of 28 characters")]
    Malformed,
    /// Twilio calls webhooks with GET or POST.
    #[error("Twilio signs only GET and POST requests")]
    Method,
    /// The signature of a GET covers only its URL, so a body would be unsigned.
    #[error("a GET request must not have a body")]
    BodyOfGet,
    /// The body is not a form and the URL has no `bodySHA256`, so the signature doesn't cover the body.
    #[error("the body is not a form and the URL has no bodySHA256, so the body is unsigned")]
    UnsignedBody,
    /// The URL's `bodySHA256` belongs to another body.
    #[error("the body does not match the URL's bodySHA256")]
    BodyHash,
    /// No token produces this signature.
    #[error("no auth token produces this signature for this URL and these parameters")]
    Mismatch,
}

/// Verifies that Twilio signed `request` with one of `tokens`, and returns its parameters.
///
/// Tries all tokens and all variants of the URL that Twilio may have signed, and compares each in constant time.
///
/// # Errors
/// [`SignatureError`] with the reason.
///
/// ```
/// use shared::twilio::form::Form;
/// use shared::twilio::signature::{AuthToken, SignedRequest, sign, verify};
///
/// let token = AuthToken::new("0123456789abcdef0123456789abcdef")?;
/// let url = "https://example.com/sms";
/// let signature = sign(&token, url, &Form::from_pairs([("Body", "Hi")]));
/// let request = SignedRequest {
///     method: "POST",
///     url,
///     content_type: Some("application/x-www-form-urlencoded"),
///     body: b"Body=Hi",
///     signature: Some(&signature),
/// };
/// assert!(verify([&token], &request).is_ok());
/// assert!(verify([&token], &SignedRequest { body: b"Body=Ho", ..request }).is_err());
/// # Ok::<(), shared::twilio::signature::EmptyAuthToken>(())
/// ```
pub fn verify<'t>(
    tokens: impl IntoIterator<Item = &'t AuthToken>,
    request: &SignedRequest<'_>,
) -> Result<Verified, SignatureError> {
    let signature = request.signature.filter(|text| !text.is_empty()).ok_or(SignatureError::Unsigned)?.as_bytes();
    if signature.len() != SIGNATURE_LENGTH {
        return Err(SignatureError::Malformed);
    }
    let form = (request.method == "POST" && is_form(request.content_type)).then(|| Form::parse(request.body));
    let nothing = Form::default();

    // What the signed text may contain after the URL. Twilio signs a form's parameters, or the URL alone, with a hash of the body
    // in it.
    let signed_after_url: &[&Form] = match (request.method, &form) {
        ("GET" | "HEAD", _) if !request.body.is_empty() => return Err(SignatureError::BodyOfGet),
        ("GET" | "HEAD", _) => &[&nothing],
        ("POST", Some(form)) => match body_hash(request) {
            BodyHash::Matches => &[form, &nothing],
            BodyHash::Absent | BodyHash::Differs => &[form],
        },
        ("POST", None) => match body_hash(request) {
            BodyHash::Differs => return Err(SignatureError::BodyHash),
            BodyHash::Absent if !request.body.is_empty() => return Err(SignatureError::UnsignedBody),
            BodyHash::Absent | BodyHash::Matches => &[&nothing],
        },
        _ => return Err(SignatureError::Method),
    };
    let token = signing_token(tokens, request.url, signed_after_url, signature).ok_or(SignatureError::Mismatch)?;
    Ok(Verified { token, form })
}

/// Signs like Twilio: the URL alone for a GET or an empty form, otherwise the URL and the form's parameters.
#[must_use]
pub fn sign(token: &AuthToken, url: &str, form: &Form) -> String {
    token.hmac().map(|key| BASE64.encode(mac(key, &[without_fragment(url)], form))).unwrap_or_default()
}

/// The index of the token that signed. There is no early exit, so the time taken doesn't show how close a guess came.
fn signing_token<'t>(
    tokens: impl IntoIterator<Item = &'t AuthToken>,
    url: &str,
    signed_after_url: &[&Form],
    signature: &[u8],
) -> Option<usize> {
    let urls = url_candidates(url);
    let mut signed_by = None;
    for (index, token) in tokens.into_iter().enumerate() {
        let key = token.hmac()?;
        let mut matches = Choice::from(0);
        for url in urls.iter().flatten() {
            for form in signed_after_url {
                let mut expected = [0; SIGNATURE_LENGTH];
                // The strings are compared, not the decoded bytes: base64 has several spellings of the same bytes.
                let encoded = BASE64.encode_slice(mac(key.clone(), url, form), &mut expected);
                matches |= Choice::from(u8::from(encoded.is_ok())) & expected.ct_eq(signature);
            }
        }
        if bool::from(matches) {
            signed_by = Some(index);
        }
    }
    signed_by
}

fn mac(mut key: Hmac<Sha1>, url: &[&str], form: &Form) -> [u8; 20] {
    for piece in url {
        key.update(piece.as_bytes());
    }
    for piece in form.signed_pieces() {
        key.update(piece);
    }
    key.finalize().into_bytes().into()
}

/// Exactly Twilio's media type, in any case and with any parameters. Nothing similar is accepted as a form.
pub(crate) fn is_form(content_type: Option<&str>) -> bool {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyHash {
    Absent,
    Matches,
    Differs,
}

/// Compares the body with every `bodySHA256` of the URL, which is signed. The hash isn't secret.
fn body_hash(request: &SignedRequest<'_>) -> BodyHash {
    let url = without_fragment(request.url);
    let query = Form::parse(url.split_once('?').map_or("", |(_, query)| query).as_bytes());
    let mut hashes = query.values("bodySHA256").peekable();
    if hashes.peek().is_none() {
        return BodyHash::Absent;
    }
    let digest = Sha256::digest(request.body);
    let is_ours = |hash: &[u8]| {
        hash.len() == 2 * digest.len()
            && hash.chunks_exact(2).zip(digest).all(|(hex, byte)| hex == lower_case_hex(byte))
    };
    if hashes.all(is_ours) { BodyHash::Matches } else { BodyHash::Differs }
}

fn lower_case_hex(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

/// The URLs that Twilio may have signed for a request to `url`, each in up to three pieces: as given, and without its port, or if
/// it has none, with its scheme's default port. Twilio is inconsistent about ports only.
fn url_candidates(url: &str) -> [Option<[&str; 3]>; 2] {
    let url = without_fragment(url);
    let as_given = Some([url, "", ""]);
    let Some(authority) = url.find("://").map(|colon| colon + "://".len()) else { return [as_given, None] };
    let end = url[authority..].find(['/', '?']).map_or(url.len(), |length| authority + length);
    let host = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    // The colons of an IPv6 host are in brackets, before the port's.
    let after_brackets = url[host..end].rfind(']').map_or(host, |bracket| host + bracket);
    let other = match url[after_brackets..end].rfind(':').map(|colon| after_brackets + colon) {
        Some(port) => Some([&url[..port], "", &url[end..]]),
        None if url.starts_with("https://") => Some([&url[..end], ":443", &url[end..]]),
        None if url.starts_with("http://") => Some([&url[..end], ":80", &url[end..]]),
        None => None,
    };
    [as_given, other]
}
