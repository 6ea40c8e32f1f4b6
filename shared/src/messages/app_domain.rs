//! The domain that a code is for, so that phones fill it in there only.

use std::str::FromStr;

/// The host name of the website, or the app's associated domain, on which codes are entered.
///
/// ```
/// use shared::messages::app_domain::{AppDomain, InvalidAppDomain};
///
/// let domain: AppDomain = "Example.com".parse()?;
/// assert_eq!(domain.as_str(), "example.com");
/// assert!("https://example.com".parse::<AppDomain>().is_err());
/// # Ok::<(), InvalidAppDomain>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDomain(String);

/// Not a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host name; write letters, digits, dots and hyphens without https:// or a path, for example example.com"
)]
pub struct InvalidAppDomain(String);

impl AppDomain {
    /// The host name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last line of an origin-bound code: `@`, the host, a space, `#` and the code. The blank line before it is how the
    /// specification writes its examples: <https://wicg.github.io/sms-one-time-codes/#authoring>.
    pub(super) fn line(&self, code: &str) -> String {
        format!("\n\n@{} #{code}", self.0)
    }
}

impl FromStr for AppDomain {
    type Err = InvalidAppDomain;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label that begins with a digit would be an IP address, to which no code can be bound.
        let ends_in_a_name = |(_, last): (&str, &str)| last.starts_with(|first: char| first.is_ascii_lowercase());
        let is_host_name =
            host.len() <= 253 && host.split('.').all(is_label) && host.rsplit_once('.').is_some_and(ends_in_a_name);
        if is_host_name { Ok(Self(host)) } else { Err(InvalidAppDomain(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_domain_is_a_host_name_and_nothing_else() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.com");
        for text in ["example.com", "a.b", "xn--bcher-kva.example", "1.example.com", "my-app.example.co.uk", &longest] {
            assert_eq!(text.parse::<AppDomain>().unwrap().as_str(), text);
        }
        let too_long = format!("{}com", "a.".repeat(126));
        let label_too_long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            "localhost",
            "https://example.com",
            "example.com/",
            "example.com:443",
            "example.com.",
            ".example.com",
            "example..com",
            "-example.com",
            "example-.com",
            "exam_ple.com",
            "exam ple.com",
            " example.com",
            "@example.com",
            "bücher.example",
            "192.0.2.1",
            "example.com\n@evil.example #1",
            &too_long,
            &label_too_long,
        ] {
            assert_eq!(text.parse::<AppDomain>(), Err(InvalidAppDomain(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<AppDomain>();
        }
    }
}
