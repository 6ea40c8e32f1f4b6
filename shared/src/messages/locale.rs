//! The language of a message.

use std::fmt;
use std::str::FromStr;

/// A language tag of BCP 47 such as `de`, `de-AT` or `zh-Hant`: a language, and optionally its region or script. Case makes no
/// difference, and the underscore of `pt_BR`, as Android and Java write it, is accepted.
///
/// ```
/// use shared::messages::locale::{InvalidLocale, Locale};
///
/// let locale: Locale = "PT_br".parse()?;
/// assert_eq!(locale.as_str(), "pt-BR");
/// assert!("english".parse::<Locale>().is_err());
/// # Ok::<(), InvalidLocale>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locale(String);

/// Not a language tag. Doesn't repeat the text, which a caller may have sent; reads well after the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a language tag of at most {} characters, for example en, de-AT or pt-BR", Locale::MAX_CHARACTERS)]
pub struct InvalidLocale;

impl Locale {
    /// The minimum that BCP 47 asks software to support: <https://www.rfc-editor.org/rfc/rfc5646#section-4.4.1>.
    const MAX_CHARACTERS: usize = 35;

    /// The tag with hyphens, in the usual case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, then the tag without its last part, and so on down to the language alone: the "lookup" of RFC 4647, 3.4. So
    /// `zh-Hant-TW` finds `zh-Hant` before `zh`.
    pub(super) fn widening(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |tag| tag.rsplit_once('-').map(|(wider, _)| wider))
    }
}

impl FromStr for Locale {
    type Err = InvalidLocale;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_CHARACTERS {
            return Err(InvalidLocale);
        }
        let tag = text.to_ascii_lowercase().replace('_', "-");
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default();
        if !(2..=3).contains(&language.len()) || !language.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(InvalidLocale);
        }
        let mut usual = language.to_owned();
        for part in parts {
            if !(1..=8).contains(&part.len()) || !part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(InvalidLocale);
            }
            usual.push('-');
            usual.push_str(&in_usual_case(part));
        }
        Ok(Self(usual))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `AT` for a region, `Hant` for a script, lower case for the rest.
fn in_usual_case(part: &str) -> String {
    match part.len() {
        2 => part.to_ascii_uppercase(),
        4 => part
            .chars()
            .zip(0..)
            .map(|(letter, at)| if at == 0 { letter.to_ascii_uppercase() } else { letter })
            .collect(),
        _ => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn locale(tag: &str) -> Locale {
        tag.parse().unwrap_or_else(|error| panic!("{tag}: {error}"))
    }

    #[test]
    fn a_locale_is_one_whatever_its_case_and_hyphens() {
        for (text, tag) in [
            ("en", "en"),
            ("DE", "de"),
            ("de-at", "de-AT"),
            ("pt_BR", "pt-BR"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("ZH_HANT", "zh-Hant"),
            ("es-419", "es-419"),
            ("gsw-CH", "gsw-CH"),
            ("sl-rozaj-biske-1994", "sl-rozaj-biske-1994"),
        ] {
            assert_eq!(locale(text).as_str(), tag);
            assert_eq!(locale(text), locale(&text.to_ascii_uppercase()));
        }
        let longest = "en-abcdefgh-abcdefgh-abcdefgh-abcde";
        assert_eq!((longest.len(), locale(longest).as_str().len()), (35, 35));
    }

    #[test]
    fn what_is_no_language_tag_is_refused() {
        for text in [
            "",
            "e",
            "english",
            "e1",
            "-",
            "de-",
            "-de",
            "de--AT",
            "de AT",
            " de",
            "de_AT.UTF-8",
            "de@euro",
            "dé",
            "德",
            "*",
            "de-abcdefghi",
            "en-abcdefgh-abcdefgh-abcdefgh-abcdef",
        ] {
            assert_eq!(text.parse::<Locale>(), Err(InvalidLocale), "{text:?}");
        }
        assert_eq!(
            InvalidLocale.to_string(),
            "must be a language tag of at most 35 characters, for example en, de-AT or pt-BR"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<Locale>();
        }

        #[test]
        fn a_locale_is_read_back_as_it_is_shown(text in "[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}") {
            prop_assume!(text.len() <= 35);
            let locale = locale(&text);
            prop_assert_eq!(locale.as_str().parse::<Locale>().unwrap(), locale.clone());
            prop_assert!(locale.as_str().eq_ignore_ascii_case(&text.replace('_', "-")));
        }
    }
}
