//! Offers to text us, made when no code is sent.

use crate::alternatives::Alternative;
use crate::answer::Reason;
use crate::settings::Settings;
use crate::state::State;
use crate::texts::TextSettings;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::messages::locale::Locale;
use shared::phone::number::PhoneNumber;
use shared::phone::phrase::Phrase;
use shared::runtime::clock::rfc3339;
use shared::runtime::ip::ClientIp;
use shared::store::items::StoreError;
use shared::store::send_limits::LimitReached;
use shared::store::text_to_verify::{OfferRequest, Offered, TextToVerify};
use shared::store::verification::Verification;

/// Who wants an alternative.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Whose number is to be proved.
    pub phone: &'a PhoneNumber,
    /// The end user's address.
    pub ip: &'a ClientIp,
    /// The verification that the request is for.
    pub verification: &'a Verification,
    /// The language of the code that a text is answered with.
    pub locale: Option<&'a Locale>,
}

/// The alternatives to a code that was refused for this reason. Nothing fails for their sake.
pub async fn alternatives(state: &State, asker: Asker<'_>, reason: Reason, now_ms: u64) -> Vec<Alternative> {
    let Some(texts) = state.settings.texts.as_ref().filter(|texts| helps(texts, reason)) else { return vec![] };
    match offer(state, texts, asker, now_ms).await {
        Ok(Ok(alternative)) => vec![alternative],
        Ok(Err(_)) => vec![],
        Err(error) => {
            tracing::error!(%error, "no alternative could be offered");
            vec![]
        }
    }
}

/// Offers to text for the verification, or for a new one if that was texted for already; or the limit of such offers.
///
/// # Errors
/// [`StoreError`] if the table gave no answer.
pub async fn offer(
    state: &State,
    texts: &TextSettings,
    asker: Asker<'_>,
    now_ms: u64,
) -> Result<Result<Alternative, LimitReached>, StoreError> {
    let Asker { phone, ip, locale, .. } = asker;
    let mut verification = asker.verification.clone();
    for _ in 0..2 {
        let request = OfferRequest { phone, ip, verification: &verification, locale };
        match state.table.offer_text(request, &texts.limits, now_ms).await? {
            Offered::Open(phrase, until_ms) => {
                return Ok(Ok(text_to_verify(&state.settings, texts, phrase, &verification, until_ms, now_ms)));
            }
            Offered::Limited(reached) => return Ok(Err(reached)),
            Offered::Over => {
                let fresh = state.table.start_verification(phone.as_str(), now_ms, state.random);
                verification =
                    fresh.map_err(|error| StoreError::Unavailable(format!("no random numbers ({error})")))?;
            }
        }
    }
    Err(StoreError::Corrupt("a new verification has been texted for"))
}

fn text_to_verify(
    settings: &Settings,
    texts: &TextSettings,
    phrase: Phrase,
    verification: &Verification,
    until_ms: u64,
    now_ms: u64,
) -> Alternative {
    let body = settings.messages.to_be_texted(phrase);
    Alternative::TextToVerify {
        to: texts.to.clone(),
        sms_link: format!("sms:{}?body={}", texts.to, utf8_percent_encode(&body, NON_ALPHANUMERIC)),
        body,
        verification: verification.as_str().to_owned(),
        expires_at: rfc3339(until_ms),
        expires_in: until_ms.saturating_sub(now_ms).div_ceil(1000),
    }
}

/// Whether a text can help after this refusal. In confirm mode it is answered with an SMS, which needs a country where we send and a
/// place in the total.
pub const fn helps(texts: &TextSettings, reason: Reason) -> bool {
    match reason {
        Reason::PhoneLimit
        | Reason::IpLimit
        | Reason::RangeLimit
        | Reason::NetworkLimit
        | Reason::CountryLimit
        | Reason::SpendLimit
        | Reason::BlockRecord => true,
        Reason::CountryNotAllowed | Reason::TotalLimit => matches!(texts.mode, TextToVerify::Direct),
        Reason::InvalidPhoneNumber
        | Reason::PrefixBlocked
        | Reason::NumberTypeNotAllowed
        | Reason::OptedOut
        | Reason::TextToVerifyLimit
        | Reason::RejectedByTwilio => false,
    }
}
