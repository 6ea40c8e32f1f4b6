//! Paging of lists. A token names the resource next to the page, so that new resources don't shift it.

use crate::errors::{self, TwilioRefusal, ensure};
use crate::parameters::Parameters;
use axum::http::Uri;
use serde_json::{Value, json};

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1000;

/// The requested page.
pub(crate) struct Paging {
    page: usize,
    size: usize,
    start: Start,
}

/// Where the page is.
enum Start {
    First,
    /// After this resource: `PA…`.
    After(String),
    /// Before this resource: `PB…`.
    Before(String),
}

impl Start {
    fn of(token: &str) -> Option<Self> {
        let after = token.strip_prefix("PA").map(|sid| Self::After(sid.to_owned()));
        after.or_else(|| token.strip_prefix("PB").map(|sid| Self::Before(sid.to_owned())))
    }
}

impl Paging {
    /// The number of a page only tells the client where it is. All but the first page need a token.
    pub(crate) fn read(query: &Parameters) -> Result<Self, TwilioRefusal> {
        let page = query.number("Page", 0)?;
        let size = query.number("PageSize", DEFAULT_SIZE)?;
        ensure(size > 0, errors::INVALID_QUERY.about(&["PageSize"]))?;
        ensure(size <= MAX_SIZE, errors::PAGE_TOO_LARGE)?;
        let start = match query.get("PageToken") {
            Some(token) => Start::of(token).ok_or(errors::PAGE_TOKEN)?,
            None => Start::First,
        };
        ensure(page == 0 || !matches!(start, Start::First), errors::PAGE_TOKEN_MISSING)?;
        Ok(Self { page, size, start })
    }

    /// The resource that the page comes after.
    pub(crate) fn after(&self) -> Option<&str> {
        match &self.start {
            Start::After(sid) => Some(sid),
            Start::First | Start::Before(_) => None,
        }
    }

    /// The page of `items`, which begin after [`Self::after`].
    pub(crate) fn fill<'a, T: ?Sized + 'a>(
        &self,
        uri: &Uri,
        key: &str,
        items: impl Iterator<Item = &'a T>,
        sid: impl Fn(&T) -> &str,
        resource: impl Fn(&T) -> Value,
    ) -> Result<Value, TwilioRefusal> {
        let Self { page, size, .. } = self;
        let (shown, has_next) = self.shown(items, &sid)?;
        let next = shown.last().filter(|_| has_next).map(|last| self.link(uri, page + 1, Some(("PA", sid(last)))));
        let previous = page.checked_sub(1).zip(shown.first());
        let previous = previous.map(|(page, first)| self.link(uri, page, Some(("PB", sid(first)))));
        let token = match &self.start {
            Start::First => None,
            Start::After(sid) => Some(("PA", sid.as_str())),
            Start::Before(sid) => Some(("PB", sid.as_str())),
        };
        let start = page * size;
        Ok(json!({
            "end": (start + shown.len()).saturating_sub(1),
            "first_page_uri": self.link(uri, 0, None),
            key: shown.iter().map(|item| resource(item)).collect::<Vec<_>>(),
            "next_page_uri": next,
            "page": page,
            "page_size": size,
            "previous_page_uri": previous,
            "start": start,
            "uri": self.link(uri, *page, token),
        }))
    }

    /// The items of the page, and whether others follow.
    fn shown<'a, T: ?Sized>(
        &self,
        mut items: impl Iterator<Item = &'a T>,
        sid: impl Fn(&T) -> &str,
    ) -> Result<(Vec<&'a T>, bool), TwilioRefusal> {
        let Start::Before(next) = &self.start else {
            let shown: Vec<&T> = items.by_ref().take(self.size).collect();
            return Ok((shown, items.next().is_some()));
        };
        let mut before = Vec::new();
        for item in items {
            if sid(item) == next {
                let page = before.split_off(before.len().saturating_sub(self.size));
                return Ok((page, true));
            }
            before.push(item);
        }
        Err(errors::PAGE_TOKEN.into())
    }

    fn link(&self, uri: &Uri, page: usize, token: Option<(&str, &str)>) -> String {
        let filters = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("Page"));
        let paging = [format!("PageSize={}", self.size), format!("Page={page}")];
        let token = token.map(|(kind, sid)| format!("PageToken={kind}{sid}"));
        let pairs: Vec<&str> = filters.chain(paging.iter().chain(&token).map(String::as_str)).collect();
        format!("{}?{}", uri.path(), pairs.join("&").trim_start_matches('&'))
    }
}
