//! The texts of messages: in the recipient's language, with the code, and with the line that lets phones fill it in.
//!
//! Everything that can be wrong with a text is found at start. Every template is checked with the longest code and the last
//! line, so [`Messages::text`] can't fail, and a message of more than one segment is reported before Twilio bills it.

pub mod app_domain;
pub mod locale;
pub mod template;

use crate::phone::phrase::Phrase;
use crate::runtime::settings::{Environment, SettingError};
use crate::twilio::segments::{Encoding, MAX_BODY, Segments, first_outside_gsm7};
use app_domain::AppDomain;
use locale::Locale;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use template::{InvalidTemplate, LONGEST_CODE, MessageTemplate, is_too_long};

/// What answers call the language of the default message, which no setting names.
pub const DEFAULT_LANGUAGE: &str = "default";

/// A default message and one for each further language, with or without the line of the app's domain.
///
/// ```
/// use shared::messages::Messages;
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
    /// By the locale's tag.
    templates: BTreeMap<String, MessageTemplate>,
    app_domain: Option<AppDomain>,
}

/// Why the templates can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessages {
    /// Not JSON, or not an object.
    #[error("must be a JSON object such as {{\"de\": \"Dein Code ist: {{code}}\"}} ({0})")]
    Json(String),
    /// A name that isn't a language tag.
    #[error("{0:?} is not a language; write a tag such as de, fr or pt-BR")]
    Language(String),
    /// The same language twice, perhaps spelled differently.
    #[error("there are two templates for {0}")]
    Twice(Locale),
    /// Something other than a string.
    #[error("the template for {0} must be a JSON string")]
    NotText(Locale),
    /// A template that can't be sent.
    #[error("the template for {language} {reason}")]
    Template {
        /// The template's language.
        language: Locale,
        /// What is wrong with it.
        reason: InvalidTemplate,
    },
    /// A template that is too long with the last line.
    #[error("with the line for {domain}, {message} has more than the {MAX_BODY} characters that Twilio accepts")]
    TooLongWithDomain {
        /// The message, as warnings call it.
        message: String,
        /// The app's domain.
        domain: String,
    },
}

impl Messages {
    /// Reads `MESSAGE_TEMPLATE`, `MESSAGE_TEMPLATES` and `APP_DOMAIN`. Each text that takes more than one segment is logged, since it
    /// costs more.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let app_domain = environment.parsed_if_set::<AppDomain>("APP_DOMAIN")?;
        let default = environment.parsed("MESSAGE_TEMPLATE")?;
        let messages = Self::new(default, environment.text("MESSAGE_TEMPLATES"), app_domain)
            .map_err(|reason| Environment::invalid("MESSAGE_TEMPLATES", reason))?;
        for warning in messages.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(messages)
    }

    /// Combines the default template, those of further languages (a JSON object; blank for none) and the app's domain.
    ///
    /// # Errors
    /// [`InvalidMessages`] names the language and says what is wrong with its template.
    pub fn new(
        default: MessageTemplate,
        templates: &str,
        app_domain: Option<AppDomain>,
    ) -> Result<Self, InvalidMessages> {
        let messages = Self { default, templates: by_language(templates)?, app_domain };
        if let Some(domain) = &messages.app_domain {
            let too_long = messages.longest().find(|(_, text)| is_too_long(text));
            if let Some((message, _)) = too_long {
                return Err(InvalidMessages::TooLongWithDomain { message, domain: domain.as_str().to_owned() });
            }
        }
        Ok(messages)
    }

    /// The text with this code: in the locale if there is a template for it, else in its language, else the default one.
    #[must_use]
    pub fn text(&self, locale: Option<&Locale>, code: &str) -> String {
        let template = locale.and_then(|locale| self.nearest(locale)).map_or(&self.default, |(_, template)| template);
        self.complete(template, code)
    }

    /// The text with which a user proves a phone number: `Verify example.com: maple otter 42`. It says what it is for, since users are
    /// talked into sending what others want.
    #[must_use]
    pub fn to_be_texted(&self, phrase: Phrase) -> String {
        self.app_domain
            .as_ref()
            .map_or_else(|| format!("Verify: {phrase}"), |domain| format!("Verify {}: {phrase}", domain.as_str()))
    }

    /// The language of the text for this locale: the tag of the template that is used, or [`DEFAULT_LANGUAGE`].
    #[must_use]
    pub fn language(&self, locale: &Locale) -> &str {
        self.nearest(locale).map_or(DEFAULT_LANGUAGE, |(tag, _)| tag)
    }

    fn nearest(&self, locale: &Locale) -> Option<(&str, &MessageTemplate)> {
        let found = locale.widening().find_map(|tag| self.templates.get_key_value(tag));
        found.map(|(tag, template)| (tag.as_str(), template))
    }

    /// One sentence for each message that takes several segments with the longest code, with the cause. Twilio bills each segment.
    ///
    /// ```
    /// use shared::messages::Messages;
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

    /// Each message with the longest code, and a name for it.
    fn longest(&self) -> impl Iterator<Item = (String, String)> {
        let default = std::iter::once(("the default message".to_owned(), &self.default));
        let localized = self.templates.iter().map(|(tag, template)| (format!("the message in {tag}"), template));
        default.chain(localized).map(|(message, template)| (message, self.complete(template, LONGEST_CODE)))
    }

    fn complete(&self, template: &MessageTemplate, code: &str) -> String {
        let line = self.app_domain.as_ref().map(|domain| domain.line(code));
        template.with(code) + line.as_deref().unwrap_or_default()
    }
}

fn warning(message: &str, text: &str) -> Option<String> {
    let Segments { count, units, .. } = Segments::of(text);
    if count == 1 {
        return None;
    }
    let (gsm7, ucs2) = (Encoding::Gsm7, Encoding::Ucs2);
    let cause = first_outside_gsm7(text).map_or_else(
        || format!("it has {units} characters, and a segment holds {}", gsm7.alone()),
        |character| {
            let character = visible(character);
            let (now, before) = (ucs2.alone(), gsm7.alone());
            format!("{character} is not in {gsm7}, so a segment holds {now} characters instead of {before}")
        },
    );
    Some(format!("{message} takes {count} segments with a code of {} digits: {cause}", LONGEST_CODE.len()))
}

/// The character itself or, if it would not be recognized (a no-break space), its code point.
fn visible(character: char) -> String {
    let escaped = character.escape_debug();
    if escaped.len() == 1 { character.to_string() } else { format!("U+{:04X}", u32::from(character)) }
}

/// Reads the templates, by language.
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
        if templates.insert(language.as_str().to_owned(), template).is_some() {
            return Err(InvalidMessages::Twice(language));
        }
    }
    Ok(templates)
}

/// The pairs of a JSON object. A map would silently keep the last of two with the same name.
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
    fn the_nearest_language_speaks() {
        let messages = messages(
            r#"{"de": "Dein Code: {code}", "de_at": "Servus! {code}", "zh-Hant": "碼 {code}", "zh": "码 {code}"}"#,
            None,
        )
        .unwrap();
        for (tag, text, language) in [
            ("de", "Dein Code: 4930", "de"),
            ("de-CH", "Dein Code: 4930", "de"),
            ("DE-at", "Servus! 4930", "de-AT"),
            ("de-AT-1996", "Servus! 4930", "de-AT"),
            ("zh-Hant-TW", "碼 4930", "zh-Hant"),
            ("zh-TW", "码 4930", "zh"),
            ("en", "Your verification code is: 4930", "default"),
            ("den", "Your verification code is: 4930", "default"),
        ] {
            assert_eq!(messages.text(Some(&locale(tag)), "4930"), text, "{tag}");
            assert_eq!(messages.language(&locale(tag)), language, "{tag}");
        }
        assert!(DEFAULT_LANGUAGE.parse::<Locale>().is_err(), "no language can have this name");
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
            (r#"{"de": "Dein Code"}"#, "the template for de must contain {code} exactly once"),
            (long.as_str(), "the template for fr must have at most 1600 characters with a code of 10 digits"),
            (r#"{"pt_br": 7}"#, "the template for pt-BR must be a JSON string"),
            (r#"{"de": "{code}", "de": "Code: {code}"}"#, "there are two templates for de"),
            (r#"{"pt-BR": "{code}", "pt_br": "{code}"}"#, "there are two templates for pt-BR"),
            (r#"{"german": "{code}"}"#, r#""german" is not a language; write a tag such as de, fr or pt-BR"#),
        ] {
            assert_eq!(messages(templates, None).unwrap_err().to_string(), sentence);
        }
        for templates in ["de", "[]", "null", "7", r#"["de"]"#, "{", r#"{"de": "{code}"} x"#, r#"{"de" "{code}"}"#] {
            let message = messages(templates, None).unwrap_err().to_string();
            let start = r#"must be a JSON object such as {"de": "Dein Code ist: {code}"} ("#;
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
    fn a_message_that_the_domain_makes_too_long_is_refused() {
        // The line has 26 characters with the longest code, which the text has too: ten more.
        let template = |letters: usize| format!(r#"{{"fr": "{}{{code}}"}}"#, "a".repeat(letters));
        assert!(messages(&template(1564), Some("example.com")).is_ok());
        assert!(messages(&template(1565), None).is_ok());
        assert_eq!(
            messages(&template(1565), Some("example.com")).unwrap_err().to_string(),
            "with the line for example.com, the message in fr has more than the 1600 characters that Twilio accepts"
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
                 it has 162 characters, and a segment holds 160",
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
              it has 166 characters, and a segment holds 160"]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", json in "[\\[\\]{}:,\" a-z\\PC]{0,60}") {
            let _ = text.parse::<MessageTemplate>();
            let _ = messages(&json, None).map(|messages| messages.warnings());
            let _ = messages(&format!("{{{text:?}: {json:?}}}"), None);
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
