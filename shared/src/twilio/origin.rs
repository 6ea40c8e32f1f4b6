//! A header that a CDN adds to each request and that nobody else knows: did the request come through the CDN?
//!
//! A signature already proves that Twilio made a request. This keeps others from calling API Gateway's own address, past the
//! CDN's rate limits.

use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};

/// The header's name, in lower case.
pub const HEADER: &str = "x-origin-verify";

/// 20 random letters and digits have over 100 bits. The upper bound is far below what a CDN accepts.
const LENGTHS: std::ops::RangeInclusive<usize> = 20..=256;

/// The values that the header may have: at least one. Only their SHA-256 is kept.
///
/// ```
/// use shared::twilio::origin::{OriginError, OriginVerify};
///
/// let values = OriginVerify::new(&["8Jq4vN2xKp7wRt5yZb3m", "the-value-of-last-month"])?;
/// assert_eq!(values.check(Some("8Jq4vN2xKp7wRt5yZb3m")), Ok(()));
/// assert_eq!(values.check(Some("a guess")), Err(OriginError::Wrong));
/// assert_eq!(values.check(None), Err(OriginError::Missing));
/// # Ok::<(), shared::twilio::origin::InvalidOriginVerify>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OriginVerify(Vec<[u8; 32]>);

/// There is no value, or one can't be a header's value or is too easy to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one or several values of 20 to 256 visible ASCII characters without commas")]
pub struct InvalidOriginVerify;

/// Why a request did not come through the CDN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No header, as on a request to API Gateway's own address.
    #[error("the request has no X-Origin-Verify header, so it did not come through the CDN")]
    Missing,
    /// None of the values. Two headers that were joined look like this too.
    #[error("the X-Origin-Verify header is not one of the values in the secret")]
    Wrong,
}

impl OriginVerify {
    /// The values from a secret.
    ///
    /// # Errors
    /// [`InvalidOriginVerify`] if there are none, or one is invalid. A comma would let two joined headers match.
    pub fn new(values: &[&str]) -> Result<Self, InvalidOriginVerify> {
        let is_valid = |value: &&str| {
            LENGTHS.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        let all_valid = !values.is_empty() && values.iter().all(is_valid);
        if all_valid { Ok(Self(values.iter().map(|value| hash(value)).collect())) } else { Err(InvalidOriginVerify) }
    }

    /// Compares the header with all values, in constant time.
    ///
    /// # Errors
    /// [`OriginError`] says whether it is missing or wrong.
    pub fn check(&self, header: Option<&str>) -> Result<(), OriginError> {
        let header = hash(header.ok_or(OriginError::Missing)?);
        let matches = self.0.iter().fold(Choice::from(0), |found, value| found | value.ct_eq(&header));
        if matches.into() { Ok(()) } else { Err(OriginError::Wrong) }
    }

    /// These values, and those of others.
    #[must_use]
    pub fn or<'a>(&'a self, others: impl Iterator<Item = &'a Self>) -> Self {
        Self(self.0.iter().chain(others.flat_map(|others| &others.0)).copied().collect())
    }
}

/// Of equal length for all texts, so that a comparison doesn't show how long a value is.
fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl fmt::Debug for OriginVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginVerify([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "8Jq4vN2xKp7wRt5yZb3m";

    #[test]
    fn a_value_that_is_short_or_can_be_no_header_is_invalid() {
        assert!(OriginVerify::new(&[VALUE]).is_ok());
        let long = "x".repeat(257);
        for invalid in [
            &[][..],
            &[""],
            &["8Jq4vN2xKp7wRt5yZb3"],
            &[VALUE, "short"],
            &["8Jq4vN2xKp7wRt5yZb3m with a space"],
            &["8Jq4vN2xKp7wRt5yZb3m,with-a-comma"],
            &["8Jq4vN2xKp7wRt5yZb3m\n"],
            &["8Jq4vN2xKp7wRt5yZb3mé"],
            &[&*long],
        ] {
            assert_eq!(OriginVerify::new(invalid), Err(InvalidOriginVerify), "{invalid:?}");
        }
    }

    #[test]
    fn only_a_whole_value_matches() {
        let values = OriginVerify::new(&[VALUE, "the-value-of-last-month"]).unwrap();
        assert_eq!(values.check(Some(VALUE)), Ok(()));
        assert_eq!(values.check(Some("the-value-of-last-month")), Ok(()));
        let joined = format!("{VALUE},{VALUE}");
        for wrong in ["", &VALUE[1..], &VALUE.to_lowercase(), &joined, &format!("{VALUE}x")] {
            assert_eq!(values.check(Some(wrong)), Err(OriginError::Wrong), "{wrong}");
        }
        assert_eq!(values.check(None), Err(OriginError::Missing));
        assert!(!format!("{values:?}").contains(VALUE));
    }
}
