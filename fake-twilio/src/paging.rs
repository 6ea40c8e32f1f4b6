//! The parameters of a request, and lists that are answered page by page.

use super::errors::{self, Refusal, ensure};
use axum::http::Uri;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1000;

/// The parameters of a request, in its order. An empty one is as good as none.
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl Parameters {
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of one that may be empty on purpose.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let invalid = |_| errors::INVALID_QUERY.about(&[name]);
        self.get(name).map_or(Ok(default), |text| text.parse::<u16>().map(usize::from).map_err(invalid))
    }

    /// The day of `2026-01-31`, or of a time on it.
    pub(super) fn date(&self, name: &str) -> Result<Option<Date>, Refusal> {
        let day = |text: &str| text.get(..10)?.parse().ok();
        self.get(name).map(|text| day(text).ok_or_else(|| errors::INVALID_QUERY.about(&["DateSent"]))).transpose()
    }
}

/// Parameters as a JSON object: one that is given several times is an array.
pub(super) fn as_object<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
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

/// Which page of a list is asked for.
pub(super) struct Paging {
    page: usize,
    size: usize,
    /// The last resource of the page before, so that a new one doesn't shift the page.
    pub(super) token: Option<String>,
}

impl Paging {
    pub(super) fn read(query: &Parameters) -> Result<Self, Refusal> {
        let page = query.number("Page", 0)?;
        let size = query.number("PageSize", DEFAULT_SIZE)?;
        ensure(size > 0, errors::INVALID_QUERY.about(&["PageSize"]))?;
        ensure(size <= MAX_SIZE, errors::PAGE_TOO_LARGE)?;
        let token =
            query.get("PageToken").map(|token| token.strip_prefix("PA").ok_or(errors::PAGE_TOKEN)).transpose()?;
        Ok(Self { page, size, token: token.map(str::to_owned) })
    }

    /// The page. `items` begin after the token, if there is one.
    pub(super) fn fill<'a, T: ?Sized + 'a>(
        &self,
        uri: &Uri,
        key: &str,
        mut items: impl Iterator<Item = &'a T>,
        sid: impl Fn(&T) -> &str,
        resource: impl Fn(&T) -> Value,
    ) -> Value {
        let Self { page, size, token } = self;
        let start = page * size;
        if token.is_none()
            && let Some(last) = start.checked_sub(1)
        {
            items.nth(last);
        }
        let shown: Vec<&T> = items.by_ref().take(*size).collect();
        let next = shown.last().filter(|_| items.next().is_some()).map(|last| sid(last));

        let link = |page: usize, token: Option<&str>| {
            let filters = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("Page"));
            let paging = [format!("PageSize={size}"), format!("Page={page}")];
            let token = token.map(|token| format!("PageToken=PA{token}"));
            let pairs: Vec<&str> = filters.chain(paging.iter().chain(&token).map(String::as_str)).collect();
            format!("{}?{}", uri.path(), pairs.join("&").trim_start_matches('&'))
        };
        json!({
            "end": (start + shown.len()).saturating_sub(1),
            "first_page_uri": link(0, None),
            key: shown.iter().map(|item| resource(item)).collect::<Vec<_>>(),
            "next_page_uri": next.map(|token| link(page + 1, Some(token))),
            "page": page,
            "page_size": size,
            "previous_page_uri": page.checked_sub(1).map(|page| link(page, None)),
            "start": start,
            "uri": link(*page, token.as_deref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_given_several_times_is_an_array() {
        let parameters = [("To", "+1"), ("MediaUrl", "a"), ("MediaUrl", "b"), ("MediaUrl", "c")];
        assert_eq!(as_object(parameters), json!({"To": "+1", "MediaUrl": ["a", "b", "c"]}));
    }
}
