//! The fields of a request from the back end: texts and flags in one JSON object, in which an unknown field is an error.

use serde_json::{Map, Value};

/// The longest name of an unknown field that an error repeats.
const MAX_NAME: usize = 40;

/// A JSON object that has no other fields than the expected ones.
///
/// ```
/// use serde_json::json;
/// use shared::runtime::request_fields::RequestFields;
///
/// let event = json!({"phone_number": "+14155550123", "code": null});
/// let fields = RequestFields::of(&event, &["phone_number", "code"])?;
/// assert_eq!(fields.required("phone_number")?, "+14155550123");
/// assert_eq!(fields.optional("code")?, None);
/// assert_eq!(fields.required("code").unwrap_err().to_string(), "missing field `code`");
/// # Ok::<(), shared::runtime::request_fields::InvalidFields>(())
/// ```
#[derive(Clone, Copy)]
pub struct RequestFields<'a>(&'a Map<String, Value>);

/// Why the fields of a request can't be read. It never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFields {
    /// Not a JSON object.
    #[error("the request must be a JSON object with fields such as `{0}`")]
    NotAnObject(&'static str),
    /// A field that must be there is absent or null.
    #[error("missing field `{0}`")]
    Missing(&'static str),
    /// A field is not text.
    #[error("`{0}` must be a string")]
    NotText(&'static str),
    /// A field is neither true nor false.
    #[error("`{0}` must be true or false")]
    NotBool(&'static str),
    /// A field that isn't read. Most are misspelt, so an option would be lost in silence.
    #[error("unknown field{}; expected {}", name.as_ref().map_or_else(String::new, |name| format!(" `{name}`")), alternatives(.expected))]
    Unknown {
        /// The field, if it reads like a name. Anything else may be personal.
        name: Option<String>,
        /// All fields that are read.
        expected: &'static [&'static str],
    },
}

impl<'a> RequestFields<'a> {
    /// Takes an event that has no other fields than `expected`.
    ///
    /// # Errors
    /// [`InvalidFields::NotAnObject`] or [`InvalidFields::Unknown`].
    pub fn of(event: &'a Value, expected: &'static [&'static str]) -> Result<Self, InvalidFields> {
        let fields =
            event.as_object().ok_or(InvalidFields::NotAnObject(expected.first().copied().unwrap_or_default()))?;
        match fields.keys().find(|name| !expected.contains(&name.as_str())) {
            Some(name) => Err(InvalidFields::Unknown { name: is_field_name(name).then(|| name.clone()), expected }),
            None => Ok(Self(fields)),
        }
    }

    /// The text of a field.
    ///
    /// # Errors
    /// [`InvalidFields::Missing`] if it is absent or null, [`InvalidFields::NotText`] if it is anything but a string.
    pub fn required(self, name: &'static str) -> Result<&'a str, InvalidFields> {
        self.optional(name)?.ok_or(InvalidFields::Missing(name))
    }

    /// The text of a field; `None` if it is absent or null.
    ///
    /// # Errors
    /// [`InvalidFields::NotText`] if it is anything but a string.
    pub fn optional(self, name: &'static str) -> Result<Option<&'a str>, InvalidFields> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(InvalidFields::NotText(name)),
        }
    }

    /// Whether a field is true; an absent one is not.
    ///
    /// # Errors
    /// [`InvalidFields::NotBool`] if it is anything but true, false or null.
    pub fn flag(self, name: &'static str) -> Result<bool, InvalidFields> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(InvalidFields::NotBool(name)),
        }
    }
}

/// Whether a key reads like the name of a field. A phone number or a code that was sent as a key begins with a digit or `+`.
fn is_field_name(key: &str) -> bool {
    key.len() <= MAX_NAME
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `a, b or c`.
fn alternatives(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EXPECTED: &[&str] = &["phone_number", "ip", "code"];

    fn error(event: &Value) -> String {
        RequestFields::of(event, EXPECTED).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_field_is_named_only_if_it_reads_like_a_name() {
        for name in ["phoneNumber", "IP", "_", "client-ip", &"x".repeat(40)] {
            assert_eq!(
                error(&json!({name: "1"})),
                format!("unknown field `{name}`; expected phone_number, ip or code")
            );
        }
        for name in
            ["", "+14155550123", "14155550123", "203.0.113.7", "2001:db8::7", "naïve", "a b", "a\n", &"x".repeat(41)]
        {
            assert_eq!(error(&json!({name: "1"})), "unknown field; expected phone_number, ip or code", "{name:?}");
        }
    }

    #[test]
    fn a_field_is_text_or_absent() {
        assert_eq!(
            error(&json!(["+14155550123"])),
            "the request must be a JSON object with fields such as `phone_number`"
        );
        let event = json!({"phone_number": "", "ip": null, "code": 493_027});
        let fields = RequestFields::of(&event, EXPECTED).unwrap();
        assert_eq!((fields.required("phone_number"), fields.optional("phone_number")), (Ok(""), Ok(Some(""))));
        assert_eq!((fields.required("ip"), fields.optional("ip")), (Err(InvalidFields::Missing("ip")), Ok(None)));
        for code in [fields.required("code").map(Some), fields.optional("code")] {
            assert_eq!(code.unwrap_err().to_string(), "`code` must be a string");
        }
    }
}
