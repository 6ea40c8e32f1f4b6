//! The price of SMS.

use std::fmt;
use std::str::FromStr;

/// Money, in millionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dollars(u64);

/// The price of one segment of an SMS.
///
/// ```
/// use shared::twilio::price::SegmentPrice;
///
/// let price: SegmentPrice = "0.0083".parse()?;
/// assert_eq!(price.of(3).to_string(), "0.0249");
/// assert!("cheap".parse::<SegmentPrice>().is_err());
/// # Ok::<(), shared::twilio::price::InvalidPrice>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPrice(Dollars);

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a price in dollars with at most 3 digits before the point and 6 after it, such as 0.0083")]
pub struct InvalidPrice;

impl SegmentPrice {
    /// The cost of this many segments.
    #[must_use]
    pub const fn of(self, segments: usize) -> Dollars {
        Dollars(self.0.0.saturating_mul(segments as u64))
    }
}

impl FromStr for SegmentPrice {
    type Err = InvalidPrice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |digits: &str, most| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !are_digits(whole, 3) || !are_digits(fraction, 6) {
            return Err(InvalidPrice);
        }
        let millionths = format!("{whole}{fraction:0<6}").parse();
        millionths.map(|millionths| Self(Dollars(millionths))).map_err(|_| InvalidPrice)
    }
}

impl Dollars {
    /// The amount in dollars.
    #[expect(clippy::cast_precision_loss, reason = "exact to nine billion dollars")]
    pub(crate) const fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        let price = |text: &str| text.parse::<SegmentPrice>();
        for (text, segments, dollars) in
            [("0.0083", 3, "0.0249"), ("0.1", 3, "0.3"), ("0", 7, "0"), ("12.5", 2, "25"), ("0.000001", 1, "0.000001")]
        {
            assert_eq!(price(text).unwrap().of(segments).to_string(), dollars, "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "1e3", "NaN", "1000", "0.1234567", "0,1", " 1", "+1"] {
            assert_eq!(price(text), Err(InvalidPrice), "{text}");
        }
    }
}
