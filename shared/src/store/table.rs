//! The table: every item that Tollgate keeps, and the keys they are kept under.
//!
//! One transaction decides on a send. The limits of the phone, the IP and the number range and the idempotency record change
//! together or not at all, so a refusal by one costs the others nothing, and nothing slips through between a read and a write. Every
//! write is a transaction, except four: the [`counters`](super::counters) and the records of blocks, which are too busy for one; the
//! attempts of [`checks`](super::checks), which read what they write; and [`deliveries`](super::deliveries), which no other write accompanies.
//!
//! | Item | `pk` | Attributes |
//! |---|---|---|
//! | phone | `phone#<HMAC>` | `a1…aL`, the sliding log of sends; `o1…oL`, the log of sends that the app vouches for; `c1…cK`, the code of each of the newest: `{mac, at, v, lane, ip, net, network, country}`, where `v` is its verification, `net` its network, and `network` and `country` the rules that counted it; `known_until`, if the number was approved; `streak`, its unverified sends in the known lane since; `f1…fM`, the log of failed checks that name no verification; `attempt`, the nonce of the last one; `opted_out` |
//! | verification | `verification#<HMAC>` | `failures`, its failed checks; `attempt` |
//! | offer to text | `text#<HMAC>` of number and phrase | `v`, the verification; `state`; `open_until`; `locale`; `mac` and `code_at` of the code that answered the text |
//! | IP | `ip#<HMAC>` | `a1…aL` |
//! | number range | `range#<HMAC>` | `a1…aL` |
//! | block record, area record | `block#<HMAC>`, `area#<HMAC>` | `n<w>` and `v<w>`, the codes sent to strangers in week *w*, and those of them that were verified; `closed_until`, if Twilio rejected a number of an unknown block |
//! | test number | `test#<HMAC>` | `f1…fM`, `attempt` |
//! | counter | `network#<HMAC>`, `country#US`, `known#US`, `unassigned#US`, `offers#<HMAC>`, `total` | a [bucket counter](crate::limits::bucket_counter) |
//! | send | `send#<HMAC of the idempotency key>` | `state`: `reserved` → `sent`, `refused` or `unknown`; `at`; `v`, the verification; `request`, the fingerprint; `answer` |
//! | replies | `replies#<HMAC>`, `replies#US` | as range, as counter |
//! | reply | `reply#<HMAC of the sender>` | `a1…aL`, the sliding log of automatic replies |
//! | opted | `opted#<MessageSid>` | none; records for good that this STOP or START took effect |
//! | message | `message#<MessageSid>` | the inbound message: `message_sid`, `from`, `to`, `body`, `media`, `at`, `replied` |
//! | delivery | `delivery#<MessageSid>` | the delivery status of an outbound message: `status`, its rank `reached`, `at`, `country`, `error_code`, and `report`, the nonce of the last report |
//!
//! Times in logs are in milliseconds; `expires_at`, the table's TTL attribute, is in seconds. Nothing depends on when DynamoDB deletes an
//! expired item.

use super::items::{Items, StoreError};
use crate::limits::rules::Period;
use crate::phone::number::{PhoneNumber, handset};
use crate::runtime::credentials::HmacKey;
use crate::runtime::ip::ClientIp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Stands for a network in the table, so that a copy of it identifies nobody.
pub type NetworkMac = [u8; 16];

/// How much longer than its longest window a log is kept.
const LOG_MARGIN_MS: u64 = 60 * 60 * 1000;

/// A write of a send's record found another state than the one that this send had reserved.
pub(super) const NOT_RESERVED: StoreError =
    StoreError::Corrupt("the record of a send is not the one that was reserved");

/// The table, with the key under which it names people.
pub struct Table {
    /// Its items.
    pub items: Items,
    /// The HMAC key of phone numbers, IP addresses and idempotency keys.
    pub key: HmacKey,
}

impl Table {
    /// The key of a phone's item.
    #[must_use]
    pub fn phone_pk(&self, phone: &PhoneNumber) -> String {
        self.pk("phone", &handset(phone.as_str()))
    }

    /// The key of an IP's item.
    #[must_use]
    pub fn ip_pk(&self, ip: &ClientIp) -> String {
        self.pk("ip", &ip.canonical())
    }

    /// The key of the item of a phone's number range.
    #[must_use]
    pub fn range_pk(&self, phone: &PhoneNumber) -> String {
        self.pk("range", phone.range().as_str())
    }

    /// What stands for an IP's network in the table.
    #[must_use]
    pub fn network_mac(&self, ip: &ClientIp) -> NetworkMac {
        let mac = self.mac(&["network", &ip.network()]);
        let mut short = NetworkMac::default();
        let length = short.len();
        short.copy_from_slice(&mac[..length]);
        short
    }

    /// The key of an item about a person: an HMAC, so that a copy of the table identifies nobody.
    pub(super) fn pk(&self, kind: &'static str, subject: &str) -> String {
        format!("{kind}#{}", URL_SAFE_NO_PAD.encode(self.mac(&[kind, subject])))
    }

    pub(super) fn mac<P: AsRef<[u8]>>(&self, parts: &[P]) -> [u8; 32] {
        // HMAC takes a key of any length, so this fallback is never used.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()) else { return [0; 32] };
        for part in parts {
            // The length keeps ("ab", "c") from "a", "bc".
            mac.update(&(part.as_ref().len() as u64).to_be_bytes());
            mac.update(part.as_ref());
        }
        mac.finalize().into_bytes().into()
    }
}

/// When an item with this longest window may be deleted, in seconds since the epoch.
pub(super) fn expiry(now_ms: u64, longest_window: Period) -> u64 {
    (now_ms + longest_window.as_ms() + LOG_MARGIN_MS) / 1000
}
