//! STOP, START and HELP: the messages that Twilio answers itself.
//!
//! Source: Twilio's help page "Twilio support for opt-out keywords (SMS STOP filtering)",
//! <https://help.twilio.com/articles/223134027>.

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
    /// The keyword of an inbound message. A Messaging Service with Advanced Opt-Out names it in `OptOutType`, in whatever language
    /// it was texted; otherwise the text decides.
    #[must_use]
    pub fn of_message(opt_out_type: Option<&str>, body: &str) -> Option<Self> {
        match opt_out_type.map(str::to_ascii_uppercase).as_deref() {
            Some("STOP") => Some(Self::Stop),
            Some("START") => Some(Self::Start),
            Some("HELP") => Some(Self::Help),
            _ => Self::of_text(body),
        }
    }

    /// The keyword that a text is, in any case and with white space around it. A keyword within a longer text is none.
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
            assert_eq!(Keyword::of_message(None, body), expected, "{body:?}");
        }
    }

    #[test]
    fn an_opt_out_type_goes_before_the_text() {
        assert_eq!(Keyword::of_message(Some("STOP"), "ARRET"), Some(Keyword::Stop));
        assert_eq!(Keyword::of_message(Some("start"), "STOP"), Some(Keyword::Start));
        assert_eq!(Keyword::of_message(Some("other"), "STOP"), Some(Keyword::Stop));
    }
}
