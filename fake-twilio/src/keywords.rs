//! How Twilio answers STOP, START and HELP on long codes: <https://help.twilio.com/articles/223134027>
//!
//! The webhook is called for them as for any message. Twilio sends `OptOutType` only with Advanced Opt-Out, which replaces the
//! answers too.

use shared::twilio::keywords::Keyword;

/// What Twilio answers to a keyword.
pub(crate) const fn answer(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => {
            "You have successfully been unsubscribed. You will not receive any more messages from this number. \
             Reply START to resubscribe."
        }
        Keyword::Start => {
            "You have successfully been re-subscribed to messages from this number. Reply HELP for help. \
             Reply STOP to unsubscribe. Msg&Data Rates May Apply."
        }
        Keyword::Help => "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    }
}
