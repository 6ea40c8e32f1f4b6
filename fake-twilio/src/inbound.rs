//! A phone texts one of our numbers.

use crate::conversation::{Conversation, TextResult, not_called};
use crate::e164::is_e164;
use crate::limits::{MAX_BODY, MAX_MEDIA, MAX_MEDIA_BYTES};
use crate::media::{Attachment, Media};
use crate::message::{Direction, Message};
use crate::twilio::FakeTwilio;
use crate::validation::is_too_long;
use crate::webhook::WebhookError;
use tokio::sync::oneshot;

/// Why a phone can't text this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No phone has this number.
    #[error("a phone's number must be in E.164, such as +14155550123, not {0:?}")]
    From(String),
    /// One of our numbers, which is nobody's phone.
    #[error("{0} is a number of the Twilio account: text from another one")]
    FromOurs(String),
    /// Whoever has this number, it is not us.
    #[error("{to} is no number of the Twilio account: text {ours}")]
    NotOurs {
        /// The number.
        to: String,
        /// Those that there are.
        ours: String,
    },
    /// Nothing to send.
    #[error("the text is empty: give it a body or media")]
    Empty,
    /// More than Twilio takes.
    #[error("the text is longer than {MAX_BODY} characters")]
    TooLong,
    /// More than Twilio takes.
    #[error("the text has {0} attachments, and a message carries at most {MAX_MEDIA}")]
    TooManyMedia(usize),
    /// More than Twilio takes.
    #[error("the attachments have {0} bytes together, and a message carries at most {MAX_MEDIA_BYTES}")]
    MediaTooLarge(usize),
}

impl FakeTwilio {
    /// A phone texts one of our numbers; comes back when the webhook has been answered and its answer carried out. That is done
    /// whether or not anybody waits for it.
    ///
    /// # Errors
    /// [`TextError`] if no phone could have sent it. What the webhook does wrong stands in [`TextResult::webhook`].
    pub async fn text(
        &self,
        from: &str,
        to: &str,
        body: &str,
        attachments: Vec<Attachment>,
    ) -> Result<TextResult, TextError> {
        let account = self.account();
        check(&account.numbers, from, to, body, &attachments)?;
        let media = attachments.into_iter().map(|attachment| Media::of(None, Some(attachment.content.into())));
        let message = Message::new(&account.account_sid, Direction::Inbound, Some(from), to, body, self.now());
        let mut message = message.with_media(media.collect());
        message.messaging_service_sid = account.messaging_services.into_iter().next();
        let mut conversation = Conversation::new(self.clone(), self.add_message(message));
        conversation.answer_keyword();

        let message = conversation.inbound.clone();
        let (done, held) = oneshot::channel();
        self.spawn(|_| async move {
            // Nobody may be waiting any more.
            let _ = done.send(conversation.run().await);
        });
        let cut_off = |_| TextResult { message, webhook: not_called(WebhookError::Ended), replies: Vec::new() };
        Ok(held.await.unwrap_or_else(cut_off))
    }

    /// Tells of the inbound messages that nobody had been told of to the end when the process ended; to be called when whoever is
    /// to be told can answer. Replies that were already sent are sent again: Twilio too calls twice rather than never.
    pub fn resume_inbound(&self) {
        let is_untold = |message: &Message| message.direction == Direction::Inbound && message.last_notified.is_none();
        for message in self.messages().into_iter().filter(is_untold) {
            let conversation = Conversation::new(self.clone(), message);
            self.spawn(|_| async move { drop(conversation.run().await) });
        }
    }
}

fn check(numbers: &[String], from: &str, to: &str, body: &str, attachments: &[Attachment]) -> Result<(), TextError> {
    let is_ours = |number: &str| numbers.iter().any(|ours| ours == number);
    if !is_e164(from) {
        return Err(TextError::From(from.to_owned()));
    }
    if is_ours(from) {
        return Err(TextError::FromOurs(from.to_owned()));
    }
    if !is_ours(to) {
        return Err(TextError::NotOurs { to: to.to_owned(), ours: numbers.join(" or ") });
    }
    if body.is_empty() && attachments.is_empty() {
        return Err(TextError::Empty);
    }
    if is_too_long(body) {
        return Err(TextError::TooLong);
    }
    if attachments.len() > MAX_MEDIA {
        return Err(TextError::TooManyMedia(attachments.len()));
    }
    match attachments.iter().map(|attachment| attachment.content.len()).sum() {
        bytes if bytes > MAX_MEDIA_BYTES => Err(TextError::MediaTooLarge(bytes)),
        _ => Ok(()),
    }
}
