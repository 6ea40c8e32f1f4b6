//! The codes of a phone: how its item stores them, and how they are compared.

use super::items::{Item, number, read_number, text};
use super::send_limits::SendLimits;
use super::table::Table;
use crate::phone::number::PhoneNumber;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use subtle::ConstantTimeEq as _;

/// A code that was texted, in a slot of its phone's item. It has a time of its own, because the slots of codes and of the log can
/// get out of step when settings change.
pub(super) struct SentCode<'a> {
    pub(super) mac: &'a AttributeValue,
    pub(super) at_ms: u64,
    /// The key of the IP that requested it.
    pub(super) ip: &'a str,
    /// The names of the country's rules that counted it.
    pub(super) country: &'a str,
}

/// The code in a slot; `None` if it was used or is void.
pub(super) fn code(item: &Item, slot: u32) -> Option<SentCode<'_>> {
    let code = item.get(&format!("c{slot}"))?.as_m().ok()?;
    let field = |name: &str| code.get(name).and_then(|value| value.as_s().ok());
    let at_ms = read_number(code, "at")?;
    Some(SentCode { mac: code.get("mac")?, at_ms, ip: field("ip")?, country: field("country")? })
}

impl SentCode<'_> {
    /// The code as its slot stores it.
    pub(super) fn stored(&self) -> AttributeValue {
        AttributeValue::M(HashMap::from([
            ("mac".to_owned(), self.mac.clone()),
            ("ip".to_owned(), text(self.ip)),
            ("at".to_owned(), number(self.at_ms)),
            ("country".to_owned(), text(self.country)),
        ]))
    }
}

impl Table {
    /// The MAC that stands for a code in the table: bound to its phone, and useless without the key.
    pub(super) fn code_mac(&self, phone: &PhoneNumber, code: &str) -> AttributeValue {
        AttributeValue::B(Blob::new(&self.mac(&["code", phone.as_str(), code])[..16]))
    }
}

/// The slots of codes that are neither used nor expired, newest first.
pub(super) fn live_codes(item: &Item, limits: &SendLimits, now_ms: u64) -> Vec<u32> {
    let is_live = |slot: &u32| {
        code(item, *slot).is_some_and(|code| now_ms < code.at_ms.saturating_add(limits.code_lifetime.as_ms()))
    };
    (1..=limits.code_slots()).filter(is_live).collect()
}

/// The slots that hold the guessed code: several if the same code was sent again. All are compared, each in constant time.
pub(super) fn matching(item: &Item, live: &[u32], guess: &AttributeValue) -> Option<Vec<u32>> {
    let guess = guess.as_b().ok()?.as_ref();
    let mut slots = vec![];
    for &slot in live {
        let mac = code(item, slot).and_then(|code| code.mac.as_b().ok()).map_or(&[][..], AsRef::as_ref);
        if bool::from(mac.ct_eq(guess)) {
            slots.push(slot);
        }
    }
    (!slots.is_empty()).then_some(slots)
}
