//! Numbers as E.164 writes them.

/// Whether a text has the shape of a number in E.164. Whether there is such a phone is not asked.
#[must_use]
pub fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
