//! Twilio's identifiers.

/// Whether this is a Twilio SID: a prefix of two capitals and 32 hexadecimal digits.
#[must_use]
pub fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|d| d.is_ascii_hexdigit()))
}
