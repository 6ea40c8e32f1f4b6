//! Text-to-verify: instead of a code from us, the user texts a phrase to us. Nothing is sent, so there is nothing to pump.
//!
//! An offer is an item of its own under the phone and the phrase. So a phrase counts only from its own number, nobody's offers take the
//! place of another's, and two verifications of a phone never share a phrase. The phrase is made from the verification, so it isn't
//! stored, and whoever has the name of the verification can ask for it again.
//!
//! ```text
//! open ──texted──▶ texted ──check-code──▶ done      direct: the text approves
//!      └─texted──▶ replied ─check-code──▶ done      confirm: the text is answered with a code, which is checked as any other
//! ```

use super::counters::{Counter, CounterEntries, CounterLimit, CounterScope};
use super::items::{Item, StoreError, Updated, read_number, read_text};
use super::send_limits::{LimitKind, LimitReached};
use super::table::{NetworkMac, Table};
use super::verification::Verification;
use crate::limits::rules::{CounterRules, LimitsError, Mode, Period};
use crate::messages::locale::Locale;
use crate::phone::code::VerificationCode;
use crate::phone::number::{PhoneNumber, handset};
use crate::phone::phrase::Phrase;
use crate::runtime::ip::ClientIp;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// How long a phrase can be texted, and how long the approval then waits for check-code.
const LIFETIME_MS: u64 = 10 * 60 * 1000;

/// The most offers to one IP address and to one network. There is none per phone: strangers could use it up to shut its owner out, and
/// there is nothing that it would protect.
const OFFERS_PER_IP: &str = "60/10m";
const OFFERS_PER_NETWORK: &str = "300/10m";

/// What a phrase that is texted to us does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextToVerify {
    /// Nothing: no phrase is offered.
    Off,
    /// It is answered with a code. Whoever forges the sender doesn't get it.
    Confirm,
    /// It approves the verification. Nothing is sent.
    Direct,
}

impl FromStr for TextToVerify {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "confirm" => Ok(Self::Confirm),
            "direct" => Ok(Self::Direct),
            _ => Err("it must be off, confirm or direct".to_owned()),
        }
    }
}

/// How many offers are made, so that nobody fills the table.
#[derive(Clone, Debug)]
pub struct OfferLimits {
    ip: Mode<CounterRules>,
    network: Mode<CounterRules>,
}

impl OfferLimits {
    /// The limits, which are the same in every stack.
    ///
    /// # Errors
    /// None: the rules are valid, which a test shows.
    pub fn new() -> Result<Self, LimitsError> {
        Ok(Self { ip: OFFERS_PER_IP.parse()?, network: OFFERS_PER_NETWORK.parse()? })
    }
}

/// An offer to be made.
#[derive(Clone, Copy)]
pub struct OfferRequest<'a> {
    /// Whose number it is.
    pub phone: &'a PhoneNumber,
    /// The end user's address.
    pub ip: &'a ClientIp,
    /// The verification that a text proves.
    pub verification: &'a Verification,
    /// The language of the code that a text is answered with.
    pub locale: Option<&'a Locale>,
}

/// The answer to a request for an offer.
#[derive(Debug)]
pub enum Offered {
    /// This phrase can be texted until then.
    Open(Phrase, u64),
    /// The verification was texted for already.
    Over,
    /// The IP address or its network has had its offers.
    Limited(LimitReached),
}

/// An offer that a phone may text for now.
#[derive(Clone, Debug)]
pub struct OpenOffer {
    /// The verification that it proves.
    pub verification: Verification,
    /// The language of the code that it is answered with.
    pub locale: Option<Locale>,
    pub(super) pk: String,
}

impl Table {
    /// Offers a verification to be texted for. Offering it again renews it.
    ///
    /// # Errors
    /// [`StoreError`] if the table gave no answer. There may be an offer that nobody knows.
    pub async fn offer_text(
        &self,
        offer: OfferRequest<'_>,
        limits: &OfferLimits,
        now_ms: u64,
    ) -> Result<Offered, StoreError> {
        let scopes = [(offer.ip.canonical(), &limits.ip), (offer.ip.network(), &limits.network)];
        let counters: Vec<_> = scopes
            .iter()
            .filter_map(|(whose, limit)| {
                let limit = CounterLimit::new(LimitKind::TextToVerify, limit, 1);
                Counter::new(CounterScope::Offers(self.offers_mac(whose)), [limit])
            })
            .collect();
        // What is counted stays counted: offers are cheap, and so are places.
        if let Some(reached) = self.count(&counters, now_ms, &mut CounterEntries::default()).await? {
            return Ok(Offered::Limited(reached));
        }
        let phrase = self.phrase(offer.phone, offer.verification);
        let until_ms = now_ms.saturating_add(LIFETIME_MS);
        let (set, remove) = if offer.locale.is_some() { (", locale = :locale", "") } else { ("", ", locale") };
        let mut write = self
            .items
            .write(&self.text_pk(offer.phone.as_str(), phrase))
            .only_if("attribute_not_exists(pk) OR (v = :v AND #state = :open) OR (v <> :v AND open_until <= :now)")
            .name("#state", "state")
            .text(":open", "open")
            .value(":v", AttributeValue::B(offer.verification.id.to_vec().into()))
            .number(":now", now_ms)
            .number(":until", until_ms)
            .number(":exp", offer.verification.ends_ms() / 1000 + 1);
        if let Some(locale) = offer.locale {
            write = write.text(":locale", locale.as_str());
        }
        let update = format!(
            "SET v = :v, #state = :open, open_until = :until, expires_at = :exp{set} REMOVE mac, code_at{remove}"
        );
        match self.items.update(write.plain_update(update)).await? {
            Updated::Done(_) => Ok(Offered::Open(phrase, until_ms)),
            Updated::Refused(_) => Ok(Offered::Over),
        }
    }

    /// The offer that a phone texts for with this phrase; `None` if there is none, or it was texted for already, or it is over.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be read.
    pub async fn open_offer(
        &self,
        phone: &PhoneNumber,
        phrase: Phrase,
        now_ms: u64,
    ) -> Result<Option<OpenOffer>, StoreError> {
        let pk = self.text_pk(phone.as_str(), phrase);
        let [item] = self.items.read([&pk]).await?;
        let id = item.get("v").and_then(|id| id.as_b().ok()?.as_ref().try_into().ok());
        let Some(verification) = id.map(|id| self.verification(phone.as_str(), id)) else { return Ok(None) };
        let is_open = Offer::of(&item, &verification)
            .is_some_and(|offer| offer.state == OfferState::Open && now_ms < offer.until_ms);
        let locale = read_text(&item, "locale").and_then(|locale| locale.parse().ok());
        Ok(is_open.then_some(OpenOffer { verification, locale, pk }))
    }

    /// The code that answers the text with this `MessageSid`: the same each time that Twilio repeats the message.
    #[must_use]
    pub fn reply_code(&self, verification: &Verification, message_sid: &str) -> VerificationCode {
        VerificationCode::of(self.mac(&["reply code".as_bytes(), &verification.id, message_sid.as_bytes()]))
    }

    /// Uses an offer up, with an approval. With `code`, the text is answered with this code instead.
    pub(super) fn texted_write(
        &self,
        phone: &PhoneNumber,
        offer: &OpenOffer,
        code: Option<&VerificationCode>,
        now_ms: u64,
    ) -> TransactWriteItem {
        let write = self
            .items
            .write(&offer.pk)
            .only_if("v = :v AND #state = :open AND open_until > :now")
            .name("#state", "state")
            .text(":open", "open")
            .value(":v", AttributeValue::B(offer.verification.id.to_vec().into()))
            .number(":now", now_ms)
            .number(":until", now_ms.saturating_add(LIFETIME_MS));
        match code {
            None => write.text(":texted", "texted").update("SET #state = :texted, open_until = :until"),
            Some(code) => write
                .text(":texted", "replied")
                .value(":mac", self.code_mac(phone, code.as_str()))
                .update("SET #state = :texted, open_until = :until, mac = :mac, code_at = :now"),
        }
    }

    /// Uses an offer up, if nothing has yet: its verification is approved.
    pub(super) fn done_write(&self, phone: &PhoneNumber, verification: &Verification) -> TransactWriteItem {
        self.items
            .write(&self.text_pk_of(phone, verification))
            .only_if("v = :v AND #state <> :done")
            .name("#state", "state")
            .text(":done", "done")
            .value(":v", AttributeValue::B(verification.id.to_vec().into()))
            .update("SET #state = :done")
    }

    /// The phrase of a verification.
    fn phrase(&self, phone: &PhoneNumber, verification: &Verification) -> Phrase {
        let mac = self.mac(&["phrase".as_bytes(), handset(phone.as_str()).as_bytes(), &verification.id]);
        let mut random = [0; 16];
        random.copy_from_slice(&mac[..16]);
        Phrase::of(random)
    }

    pub(super) fn text_pk_of(&self, phone: &PhoneNumber, verification: &Verification) -> String {
        self.text_pk(phone.as_str(), self.phrase(phone, verification))
    }

    /// The key of the item of an offer.
    fn text_pk(&self, phone: &str, phrase: Phrase) -> String {
        self.pk("text", &format!("{} {phrase}", handset(phone)))
    }

    fn offers_mac(&self, whose: &str) -> NetworkMac {
        let mac = self.mac(&["offers", whose]);
        let mut short = NetworkMac::default();
        let length = short.len();
        short.copy_from_slice(&mac[..length]);
        short
    }
}

/// An offer as its item stores it.
pub(super) struct Offer<'a> {
    pub(super) state: OfferState,
    /// Until when it can be texted; once it has been, until when that counts.
    pub(super) until_ms: u64,
    code: Option<(&'a AttributeValue, u64)>,
}

/// How far an offer is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OfferState {
    /// Nobody has texted.
    Open,
    /// The text approves the verification, as soon as check-code asks.
    Texted,
    /// The text was answered with a code.
    Replied,
    /// The verification is approved.
    Done,
}

impl<'a> Offer<'a> {
    /// The offer of this verification; `None` if the item has none.
    pub(super) fn of(item: &'a Item, verification: &Verification) -> Option<Self> {
        let is_its = item.get("v")?.as_b().ok()?.as_ref() == verification.id;
        let state = match read_text(item, "state")? {
            "open" => OfferState::Open,
            "texted" => OfferState::Texted,
            "replied" => OfferState::Replied,
            // What this version doesn't know approves nothing.
            _ => OfferState::Done,
        };
        let code = item.get("mac").zip(read_number(item, "code_at"));
        is_its.then_some(Self { state, until_ms: read_number(item, "open_until")?, code })
    }

    /// The MAC of the code that answered its text, if that is still valid.
    pub(super) fn live_code(&self, lifetime: Period, now_ms: u64) -> Option<&'a AttributeValue> {
        let (mac, at_ms) = self.code.filter(|_| self.state == OfferState::Replied)?;
        (now_ms < at_ms.saturating_add(lifetime.as_ms())).then_some(mac)
    }
}

/// Whether the code of an offer is the guessed one, in constant time.
pub(super) fn is_code(code: Option<&AttributeValue>, guess: &AttributeValue) -> bool {
    let (Some(Ok(code)), Ok(guess)) = (code.map(AttributeValue::as_b), guess.as_b()) else { return false };
    code.as_ref().ct_eq(guess.as_ref()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_offers_are_valid_and_enforced() {
        let limits = OfferLimits::new().unwrap();
        assert!(limits.ip.enforced().is_some() && limits.network.enforced().is_some());
    }

    #[test]
    fn a_setting_names_its_mode() {
        assert_eq!("off".parse(), Ok(TextToVerify::Off));
        assert_eq!(" Confirm".parse(), Ok(TextToVerify::Confirm));
        assert_eq!("direct".parse(), Ok(TextToVerify::Direct));
        assert_eq!("on".parse::<TextToVerify>(), Err("it must be off, confirm or direct".to_owned()));
    }
}
