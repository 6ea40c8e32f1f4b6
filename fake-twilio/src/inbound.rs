//! Texts from phones.

use crate::conversation::{Conversation, TextResult, not_called};
use crate::limits::{MAX_MEDIA, MAX_MEDIA_BYTES};
use crate::media::{Attachment, Media};
use crate::message::{Direction, Message};
use crate::twilio::FakeTwilio;
use crate::validation::is_too_long;
use crate::webhook::WebhookCallError;
use shared::phone::number::is_e164;
use shared::twilio::segments::MAX_BODY;
use tokio::sync::oneshot;

/// Why a text can't be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The sender is not a phone number.
    #[error("the sender must be in E.164, such as +14155550123")]
    From,
    /// The sender is a number of the account.
    #[error("the sender {0} belongs to the Twilio account; text from another number")]
    FromOurs(String),
    /// The recipient is not a number of the account.
    #[error("the recipient is not a number of the Twilio account; text {0}")]
    NotOurs(String),
    /// There is no body and no attachment.
    #[error("the text is empty; add a body or media")]
    Empty,
    /// The body is too long.
    #[error("the text is longer than {MAX_BODY} characters")]
    TooLong,
    /// There are too many attachments.
    #[error("the text has {0} attachments; a message carries at most {MAX_MEDIA}")]
    TooManyMedia(usize),
    /// The attachments are too large in total.
    #[error("the attachments have {0} bytes in total; a message carries at most {MAX_MEDIA_BYTES}")]
    MediaTooLarge(usize),
}

impl FakeTwilio {
    /// A phone texts a number of the account. Returns when the webhook has answered and its TwiML has been executed;
    /// both happen even if the caller stops waiting.
    ///
    /// # Errors
    /// [`TextError`] if the text can't be sent. Errors of the webhook are in [`TextResult::webhook`].
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
            // The caller may have stopped waiting.
            let _ = done.send(conversation.run().await);
        });
        let cut_off = |_| TextResult { message, webhook: not_called(WebhookCallError::Ended), replies: Vec::new() };
        Ok(held.await.unwrap_or_else(cut_off))
    }

    /// Calls the webhook for texts that were not completely handled when the process ended. Call it once the webhook
    /// can answer. Replies already sent are sent again: Twilio, too, prefers a repeated call to a lost one.
    pub fn resume_inbound(&self) {
        let is_pending = |message: &Message| message.direction == Direction::Inbound && message.last_notified.is_none();
        for message in self.messages().into_iter().filter(is_pending) {
            let conversation = Conversation::new(self.clone(), message);
            self.spawn(|_| async move { drop(conversation.run().await) });
        }
    }
}

fn check(numbers: &[String], from: &str, to: &str, body: &str, attachments: &[Attachment]) -> Result<(), TextError> {
    let is_ours = |number: &str| numbers.iter().any(|ours| ours == number);
    if !is_e164(from) {
        return Err(TextError::From);
    }
    if is_ours(from) {
        return Err(TextError::FromOurs(from.to_owned()));
    }
    if !is_ours(to) {
        return Err(TextError::NotOurs(numbers.join(" or ")));
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
