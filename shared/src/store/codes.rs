//! The codes of a phone: how its item stores them, and how they are compared.
//!
//! A slot stores a code with everything that its send counted in, so an approval can release all sends of the phone. Setting the slot to
//! NULL claims that release: whoever does it releases, once.

use super::items::{Item, number, read_number, read_text, text};
use super::lane::Lane;
use super::send_limits::SendLimits;
use super::table::{NetworkMac, Table};
use super::verification::Verification;
use crate::phone::number::{PhoneNumber, Region, handset};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use subtle::ConstantTimeEq as _;

/// A code that was texted, in a slot of its phone's item.
pub(super) struct SentCode<'a> {
    pub(super) mac: &'a AttributeValue,
    pub(super) at_ms: u64,
    /// The id of its verification; empty if it was sent by a version without verifications.
    pub(super) verification: &'a [u8],
    pub(super) lane: Lane,
    /// The key of the IP that requested it.
    pub(super) ip: &'a str,
    /// What stands for the network of that IP; `None` if none of its rules counted it.
    pub(super) network: Option<NetworkMac>,
    /// The names of the network's rules that counted it.
    pub(super) network_rules: &'a str,
    /// The names of the country's rules that counted it.
    pub(super) country: &'a str,
    /// The names of the rules of unknown ranges that counted it; empty if none did.
    pub(super) unassigned: &'a str,
    /// The country, if the number can also be written as another's.
    pub(super) region: Option<Region>,
}

/// The code in a slot; `None` if it was used or is void.
pub(super) fn code(item: &Item, slot: u32) -> Option<SentCode<'_>> {
    let code = item.get(&format!("c{slot}"))?.as_m().ok()?;
    let lane = match read_text(code, "lane") {
        Some("owner") => Lane::Owner,
        Some("known") => Lane::Known,
        _ => Lane::Stranger,
    };
    Some(SentCode {
        mac: code.get("mac")?,
        at_ms: read_number(code, "at")?,
        verification: code.get("v").and_then(|id| id.as_b().ok()).map_or(&[], AsRef::as_ref),
        lane,
        ip: read_text(code, "ip")?,
        // A version without networks stored neither.
        network: code.get("net").and_then(|mac| mac.as_b().ok()?.as_ref().try_into().ok()),
        network_rules: read_text(code, "network").unwrap_or_default(),
        country: read_text(code, "country")?,
        unassigned: read_text(code, "unassigned").unwrap_or_default(),
        region: read_text(code, "region").and_then(|region| region.parse().ok()),
    })
}

/// The slot of a code that was sent at `at_ms`. A phone's item that has not been read is expected to have it in its first slot.
pub(super) fn find_code(phone: Option<&Item>, slots: u32, mac: &AttributeValue, at_ms: u64) -> Option<u32> {
    let Some(phone) = phone else { return Some(1) };
    (1..=slots).find(|slot| code(phone, *slot).is_some_and(|code| code.mac == mac && code.at_ms == at_ms))
}

impl SentCode<'_> {
    /// The code as its slot stores it.
    pub(super) fn stored(&self) -> AttributeValue {
        let network = self.network.map(|mac| ("net".to_owned(), AttributeValue::B(Blob::new(mac))));
        let unassigned = Some(self.unassigned).filter(|rules| !rules.is_empty());
        let unassigned = unassigned.map(|rules| ("unassigned".to_owned(), text(rules)));
        let region = self.region.map(|region| ("region".to_owned(), text(&region.to_string())));
        let attributes = [
            ("mac".to_owned(), self.mac.clone()),
            ("at".to_owned(), number(self.at_ms)),
            ("v".to_owned(), AttributeValue::B(Blob::new(self.verification))),
            ("lane".to_owned(), text(self.lane.as_str())),
            ("ip".to_owned(), text(self.ip)),
            ("network".to_owned(), text(self.network_rules)),
            ("country".to_owned(), text(self.country)),
        ];
        AttributeValue::M(attributes.into_iter().chain(network).chain(unassigned).chain(region).collect())
    }
}

impl Table {
    /// The MAC that stands for a code in the table: bound to its phone, and useless without the key.
    pub(super) fn code_mac(&self, phone: &PhoneNumber, code: &str) -> AttributeValue {
        AttributeValue::B(Blob::new(&self.mac(&["code", &handset(phone.as_str()), code])[..16]))
    }
}

/// The slots of codes that are neither used nor expired, newest first; with a verification, only its own.
pub(super) fn live_codes(
    item: &Item,
    verification: Option<&Verification>,
    limits: &SendLimits,
    now_ms: u64,
) -> Vec<u32> {
    let is_live = |code: &SentCode<'_>| {
        now_ms < code.at_ms.saturating_add(limits.code_lifetime.as_ms())
            && verification.is_none_or(|verification| code.verification == verification.id)
    };
    (1..=limits.code_slots()).filter(|slot| code(item, *slot).is_some_and(|code| is_live(&code))).collect()
}

/// Whether one of these slots holds the guessed code. All are compared, each in constant time.
pub(super) fn matches(item: &Item, slots: &[u32], guess: &AttributeValue) -> bool {
    let Ok(guess) = guess.as_b() else { return false };
    let mut found = subtle::Choice::from(0);
    for &slot in slots {
        let mac = code(item, slot).and_then(|code| code.mac.as_b().ok()).map_or(&[][..], AsRef::as_ref);
        found |= mac.ct_eq(guess.as_ref());
    }
    found.into()
}
