//! Twilio's Smart Encoding: characters outside GSM-7 are replaced by similar ones, so that a text takes fewer segments. Others stay.
//!
//! The characters are those of <https://www.twilio.com/docs/messaging/services/smart-encoding-char-list>.

use std::borrow::Cow;

/// Replacements, each with the characters that it stands for.
const REPLACEMENTS: &[(&str, &str)] = &[
    ("\"", "«»“”ʺˮ‟❝❞〝〞＂„"),
    ("'", "‘’ʻˈʼʽʹ‛＇´ˊ`ˋ❛❜\u{313}\u{314}︐︑‗"),
    ("/", "÷⧸\u{337}\u{338}⁄∕／"),
    ("1/4", "¼"),
    ("1/2", "½"),
    ("3/4", "¾"),
    ("\\", "⧹⧵\u{20e5}﹨＼"),
    ("_", "\u{332}＿"),
    ("|", "\u{20d2}\u{20d3}∣｜⎸⎹⏐⎜⎟"),
    ("-", "⎼⎽―﹣－‐⁃—–•"),
    ("@", "﹫＠"),
    ("$", "﹩＄"),
    ("!", "ǃ︕﹗！"),
    ("!!", "‼"),
    ("#", "﹟＃"),
    ("%", "﹪％"),
    ("&", "﹠＆"),
    (",", "‚\u{326}﹐﹑，､、"),
    ("(", "❨❪﹙（⟮⦅"),
    (")", "❩❫﹚）⟯⦆"),
    ("*", "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆﹡＊"),
    ("+", "˖﹢＋"),
    (".", "。﹒．｡"),
    ("...", "…"),
    (":", "ː˸⦂꞉︓："),
    (";", "⁏︔﹔；"),
    ("<", "﹤＜›"),
    ("=", "\u{347}꞊﹦＝"),
    (">", "﹥＞‹"),
    ("?", "︖﹖？"),
    ("^", "ˆ\u{302}＾\u{1dcd}"),
    ("{", "❴﹛｛"),
    ("}", "❵﹜｝"),
    ("[", "［"),
    ("]", "］"),
    ("~", "˜˷\u{303}\u{330}\u{334}∼～"),
    ("0", "０"),
    ("1", "１"),
    ("2", "２"),
    ("3", "３"),
    ("4", "４"),
    ("5", "５"),
    ("6", "６"),
    ("7", "７"),
    ("8", "８"),
    ("9", "９"),
    ("A", "Ａᴀ"),
    ("B", "Ｂʙ"),
    ("C", "Ｃᴄ"),
    ("D", "Ｄᴅ"),
    ("E", "Ｅᴇ"),
    ("F", "Ｆꜰ"),
    ("G", "Ｇɢ"),
    ("H", "Ｈʜ"),
    ("I", "Ｉɪ"),
    ("J", "Ｊᴊ"),
    ("K", "Ｋᴋ"),
    ("L", "Ｌʟ"),
    ("M", "Ｍᴍ"),
    ("N", "Ｎɴ"),
    ("O", "Ｏᴏ"),
    ("P", "Ｐᴘ"),
    ("Q", "Ｑ"),
    ("R", "Ｒʀ"),
    ("S", "Ｓꜱ"),
    ("T", "Ｔᴛ"),
    ("U", "Ｕᴜ"),
    ("V", "Ｖᴠ"),
    ("W", "Ｗᴡ"),
    ("X", "Ｘ"),
    ("Y", "Ｙʏ"),
    ("Z", "Ｚᴢ"),
    (
        " ",
        "\u{a0}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{202f}\u{205f}\u{3000}\u{2028}\u{2029}\u{8d}\u{9f}\u{80}\u{90}\u{9b}",
    ),
    ("       ", "\u{9}"),
    ("", "\u{10}\u{0}\u{3}\u{4}\u{17}\u{19}\u{11}\u{12}\u{13}\u{14}\u{2060}\u{200b}\u{feff}"),
];

/// The text as the phone gets it.
pub(crate) fn replaced(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| replacement(character).is_none()) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    for character in text.chars() {
        match replacement(character) {
            Some(replacement) => replaced.push_str(replacement),
            None => replaced.push(character),
        }
    }
    Cow::Owned(replaced)
}

fn replacement(character: char) -> Option<&'static str> {
    REPLACEMENTS.iter().find(|(_, characters)| characters.contains(character)).map(|(replacement, _)| *replacement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::twilio::segments::first_outside_gsm7;

    #[test]
    fn characters_become_similar_ones_of_gsm7_and_all_others_stay() {
        for (text, expected) in [
            ("Your code is 493027", "Your code is 493027"),
            ("“Don’t share it” – ever…", "\"Don't share it\" - ever..."),
            ("«Code»\u{a0}４９３０２７", "\"Code\" 493027"),
            ("½ of `x`\u{200b}", "1/2 of 'x'"),
            ("Größe €5, ça va: ê 👋 認証", "Größe €5, ça va: ê 👋 認証"),
            ("", ""),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    #[test]
    fn every_replacement_is_in_gsm7_and_no_character_has_two() {
        let mut seen = std::collections::BTreeSet::new();
        for (replacement, characters) in REPLACEMENTS {
            assert_eq!(first_outside_gsm7(replacement), None);
            for character in characters.chars() {
                assert!(first_outside_gsm7(&character.to_string()).is_some(), "{character:?} needs no replacement");
                assert!(seen.insert(character), "{character:?}");
            }
        }
        assert!(seen.len() > 250, "{}", seen.len());
    }
}
