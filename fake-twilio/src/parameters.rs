//! The parameters of a request.

use crate::errors::{self, TwilioRefusal};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

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

    /// The seconds of the epoch that a date or a time stands for, in GMT: all of `2026-01-31`, or one.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<RangeInclusive<i64>>, TwilioRefusal> {
        let shown = name.trim_end_matches(['<', '>']);
        self.get(name).map(|text| seconds(text).ok_or_else(|| errors::INVALID_QUERY.about(&[shown]))).transpose()
    }
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

fn seconds(text: &str) -> Option<RangeInclusive<i64>> {
    let gmt = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    if text.len() == "2026-01-31".len() {
        return Some(day(gmt(text.parse::<Date>().ok()?.to_datetime(Time::midnight()))?.as_second()));
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| gmt(text.parse().ok()?))?.as_second();
    Some(time..=time)
}

/// The seconds of the day that contains this one.
fn day(second: i64) -> RangeInclusive<i64> {
    let midnight = second - second.rem_euclid(SECONDS_PER_DAY);
    midnight..=midnight + SECONDS_PER_DAY - 1
}

/// The whole day, if the seconds are its midnight: Twilio's libraries write a date as a time, `2026-01-31T00:00:00Z`.
pub(crate) fn day_of_midnight(seconds: RangeInclusive<i64>) -> RangeInclusive<i64> {
    let day = day(*seconds.start());
    if day.start() == seconds.start() { day } else { seconds }
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
    fn a_date_is_all_its_seconds_and_a_time_is_one() {
        let day = 1_772_323_200..=1_772_409_599;
        let noon = 1_772_366_400..=1_772_366_400;
        for (text, expected) in [
            ("2026-03-01", Some(day.clone())),
            ("2026-03-01T12:00:00Z", Some(noon.clone())),
            ("2026-03-01T12:00:00", Some(noon.clone())),
            ("2026-03-01 12:00:00", Some(noon.clone())),
            ("2026-03-01T12:00:00.999Z", Some(noon.clone())),
            ("2026-03-01T13:00:00+01:00", Some(noon)),
            ("2026-02-30", None),
            ("2026-03-01T25:00:00Z", None),
            ("2026-03-01Z", None),
            ("éééééé", None),
            ("yesterday", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert_eq!(day_of_midnight(1_772_323_200..=1_772_323_200), day);
        assert_eq!(day_of_midnight(1_772_323_201..=1_772_323_201), 1_772_323_201..=1_772_323_201);
    }

    #[test]
    fn a_parameter_that_is_given_several_times_is_an_array() {
        let parameters = [("To", "+1"), ("MediaUrl", "a"), ("MediaUrl", "b"), ("MediaUrl", "c")];
        assert_eq!(as_object(parameters), json!({"To": "+1", "MediaUrl": ["a", "b", "c"]}));
    }
}
