//! Codes of Twilio's error dictionary: <https://www.twilio.com/docs/api/errors>

use std::fmt;

/// A code from Twilio's error dictionary; `0` if Twilio gave none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwilioErrorCode(pub u32);

impl TwilioErrorCode {
    /// Whether the recipient has opted out, by STOP, of our messages.
    #[must_use]
    pub const fn is_opt_out(self) -> bool {
        self.0 == 21610
    }

    /// What Twilio means by it, for those that a send meets.
    const fn explanation(self) -> &'static str {
        match self.0 {
            0 => "without a code",
            20003 => "wrong credentials, or a suspended account",
            20005 | 20403 => "the account is not active",
            20008 => "these are test credentials",
            20404 => "there is no such account: check accountSid in the secret",
            21211 => "not a valid number",
            21212 => "TWILIO_FROM is not a valid number",
            21265 | 21612 | 21614 | 21635 => "not a number that can be texted from this sender",
            21266 => "the recipient is the sender",
            21268 => "a premium-rate number",
            21408 => "messaging geo permissions do not allow its country",
            21606 | 21659..=21661 => "TWILIO_FROM is not a number of this account that can send SMS",
            21608 => "a trial account texts only verified numbers",
            21609 => "Twilio can't call the address for its reports: check PublicUrl",
            21610 => "the recipient has opted out by STOP",
            21611 => "the queue of TWILIO_FROM is full",
            21617 => "the message is longer than 1600 characters",
            21701..=21705 => "the Messaging Service has no such SID or no usable sender",
            30450 | 30453 | 60410 | 60605 => "blocked as likely SMS pumping fraud",
            30649 => "can be changed in the Twilio Console only",
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
