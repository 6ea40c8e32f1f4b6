//! Codes of Twilio's error dictionary: <https://www.twilio.com/docs/api/errors>

use std::fmt;

/// A code from Twilio's error dictionary; `0` if Twilio gave none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwilioErrorCode(pub u32);

impl TwilioErrorCode {
    /// Whether the recipient has opted out with STOP.
    #[must_use]
    pub const fn is_opt_out(self) -> bool {
        self.0 == 21610
    }

    /// Whether there is no such number.
    #[must_use]
    pub const fn is_no_such_number(self) -> bool {
        self.0 == 21211
    }

    /// Twilio's meaning, for the codes that Tollgate meets.
    const fn explanation(self) -> &'static str {
        match self.0 {
            0 => "without a code",
            20003 => "wrong credentials, or a suspended account",
            20005 | 20403 => "the account is not active",
            20008 => "these are test credentials",
            20404 => "the account does not exist; check accountSid in the secret",
            21211 => "not a valid number",
            21212 => "TWILIO_FROM is not a valid number",
            21265 | 21612 | 21614 | 21635 => "the number can't receive SMS from this sender",
            21266 => "the recipient is the sender",
            21268 => "a premium-rate number",
            21408 => "the messaging geo permissions don't allow its country",
            21606 | 21659..=21661 => "TWILIO_FROM is not a number of this account, or can't send SMS",
            21608 => "a trial account sends only to verified numbers",
            21609 => "Twilio can't call the status callback; check PublicUrl",
            21610 => "the recipient has opted out with STOP",
            21611 => "the queue of TWILIO_FROM is full",
            21617 => "the message is longer than 1600 characters",
            21701..=21705 => "the Messaging Service does not exist or has no usable sender",
            30450 | 30453 | 60410 | 60605 => "blocked as likely SMS pumping fraud",
            30649 => "can be changed only in the Twilio Console",
            70051 => "the API key lacks a permission",
            _ => "see Twilio's error dictionary",
        }
    }
}

impl fmt::Display for TwilioErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.explanation())
    }
}
