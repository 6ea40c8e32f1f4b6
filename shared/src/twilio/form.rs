//! `application/x-www-form-urlencoded`, decoded the way Twilio signs it.
//!
//! Everything stays bytes, in one buffer, until a signature has been verified over those bytes. Only then does a value become text,
//! and only if it is valid UTF-8. A lossy conversion, such as that of `form_urlencoded`, would let two different bodies share one
//! signature.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use std::cmp::Ordering;
use std::str;

/// What a form encodes: <https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set>
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// A decoded form: distinct name and value pairs, sorted by name and then by value, as bytes.
///
/// ```
/// use shared::twilio::form::Form;
///
/// let form = Form::parse(b"From=%2B14155550123&Body=Hi+there&Body=Hi+there");
/// assert_eq!(form.text("Body"), Ok(Some("Hi there")));
/// assert_eq!(form.text("MediaUrl0"), Ok(None));
/// ```
#[derive(Clone, Default)]
pub struct Form {
    /// Every decoded `name ‖ value`, one after another.
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
}

/// The position of one pair in the buffer: the name is `start..middle`, the value `middle..end`.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

/// Why a parameter of a form can't be read as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Two different values under one name. To take either would be a guess.
    #[error("the parameter {0} occurs twice with different values")]
    Repeated(&'static str),
    /// The value is not UTF-8.
    #[error("the parameter {0} is not valid UTF-8")]
    NotUtf8(&'static str),
}

impl Form {
    /// Decodes a form body or a query string. Never fails: every input is a form.
    ///
    /// Splits at `&` only, then at the first `=`; `+` is a space; `%XX` is a byte; a malformed `%` stays as it is. An empty piece
    /// is skipped; without `=`, the value is empty.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(encoded.len());
        let mut pairs = Vec::with_capacity(32); // An inbound SMS has about 20 parameters.
        for piece in encoded.split(|&byte| byte == b'&') {
            if piece.is_empty() {
                continue;
            }
            let mut halves = piece.splitn(2, |&byte| byte == b'=');
            let start = bytes.len();
            decode(halves.next().unwrap_or_default(), &mut bytes);
            let middle = bytes.len();
            decode(halves.next().unwrap_or_default(), &mut bytes);
            pairs.push(Pair { start, middle, end: bytes.len() });
        }
        pairs.sort_unstable_by(|a, b| a.compare(b, &bytes));
        pairs.dedup_by(|a, b| a.compare(b, &bytes) == Ordering::Equal);
        Self { bytes, pairs }
    }

    /// The form with these pairs, for a client that signs requests.
    #[must_use]
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut encoded = String::new();
        for (name, value) in pairs {
            if !encoded.is_empty() {
                encoded.push('&');
            }
            encode(name.as_bytes(), &mut encoded);
            encoded.push('=');
            encode(value.as_bytes(), &mut encoded);
        }
        Self::parse(encoded.as_bytes())
    }

    /// The form as a request body.
    #[must_use]
    pub fn encoded(&self) -> String {
        let mut encoded = String::with_capacity(self.bytes.len() * 3 / 2);
        for pair in &self.pairs {
            if !encoded.is_empty() {
                encoded.push('&');
            }
            encode(&self.bytes[pair.start..pair.middle], &mut encoded);
            encoded.push('=');
            encode(&self.bytes[pair.middle..pair.end], &mut encoded);
        }
        encoded
    }

    /// What Twilio appends to the URL before it signs: each `name ‖ value`, in order, without delimiters.
    pub(crate) fn signed_pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pairs.iter().map(|pair| &self.bytes[pair.start..pair.end])
    }

    /// The distinct values of one parameter, sorted by bytes.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let first = self.pairs.partition_point(|pair| &self.bytes[pair.start..pair.middle] < name.as_bytes());
        let count = self.pairs[first..].partition_point(|pair| &self.bytes[pair.start..pair.middle] == name.as_bytes());
        self.pairs[first..first + count].iter().map(|pair| &self.bytes[pair.middle..pair.end])
    }

    /// The names of the parameters, for a diagnosis. They come from outside and may contain anything.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.pairs.iter().map(|pair| &self.bytes[pair.start..pair.middle])
    }

    /// The one value of a parameter as text; `None` if it is absent.
    ///
    /// # Errors
    /// [`FormError`] if the parameter has two different values or is not UTF-8.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, FormError> {
        let mut values = self.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(FormError::Repeated(name));
        }
        str::from_utf8(value).map(Some).map_err(|_| FormError::NotUtf8(name))
    }
}

/// Forms are equal when their parameters are, in any order.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.pairs.len() == other.pairs.len()
            && self.names().eq(other.names())
            && self.signed_pieces().eq(other.signed_pieces())
    }
}

impl Eq for Form {}

/// Shows sizes only: a form holds phone numbers and messages.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({} parameters, {} bytes)", self.pairs.len(), self.bytes.len())
    }
}

impl Pair {
    fn compare(&self, other: &Self, bytes: &[u8]) -> Ordering {
        bytes[self.start..self.middle]
            .cmp(&bytes[other.start..other.middle])
            .then_with(|| bytes[self.middle..self.end].cmp(&bytes[other.middle..other.end]))
    }
}

/// Decodes one name or value. `+` is a space, and a malformed `%` stays as it is.
fn decode(encoded: &[u8], out: &mut Vec<u8>) {
    for (index, piece) in encoded.split(|&byte| byte == b'+').enumerate() {
        out.extend((index > 0).then_some(b' '));
        out.extend(percent_decode(piece));
    }
}

fn encode(bytes: &[u8], out: &mut String) {
    for (index, piece) in bytes.split(|&byte| byte == b' ').enumerate() {
        out.extend((index > 0).then_some('+'));
        out.extend(percent_encode(piece, ENCODED));
    }
}
