//! The numbers of the account: <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>

use crate::errors::{self, TwilioRefusal, ensure};
use crate::number::{IncomingNumber, SETTINGS, Takes};
use crate::parameters::Parameters;
use crate::rest::auth::{Authenticated, segment};
use crate::rest::paging::Paging;
use crate::store::ledger::Entry;
use crate::twilio::FakeTwilio;
use crate::validation::is_url;
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::http::Uri;
use serde_json::Value;
use std::collections::BTreeMap;

/// The settings in a request, by the names of their fields in the resource.
fn read(parameters: &Parameters) -> Result<BTreeMap<String, String>, TwilioRefusal> {
    let mut settings = BTreeMap::new();
    for (parameter, field, takes) in SETTINGS {
        // An empty value removes the setting.
        let Some(value) = parameters.given(parameter) else { continue };
        let value = match takes {
            Takes::Text => value.to_owned(),
            // URLs of other machines are accepted, since deployment tools set them. They are never called.
            Takes::Url => {
                ensure(value.is_empty() || is_url(value), errors::URL_INVALID.about(&[value]))?;
                value.to_owned()
            }
            Takes::Method => {
                let method = value.to_ascii_uppercase();
                ensure(["GET", "POST"].contains(&&*method), errors::METHOD_INVALID.about(&[value]))?;
                method
            }
        };
        settings.insert(field.to_owned(), value);
    }
    Ok(settings)
}

/// `GET …/IncomingPhoneNumbers.json`
pub(crate) async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, TwilioRefusal> {
    let query = Parameters(query);
    let paging = Paging::read(&query)?;
    // Part of a number matches too; `*` matches anything.
    let part = query.get("PhoneNumber").map(|pattern| pattern.replace('*', ""));
    let numbers = twilio.numbers();
    let found: Vec<&IncomingNumber> =
        numbers.iter().filter(|number| part.as_ref().is_none_or(|part| number.phone_number.contains(part))).collect();
    let after = match paging.after() {
        Some(token) => 1 + found.iter().position(|number| number.sid == token).ok_or(errors::PAGE_TOKEN)?,
        None => 0,
    };
    let rest = found.into_iter().skip(after);
    let page = paging.fill(&uri, "incoming_phone_numbers", rest, |number| &number.sid, IncomingNumber::resource);
    page.map(Json)
}

/// `GET …/IncomingPhoneNumbers/{number}.json`
pub(crate) async fn fetch(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
) -> Result<Json<Value>, TwilioRefusal> {
    find(&twilio, &uri).map(|number| Json(number.resource()))
}

/// `POST …/IncomingPhoneNumbers/{number}.json`
pub(crate) async fn update(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Value>, TwilioRefusal> {
    let number = find(&twilio, &uri)?.phone_number;
    let settings = read(&Parameters(form.unwrap_or_default().0))?;
    twilio.change(Entry::Number { number, settings, at: twilio.now() });
    find(&twilio, &uri).map(|number| Json(number.resource()))
}

fn find(twilio: &FakeTwilio, uri: &Uri) -> Result<IncomingNumber, TwilioRefusal> {
    let sid = segment(uri, 5).strip_suffix(".json");
    let found = twilio.numbers().into_iter().find(|number| Some(&*number.sid) == sid);
    found.ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))
}
