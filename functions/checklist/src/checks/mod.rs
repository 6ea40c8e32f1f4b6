//! The checks. They only read: each one turns facts into findings, so every verdict can be tested as a table of cases.

pub mod account;
pub mod api_key_restricted;
pub mod clock;
pub mod concurrency;
pub mod credentials;
pub mod geo_permissions;
pub mod limits;
pub mod public_url;
pub mod sender;
pub mod sender_registration;
pub mod table;
pub mod voice_permissions;
pub mod webhooks;

/// How many names of a long list are shown.
const MAX_LISTED: usize = 20;

/// The length of a list and its first names, for example `3 (FR, IT, RU)`.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let first: Vec<_> = names.take(MAX_LISTED).collect();
    let more = if count > MAX_LISTED { ", …" } else { "" };
    format!("{count} ({}{more})", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_counted_and_its_first_twenty_names_are_shown() {
        assert_eq!(listed(["FR", "IT"].into_iter()), "2 (FR, IT)");
        let many = vec!["X"; 21];
        assert_eq!(listed(many.into_iter()), format!("21 ({}, …)", vec!["X"; 20].join(", ")));
    }
}
