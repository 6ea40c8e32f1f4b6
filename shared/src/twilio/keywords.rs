//! STOP, START and HELP: the messages that Twilio answers itself, and what else people write when they want no more messages.
//!
//! Twilio acts only on a message that is nothing but a keyword. The law asks for more: in the US any reasonable way of saying it
//! counts, and "stop", "quit", "end", "revoke", "opt out", "cancel" and "unsubscribe" are named (47 CFR 64.1200(a)(10)). So a STOP
//! is read generously. A START is not: it undoes a STOP.
//!
//! Source: Twilio's help page "Twilio support for opt-out keywords (SMS STOP filtering)",
//! <https://help.twilio.com/articles/223134027>.

use crate::phone::typed::is_invisible;

/// What a keyword asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Keyword {
    /// To receive no more messages.
    Stop,
    /// To receive messages again.
    Start,
    /// To learn what this number is for.
    Help,
}

impl Keyword {
    /// What an inbound message asks for. A Messaging Service with Advanced Opt-Out names it in `OptOutType`, in whatever language
    /// it was texted; otherwise the text decides.
    ///
    /// ```
    /// use shared::twilio::keywords::Keyword;
    ///
    /// assert_eq!(Keyword::of_message(None, "Please stop texting me!"), Some(Keyword::Stop));
    /// assert_eq!(Keyword::of_message(None, "The bus doesn't stop here."), None);
    /// ```
    #[must_use]
    pub fn of_message(opt_out_type: Option<&str>, body: &str) -> Option<Self> {
        match opt_out_type.map(str::to_ascii_uppercase).as_deref() {
            Some("STOP") => Some(Self::Stop),
            Some("START") => Some(Self::Start),
            Some("HELP") => Some(Self::Help),
            _ => Self::of_text(body).or_else(|| asks_to_stop(body).then_some(Self::Stop)),
        }
    }

    /// The keyword that Twilio takes a text for: in any case and with white space around it. A keyword within a longer text is none.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        match text.trim().to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => Some(Self::Stop),
            "START" | "YES" | "UNSTOP" => Some(Self::Start),
            "HELP" | "INFO" => Some(Self::Help),
            _ => None,
        }
    }

    /// The keyword's name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The longest text that can be nothing but a request to stop.
const MAX_REQUEST: usize = 160;

/// Words that make up a request to stop: Twilio's and the FCC's, those that AWS requires, and the usual ones of other languages. Without
/// accents, and without the spaces within them.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "remove", "td",
    // French, Spanish, Portuguese, Italian
    "arret", "arrett", "arrete", "arreter", "arretez", "desabonner", "desinscrire", "alto", "baja", "parar", "pare", "detener", "cancelar",
    "nomas", "sair", "remover", "ferma", "annulla",
    // German, Dutch, Swedish, Norwegian, Danish
    "stopp", "abmelden", "abbestellen", "stoppen", "afmelden", "avsluta", "avslutt", "afmeld",
    // Polish, Turkish, Indonesian, Vietnamese
    "anuluj", "ret", "iptal", "berhenti", "hủy", "huỷ",
    // Russian, Greek, Hebrew, Arabic, Hindi, Thai
    "стоп", "отписаться", "στοπ", "הסר", "הסרה", "توقف", "ايقاف", "الغاء", "रोकें", "बंद", "หยุด",
    // Chinese, Japanese, Korean
    "停止", "退订", "退訂", "取消", "配信停止", "수신거부", "중지",
];

/// Words that change nothing about it.
#[rustfmt::skip]
const FILLERS: &[&str] = &[
    "please", "pls", "plz", "thanks", "thank", "you", "now", "me", "all", "it", "this", "these", "the", "from", "to", "sending", "send",
    "text", "texts", "texting", "message", "messages", "messaging", "sms", "por", "favor", "svp", "merci", "bitte", "danke",
];

/// Whether a text is a request to receive no more messages, and nothing else.
fn asks_to_stop(text: &str) -> bool {
    if text.chars().nth(MAX_REQUEST).is_some() {
        return false;
    }
    let text: String = text.to_lowercase().chars().filter(|&c| !is_invisible(c)).filter_map(plain).collect();
    let mut words: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.retain(|word| !FILLERS.contains(word));
    words.dedup();
    STOP_WORDS.contains(&words.concat().as_str())
}

/// A letter without its accent, which people leave out, and without its width; `None` for an accent that is a character of its own.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'ａ'..='ｚ' => return char::from_u32(u32::from(letter) - u32::from('ａ') + u32::from('a')),
        '\u{300}'..='\u{36f}' => return None,
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'إ' | 'أ' => 'ا',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_text_is_a_keyword() {
        for (body, expected) in [
            ("STOP", Some(Keyword::Stop)),
            (" Stop\n", Some(Keyword::Stop)),
            ("stopall", Some(Keyword::Stop)),
            ("Unsubscribe", Some(Keyword::Stop)),
            ("cancel", Some(Keyword::Stop)),
            ("END", Some(Keyword::Stop)),
            ("quit", Some(Keyword::Stop)),
            ("revoke", Some(Keyword::Stop)),
            ("OptOut", Some(Keyword::Stop)),
            ("start", Some(Keyword::Start)),
            ("Yes", Some(Keyword::Start)),
            ("UNSTOP", Some(Keyword::Start)),
            ("help", Some(Keyword::Help)),
            ("info", Some(Keyword::Help)),
            ("STOP please", None),
            ("STOP.", None),
            ("", None),
        ] {
            assert_eq!(Keyword::of_text(body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_request_to_stop_is_understood_as_people_write_it() {
        for body in [
            "STOP",
            "Stop!",
            "stop.",
            "“Stop”",
            "STOP STOP STOP",
            "stop all",
            "Stop-All",
            "opt out",
            "OPT-OUT",
            "Opt me out please",
            "stop please",
            "PLEASE STOP",
            "Please stop texting me!!!",
            "stop sending me these messages",
            "unsubscribe me, thank you",
            "Remove me",
            "cancel",
            "Quit!",
            "end",
            "revoke",
            "\u{200b}ST\u{2060}OP\u{202c}\n",
            "S\u{ad}TOP\u{fe0f} 🛑",
            "ＳＴＯＰ",
            "Arrêt",
            "ARRE\u{302}T",
            "arret svp",
            "Alto",
            "no más",
            "¡Parar!",
            "Stopp bitte",
            "Стоп",
            "הסר",
            "إيقاف",
            "रोकें",
            "หยุด",
            "停止",
            "수신거부",
            "HỦY",
        ] {
            assert_eq!(Keyword::of_message(None, body), Some(Keyword::Stop), "{body:?}");
        }
    }

    #[test]
    fn a_text_about_something_else_is_no_request_to_stop() {
        for body in [
            "",
            "please",
            "!!!",
            "Where is the bus stop?",
            "the bus doesn't stop here",
            "don't stop",
            "stop at 7?",
            "cancel my order",
            "nonstop",
            "The weekend",
            "hello",
            "Huy", // a name
            &"stop ".repeat(33),
        ] {
            assert_eq!(Keyword::of_message(None, body), None, "{body:?}");
        }
        // Only what Twilio takes for a START is one, since only then does Twilio send again.
        for body in ["Start!", "yes!", "YES PLEASE", "un stop", "help!"] {
            assert_eq!(Keyword::of_message(None, body), None, "{body:?}");
        }
    }

    #[test]
    fn an_opt_out_type_goes_before_the_text() {
        assert_eq!(Keyword::of_message(Some("STOP"), "ARRET"), Some(Keyword::Stop));
        assert_eq!(Keyword::of_message(Some("start"), "STOP"), Some(Keyword::Start));
        assert_eq!(Keyword::of_message(Some("other"), "STOP"), Some(Keyword::Stop));
    }
}
