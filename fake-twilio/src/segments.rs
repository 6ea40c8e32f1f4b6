//! What Twilio bills a text as: a second opinion on [`shared::twilio::segments`], by which send-code decides. It is written
//! independently, so that a mistake in the one shows against the other.

/// How many SMS a text takes: septets while the GSM 03.38 alphabet has every character, else UTF-16. No character is
/// torn in two, so a part may end early.
pub(super) fn segments(text: &str) -> usize {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    let (widths, single, part) = match septets {
        Some(widths) => (widths, 160, 153),
        None => (text.chars().map(char::len_utf16).collect(), 70, 67),
    };
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let fill = |(parts, used), width| if used + width > part { (parts + 1, width) } else { (parts, used + width) };
    widths.into_iter().fold((1, 0), fill).0
}

/// How many septets a character takes in the GSM 03.38 alphabet, if it is there.
fn septets(character: char) -> Option<usize> {
    match character {
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        ' '..='_' | 'a'..='z' | '\n' | '\r' => Some(1),
        _ if "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà".contains(character) => {
            Some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_as_they_are_billed() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // The 77th euro sign would be torn in two.
            ("€".repeat(153), 3),
            ("é".repeat(160), 1),
            ("`".repeat(70), 1),
            ("`".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
            assert_eq!(shared::twilio::segments::Segments::of(&text).count, expected, "{text}");
        }
    }
}
