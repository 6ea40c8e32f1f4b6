//! Paging of lists.

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
    /// The last resource of the previous page, so that new resources don't shift the page.
    pub(crate) token: Option<String>,
}

impl Paging {
    pub(crate) fn read(query: &Parameters) -> Result<Self, TwilioRefusal> {
        let page = query.number("Page", 0)?;
        let size = query.number("PageSize", DEFAULT_SIZE)?;
        ensure(size > 0, errors::INVALID_QUERY.about(&["PageSize"]))?;
        ensure(size <= MAX_SIZE, errors::PAGE_TOO_LARGE)?;
        let token =
            query.get("PageToken").map(|token| token.strip_prefix("PA").ok_or(errors::PAGE_TOKEN)).transpose()?;
        Ok(Self { page, size, token: token.map(str::to_owned) })
    }

    /// The page. `items` start after the token, if there is one.
    pub(crate) fn fill<'a, T: ?Sized + 'a>(
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
