//! The parameters of a request.

use crate::errors::{self, TwilioRefusal};
use jiff::civil::Date;
use serde_json::{Map, Value};

/// The parameters of a request, in order. Empty ones count as absent.
pub(crate) struct Parameters(pub(crate) Vec<(String, String)>);

impl Parameters {
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter that may be deliberately empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, TwilioRefusal> {
        let invalid = |_| errors::INVALID_QUERY.about(&[name]);
        self.get(name).map_or(Ok(default), |text| text.parse::<u16>().map(usize::from).map_err(invalid))
    }

    /// The day of `2026-01-31`, or of a time on that day.
    pub(crate) fn date(&self, name: &str) -> Result<Option<Date>, TwilioRefusal> {
        let day = |text: &str| text.get(..10)?.parse().ok();
        self.get(name).map(|text| day(text).ok_or_else(|| errors::INVALID_QUERY.about(&["DateSent"]))).transpose()
    }
}

/// Parameters as a JSON object. A repeated one becomes an array.
pub(crate) fn as_object<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let mut object = Map::new();
    for (name, value) in parameters {
        match object.get_mut(name) {
            None => drop(object.insert(name.to_owned(), value.into())),
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_parameter_that_is_given_several_times_is_an_array() {
        let parameters = [("To", "+1"), ("MediaUrl", "a"), ("MediaUrl", "b"), ("MediaUrl", "c")];
        assert_eq!(as_object(parameters), json!({"To": "+1", "MediaUrl": ["a", "b", "c"]}));
    }
}
