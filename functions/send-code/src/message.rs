//! The text of a message: in the recipient's language, with the code, and with the line that lets phones fill it in.
//!
//! The one idea: all that can be wrong with a text is found at start. Every template is checked with the longest code and
//! the last line, so [`Messages::text`] can't fail; and what costs more than one segment is known before the bill.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use shared::twilio::segments::{Encoding, Segments, first_outside_gsm7};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// As much as Twilio takes: <https://www.twilio.com/docs/api/errors/21617>.
const MAX_CHARACTERS: usize = shared::twilio::segments::MAX_BODY;
/// The longest code, for measuring.
const LONGEST_CODE: &str = "0000000000";

/// The text of a message, with a place for the code.
///
/// ```
/// use send_code::message::MessageTemplate;
///
/// let template: MessageTemplate = "{code} is your code.".parse()?;
/// assert_eq!(template.with("493027"), "493027 is your code.");
/// assert!("Your code is on its way.".parse::<MessageTemplate>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate(String);

/// A template that can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No place for the code, or several.
    #[error("it must contain {{code}} exactly once")]
    Code,
    /// Longer than Twilio takes.
    #[error("it is longer than {MAX_CHARACTERS} characters, which is as much as Twilio takes")]
    TooLong,
}

impl MessageTemplate {
    const PLACE: &str = "{code}";

    /// The message with this code.
    #[must_use]
    pub fn with(&self, code: &str) -> String {
        self.0.replace(Self::PLACE, code)
    }
}

impl FromStr for MessageTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches(Self::PLACE).count() != 1 {
            return Err(InvalidTemplate::Code);
        }
        let template = Self(text.to_owned());
        if is_too_long(&template.with(LONGEST_CODE)) { Err(InvalidTemplate::TooLong) } else { Ok(template) }
    }
}

/// A language, and where it is spoken or how it is written: a tag of BCP 47 such as `de`, `de-AT` or `zh-Hant`. The
/// underscore of `pt_BR`, as Android and Java write it, is taken too, and case makes no difference.
///
/// ```
/// use send_code::message::Locale;
///
/// let locale: Locale = "PT_br".parse()?;
/// assert_eq!(locale.as_str(), "pt-BR");
/// assert!("english".parse::<Locale>().is_err());
/// # Ok::<(), send_code::message::InvalidLocale>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locale(String);

/// Not a language tag. It does not repeat the text, which a caller may have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a locale must be a language tag of at most {} characters, beginning with the two or three letters of a language, \
     such as en, de-AT or pt-BR",
    Locale::MAX_CHARACTERS
)]
pub struct InvalidLocale;

impl Locale {
    /// What BCP 47 asks software to take at least: <https://www.rfc-editor.org/rfc/rfc5646#section-4.4.1>.
    const MAX_CHARACTERS: usize = 35;

    /// The tag with hyphens, in the usual case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag and, one after the other, what is left of it without its last part, down to the language alone: the "lookup"
    /// of RFC 4647, 3.4. So `zh-Hant-TW` finds `zh-Hant` before `zh`.
    fn widening(&self) -> impl Iterator<Item = &str> {
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

/// `AT` for a country, `Hant` for a script, lower case for the rest.
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

/// The host name of the website, or the app's associated domain, that codes are for.
///
/// ```
/// use send_code::message::AppDomain;
///
/// let domain: AppDomain = "Example.com".parse()?;
/// assert_eq!(domain.as_str(), "example.com");
/// assert!("https://example.com".parse::<AppDomain>().is_err());
/// # Ok::<(), send_code::message::InvalidAppDomain>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDomain(String);

/// Not a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host name: write letters, digits, dots and hyphens without https:// or a path, such as example.com"
)]
pub struct InvalidAppDomain(String);

impl AppDomain {
    /// The host name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What phones read to offer the code on this domain only: the last line is the host with an `@`, one space and the code
    /// with a `#`. The blank line before it is how the specification writes its examples.
    ///
    /// <https://wicg.github.io/sms-one-time-codes/#authoring>
    fn line(&self, code: &str) -> String {
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
        // A last label that begins with a digit would be an IP address, which no code can be bound to.
        let ends_in_a_name = |(_, last): (&str, &str)| last.starts_with(|first: char| first.is_ascii_lowercase());
        let right =
            host.len() <= 253 && host.split('.').all(is_label) && host.rsplit_once('.').is_some_and(ends_in_a_name);
        if right { Ok(Self(host)) } else { Err(InvalidAppDomain(text.to_owned())) }
    }
}

/// The messages: a default one and those of languages, all with or all without the line of the app's domain.
///
/// ```
/// use send_code::message::Messages;
///
/// let messages = Messages::new(
///     "Your code is: {code}".parse()?,
///     r#"{"de": "Dein Code ist: {code}"}"#,
///     Some("example.com".parse()?),
/// )?;
/// assert_eq!(messages.text(None, "493027"), "Your code is: 493027\n\n@example.com #493027");
/// let locale = "de-AT".parse()?;
/// assert_eq!(messages.text(Some(&locale), "493027"), "Dein Code ist: 493027\n\n@example.com #493027");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    default: MessageTemplate,
    /// By the tag of the locale.
    templates: BTreeMap<String, MessageTemplate>,
    app_domain: Option<AppDomain>,
}

/// What makes the templates of languages unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessages {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object of languages and templates, such as {{\"de\": \"Dein Code ist: {{code}}\"}}: {0}")]
    Json(String),
    /// A name that is no language.
    #[error("{0:?} is not a language: write a tag such as de, fr or pt-BR")]
    Language(String),
    /// The same language twice, perhaps spelled differently.
    #[error("there are two templates for {0}")]
    Twice(Locale),
    /// Something other than a string.
    #[error("the template for {0} is not a text in quotes")]
    NotText(Locale),
    /// A template that can't be sent.
    #[error("the template for {language} can't be sent: {reason}")]
    Template {
        /// Its language.
        language: Locale,
        /// What is wrong with it.
        reason: InvalidTemplate,
    },
    /// A template that is too long with the last line.
    #[error(
        "with the line for {domain}, {message} is longer than {MAX_CHARACTERS} characters, \
         which is as much as Twilio takes"
    )]
    TooLongWithDomain {
        /// Which message.
        message: String,
        /// The app's domain.
        domain: String,
    },
}

impl Messages {
    /// Puts together the default template, those of languages (a JSON object, or nothing but spaces for none) and the app's
    /// domain.
    ///
    /// # Errors
    /// [`InvalidMessages`] names the language and what is wrong with its template.
    pub fn new(
        default: MessageTemplate,
        templates: &str,
        app_domain: Option<AppDomain>,
    ) -> Result<Self, InvalidMessages> {
        let messages = Self { default, templates: by_language(templates)?, app_domain };
        if let Some(domain) = &messages.app_domain {
            let too_long = messages.longest().find(|(_, text)| is_too_long(text));
            if let Some((message, _)) = too_long {
                return Err(InvalidMessages::TooLongWithDomain { message, domain: domain.0.clone() });
            }
        }
        Ok(messages)
    }

    /// The message with this code: in the locale, else in its language, else the default one.
    #[must_use]
    pub fn text(&self, locale: Option<&Locale>, code: &str) -> String {
        let template = locale.and_then(|locale| locale.widening().find_map(|tag| self.templates.get(tag)));
        self.complete(template.unwrap_or(&self.default), code)
    }

    /// A sentence for each message that takes several segments with the longest code, and why: Twilio bills each of them.
    ///
    /// ```
    /// use send_code::message::Messages;
    ///
    /// let french = r#"{"fr": "Votre code est {code}. Ne le donnez à personne, même si l'on vous le demande."}"#;
    /// let messages = Messages::new("Your code is: {code}".parse()?, french, None)?;
    /// assert_eq!(
    ///     messages.warnings(),
    ///     ["the message in fr takes 2 segments with a code of 10 digits: \
    ///       ê is not in GSM-7, so a segment holds 70 characters instead of 160"]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.longest().filter_map(|(message, text)| warning(&message, &text)).collect()
    }

    /// Each message with the longest code, and what to call it.
    fn longest(&self) -> impl Iterator<Item = (String, String)> {
        let default = std::iter::once(("the default message".to_owned(), &self.default));
        let of_languages = self.templates.iter().map(|(tag, template)| (format!("the message in {tag}"), template));
        default.chain(of_languages).map(|(message, template)| (message, self.complete(template, LONGEST_CODE)))
    }

    fn complete(&self, template: &MessageTemplate, code: &str) -> String {
        let line = self.app_domain.as_ref().map(|domain| domain.line(code));
        template.with(code) + line.as_deref().unwrap_or_default()
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().count() > MAX_CHARACTERS
}

fn warning(message: &str, text: &str) -> Option<String> {
    let Segments { count, units, .. } = Segments::of(text);
    if count == 1 {
        return None;
    }
    let (gsm7, ucs2) = (Encoding::Gsm7, Encoding::Ucs2);
    let cause = first_outside_gsm7(text).map_or_else(
        || format!("it counts {units} characters, and a segment holds {}", gsm7.alone()),
        |character| {
            let character = visible(character);
            let (now, before) = (ucs2.alone(), gsm7.alone());
            format!("{character} is not in {gsm7}, so a segment holds {now} characters instead of {before}")
        },
    );
    Some(format!("{message} takes {count} segments with a code of {} digits: {cause}", LONGEST_CODE.len()))
}

/// The character itself or, if it would not be seen as what it is (a no-break space), its code point.
fn visible(character: char) -> String {
    let escaped = character.escape_debug();
    if escaped.len() == 1 { character.to_string() } else { format!("U+{:04X}", u32::from(character)) }
}

/// Reads the templates of languages.
fn by_language(json: &str) -> Result<BTreeMap<String, MessageTemplate>, InvalidMessages> {
    if json.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let Pairs(pairs) = serde_json::from_str(json).map_err(|error| InvalidMessages::Json(error.to_string()))?;
    let mut templates = BTreeMap::new();
    for (name, value) in pairs {
        let Ok(language) = name.parse::<Locale>() else { return Err(InvalidMessages::Language(name)) };
        let Some(text) = value.as_str() else { return Err(InvalidMessages::NotText(language)) };
        let template =
            text.parse().map_err(|reason| InvalidMessages::Template { language: language.clone(), reason })?;
        if templates.insert(language.0.clone(), template).is_some() {
            return Err(InvalidMessages::Twice(language));
        }
    }
    Ok(templates)
}

/// All the pairs of a JSON object. A map would silently keep the last of two with the same name.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(templates: &str, app_domain: Option<&str>) -> Result<Messages, InvalidMessages> {
        let app_domain = app_domain.map(|domain| domain.parse().unwrap());
        Messages::new("Your verification code is: {code}".parse().unwrap(), templates, app_domain)
    }

    fn locale(tag: &str) -> Locale {
        tag.parse().unwrap_or_else(|error| panic!("{tag}: {error}"))
    }

    #[test]
    fn a_template_has_one_place_for_the_code_and_room_for_the_longest() {
        for (text, expected) in [
            ("Your code", Err(InvalidTemplate::Code)),
            ("", Err(InvalidTemplate::Code)),
            ("{code} {code}", Err(InvalidTemplate::Code)),
            ("{Code}", Err(InvalidTemplate::Code)),
            ("{code}", Ok("493027".to_owned())),
            ("{{code}}", Ok("{493027}".to_owned())),
        ] {
            assert_eq!(text.parse().map(|template: MessageTemplate| template.with("493027")), expected, "{text}");
        }
        let template = |letters: usize| format!("{}{{code}}", "ä".repeat(letters)).parse::<MessageTemplate>();
        assert_eq!(template(1590).unwrap().with("0123456789").chars().count(), 1600);
        assert_eq!(template(1591), Err(InvalidTemplate::TooLong));
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
            "a locale must be a language tag of at most 35 characters, beginning with the two or three letters of a \
             language, such as en, de-AT or pt-BR"
        );
    }

    #[test]
    fn the_nearest_language_speaks() {
        let messages = messages(
            r#"{"de": "Dein Code: {code}", "de_at": "Servus! {code}", "zh-Hant": "碼 {code}", "zh": "码 {code}"}"#,
            None,
        )
        .unwrap();
        for (tag, text) in [
            ("de", "Dein Code: 4930"),
            ("de-CH", "Dein Code: 4930"),
            ("DE-at", "Servus! 4930"),
            ("de-AT-1996", "Servus! 4930"),
            ("zh-Hant-TW", "碼 4930"),
            ("zh-TW", "码 4930"),
            ("en", "Your verification code is: 4930"),
            ("den", "Your verification code is: 4930"),
        ] {
            assert_eq!(messages.text(Some(&locale(tag)), "4930"), text, "{tag}");
        }
        assert_eq!(messages.text(None, "4930"), "Your verification code is: 4930");
    }

    #[test]
    fn the_default_message_may_be_in_another_language_than_english() {
        let messages =
            Messages::new("Dein Code: {code}".parse().unwrap(), r#"{"en": "Your code: {code}"}"#, None).unwrap();
        assert_eq!(messages.text(Some(&locale("en-GB")), "4930"), "Your code: 4930");
        assert_eq!(messages.text(Some(&locale("fr")), "4930"), "Dein Code: 4930");
    }

    #[test]
    fn no_templates_are_fine() {
        for templates in ["", "  ", "{}", "\n{ }\n"] {
            assert_eq!(messages(templates, None).unwrap().text(Some(&locale("de")), "4930").len(), 31, "{templates:?}");
        }
    }

    #[test]
    fn wrong_templates_are_named_by_their_language() {
        let long = format!(r#"{{"fr": "{}{{code}}"}}"#, "é".repeat(1591));
        for (templates, sentence) in [
            (r#"{"de": "Dein Code"}"#, "the template for de can't be sent: it must contain {code} exactly once"),
            (
                long.as_str(),
                "the template for fr can't be sent: it is longer than 1600 characters, which is as much as Twilio takes",
            ),
            (r#"{"pt_br": 7}"#, "the template for pt-BR is not a text in quotes"),
            (r#"{"de": "{code}", "de": "Code: {code}"}"#, "there are two templates for de"),
            (r#"{"pt-BR": "{code}", "pt_br": "{code}"}"#, "there are two templates for pt-BR"),
            (r#"{"german": "{code}"}"#, r#""german" is not a language: write a tag such as de, fr or pt-BR"#),
        ] {
            assert_eq!(messages(templates, None).unwrap_err().to_string(), sentence);
        }
        for templates in ["de", "[]", "null", "7", r#"["de"]"#, "{", r#"{"de": "{code}"} x"#, r#"{"de" "{code}"}"#] {
            let message = messages(templates, None).unwrap_err().to_string();
            let start =
                r#"it is not a JSON object of languages and templates, such as {"de": "Dein Code ist: {code}"}: "#;
            assert!(message.starts_with(start), "{templates}: {message}");
        }
    }

    #[test]
    fn the_last_line_is_bound_to_the_domain() {
        let messages = messages(r#"{"de": "Dein Code: {code}\n"}"#, Some("auth.Example.com")).unwrap();
        let text = messages.text(None, "493027");
        assert_eq!(text, "Your verification code is: 493027\n\n@auth.example.com #493027");
        assert_eq!(messages.text(Some(&locale("de")), "493027").lines().last(), Some("@auth.example.com #493027"));
        assert_eq!(first_outside_gsm7(&text), None);
    }

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

    #[test]
    fn a_message_that_the_domain_makes_too_long_is_refused() {
        // The line has 26 characters with the longest code, which the text has too: ten more.
        let template = |letters: usize| format!(r#"{{"fr": "{}{{code}}"}}"#, "a".repeat(letters));
        assert!(messages(&template(1564), Some("example.com")).is_ok());
        assert!(messages(&template(1565), None).is_ok());
        assert_eq!(
            messages(&template(1565), Some("example.com")).unwrap_err().to_string(),
            "with the line for example.com, the message in fr is longer than 1600 characters, \
             which is as much as Twilio takes"
        );
    }

    #[test]
    fn several_segments_are_warned_of_with_their_cause() {
        let filler = "e".repeat(60);
        let templates = format!(
            r#"{{"de": "Dein Code: {{code}}", "fr": "Même {filler}{{code}}", "it": "{}{{code}}", "el": "α{{code}}",
                "nb": "\u00a0{filler}{{code}}", "ja": "{}{{code}}"}}"#,
            "€".repeat(76),
            "認".repeat(130)
        );
        assert_eq!(
            messages(&templates, None).unwrap().warnings(),
            [
                "the message in fr takes 2 segments with a code of 10 digits: \
                 ê is not in GSM-7, so a segment holds 70 characters instead of 160",
                "the message in it takes 2 segments with a code of 10 digits: \
                 it counts 162 characters, and a segment holds 160",
                "the message in ja takes 3 segments with a code of 10 digits: \
                 認 is not in GSM-7, so a segment holds 70 characters instead of 160",
                "the message in nb takes 2 segments with a code of 10 digits: \
                 U+00A0 is not in GSM-7, so a segment holds 70 characters instead of 160",
            ]
        );
    }

    #[test]
    fn the_last_line_counts_too() {
        let default: MessageTemplate = format!("{}{{code}}", "a".repeat(130)).parse().unwrap();
        assert_eq!(Messages::new(default.clone(), "", None).unwrap().warnings(), Vec::<String>::new());
        assert_eq!(
            Messages::new(default, "", Some("example.com".parse().unwrap())).unwrap().warnings(),
            ["the default message takes 2 segments with a code of 10 digits: \
              it counts 166 characters, and a segment holds 160"]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", json in "[\\[\\]{}:,\" a-z\\PC]{0,60}") {
            let _ = text.parse::<Locale>();
            let _ = text.parse::<AppDomain>();
            let _ = text.parse::<MessageTemplate>();
            let _ = messages(&json, None).map(|messages| messages.warnings());
            let _ = messages(&format!("{{{text:?}: {json:?}}}"), None);
        }

        #[test]
        fn a_locale_is_read_back_as_it_is_shown(text in "[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}") {
            prop_assume!(text.len() <= 35);
            let locale = locale(&text);
            prop_assert_eq!(locale.as_str().parse::<Locale>().unwrap(), locale.clone());
            prop_assert!(locale.as_str().eq_ignore_ascii_case(&text.replace('_', "-")));
        }

        #[test]
        fn no_message_is_longer_than_twilio_takes(
            letters in 0..1700_usize,
            code in "[0-9]{4,10}",
            domain in any::<bool>(),
        ) {
            let templates = format!(r#"{{"de": "{}{{code}}"}}"#, "ä".repeat(letters));
            if let Ok(messages) = messages(&templates, domain.then_some("example.com")) {
                let text = messages.text(Some(&locale("de")), &code);
                prop_assert!(text.chars().count() <= 1600);
                prop_assert_eq!(text.matches(code.as_str()).count(), if domain { 2 } else { 1 });
            }
        }
    }
}
