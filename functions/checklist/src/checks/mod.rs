//! The checks: each a pure function from what was read to rows, so that every judgement can be tested as a table.

pub mod clock;
pub mod credentials;
pub mod geo_permissions;
pub mod limits;
pub mod sender_registration;
pub mod table;
pub mod voice_permissions;
pub mod webhooks;

/// How many of a long list are named.
const MOST_NAMED: usize = 20;

/// `3 (FR, IT, RU)`: how many, and the first of them.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let first: Vec<_> = names.take(MOST_NAMED).collect();
    let more = if count > MOST_NAMED { ", …" } else { "" };
    format!("{count} ({}{more})", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_counted_and_its_first_twenty_are_named() {
        assert_eq!(named(["FR", "IT"].into_iter()), "2 (FR, IT)");
        let many = vec!["X"; 21];
        assert_eq!(named(many.into_iter()), format!("21 ({}, …)", vec!["X"; 20].join(", ")));
    }
}
