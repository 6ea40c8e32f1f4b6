//! Finds the verification code in a text message, for tests and for the page.

/// The length of a code.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=10;

/// The verification code in a text message, if it seems to have one. The code of an origin-bound line (`@example.com #493027`,
/// <https://wicg.github.io/sms-one-time-codes/>) comes first, then the first separate group of 4 to 10 digits.
///
/// ```
/// assert_eq!(local::api::otp::find("Your verification code is: 493027").as_deref(), Some("493027"));
/// assert_eq!(local::api::otp::find("G-493 027 is your code, 2 attempts left").as_deref(), Some("493027"));
/// assert_eq!(local::api::otp::find("Call +1 415 555 0123 or come at 10:30"), None);
/// ```
#[must_use]
pub fn find(text: &str) -> Option<String> {
    origin_bound(text).or_else(|| separate(text))
}

fn origin_bound(text: &str) -> Option<String> {
    let line = text.lines().next_back()?.trim();
    let (origin, code) = line.strip_prefix('@')?.split_once(" #")?;
    let code = code.split(' ').next()?;
    (!origin.is_empty() && !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| code.to_owned())
}

/// Digits in one group, or in groups with one space or dash in between, as people write them. Digits after a `+` are a phone
/// number; digits next to a letter, a dot or a colon are a name, an amount or a time.
fn separate(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let before = rest[..start].chars().next_back();
        let group = &rest[start..];
        let end = end_of_group(group);
        let after = group[end..].chars().next();
        let then = group[end..].chars().nth(1);
        let code: String = group[..end].chars().filter(char::is_ascii_digit).collect();
        let number = matches!(before, Some('+' | '(' | '.' | ',' | ':' | '/' | '$' | '€' | '£' | '#'));
        let word = before.is_some_and(is_latin_like) || after.is_some_and(is_latin_like);
        // A full stop ends a sentence unless a digit follows.
        let amount =
            matches!(after, Some('.' | ',' | ':' | '/' | '%')) && then.is_some_and(|next| next.is_ascii_digit());
        if !number && !word && !amount && DIGITS.contains(&code.len()) {
            return Some(code);
        }
        rest = &group[end..];
    }
    None
}

/// Scripts that put spaces between words have upper and lower case. Chinese puts the code right after the last character.
fn is_latin_like(character: char) -> bool {
    character.is_ascii_digit() || character.is_lowercase() || character.is_uppercase()
}

fn end_of_group(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while digit(end) || matches!(bytes.get(end), Some(b' ' | b'-')) && digit(end + 1) {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_where_apps_put_it() {
        for (text, code) in [
            ("Your verification code is: 493027", Some("493027")),
            ("493027 is your code.", Some("493027")),
            ("Ihr Code lautet 0042. Nie weitergeben!", Some("0042")),
            ("Code: 493-027", Some("493027")),
            ("[#] Use 1234567890", Some("1234567890")),
            ("Your code is 1111\n\n@example.com #493027", Some("493027")),
            ("Your code\n@example.com #4K7Q %embedded.example", Some("4K7Q")),
            ("您的验证码是493027，请勿泄露", Some("493027")),
            ("您的验证码是 493027。", Some("493027")),
            ("Valid for 10 minutes: 4930", Some("4930")),
            ("Order A4930 costs $4930, 4930.50 or 10:30", None),
            ("Call +14155550123", None),
            ("12345678901 is too long", None),
            ("123", None),
            ("", None),
            ("Thanks for your message!", None),
        ] {
            assert_eq!(find(text).as_deref(), code, "{text}");
        }
    }
}
