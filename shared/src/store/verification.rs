//! Verifications: a user's attempt to prove a phone number.
//!
//! A verification has a name that only its owner has. The sends of one attempt share it, and failed checks count on it alone: whoever
//! does not have the name can't use up anybody's checks. The name proves itself by a MAC that is bound to the phone, so nothing is
//! stored when a verification starts, and a made-up name is rejected before the table is asked.

use super::table::Table;
use crate::phone::code::Random;
use crate::phone::number::handset;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// How long a verification takes sends and checks: longer than anybody waits for a code.
const LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;
const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
const PREFIX: &str = "vf_";

/// A user's attempt to prove a phone number. Its name is a secret of the app and its user; it is never printed.
///
/// The name is `vf_` and 43 characters of Base64 (URL alphabet): 6 bytes of the start in milliseconds, 10 random bytes, and 16 bytes of
/// HMAC-SHA-256 over the phone and the first 16.
#[derive(Clone, PartialEq, Eq)]
pub struct Verification {
    pub(super) id: [u8; ID_BYTES],
    name: String,
}

impl Verification {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// When it started, in milliseconds.
    fn started_ms(&self) -> u64 {
        self.id[..6].iter().fold(0, |ms, byte| ms << 8 | u64::from(*byte))
    }

    /// Whether it still takes sends and checks.
    #[must_use]
    pub fn is_open(&self, now_ms: u64) -> bool {
        now_ms < self.ends_ms()
    }

    /// When it stops taking sends and checks, in milliseconds.
    pub(super) fn ends_ms(&self) -> u64 {
        self.started_ms().saturating_add(LIFETIME_MS)
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verification([redacted])")
    }
}

impl Table {
    /// Starts a verification of this phone. Nothing is stored.
    ///
    /// # Errors
    /// The error of the source of randomness, if it fails.
    pub fn start_verification(
        &self,
        phone: &str,
        now_ms: u64,
        random: Random,
    ) -> Result<Verification, getrandom::Error> {
        let mut id = [0; ID_BYTES];
        id[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        random(&mut id[6..])?;
        Ok(self.verification(phone, id))
    }

    /// The verification with this name; `None` if the name is not of this phone.
    #[must_use]
    pub fn find_verification(&self, phone: &str, name: &str) -> Option<Verification> {
        let bytes = URL_SAFE_NO_PAD.decode(name.strip_prefix(PREFIX)?).ok()?;
        let (id, mac) = bytes.split_first_chunk::<ID_BYTES>()?;
        let is_ours = bool::from(self.verification_mac(phone, id)[..].ct_eq(mac));
        is_ours.then(|| self.verification(phone, *id))
    }

    /// The verification with this id, which an item of this phone stores.
    pub(super) fn verification(&self, phone: &str, id: [u8; ID_BYTES]) -> Verification {
        let name = URL_SAFE_NO_PAD.encode([&id[..], &self.verification_mac(phone, &id)].concat());
        Verification { id, name: format!("{PREFIX}{name}") }
    }

    fn verification_mac(&self, phone: &str, id: &[u8; ID_BYTES]) -> [u8; MAC_BYTES] {
        let mac = self.mac(&["verification".as_bytes(), handset(phone).as_bytes(), id]);
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&mac[..MAC_BYTES]);
        short
    }

    /// The key of the item that counts a verification's failed checks.
    pub(super) fn verification_pk(&self, verification: &Verification) -> String {
        self.pk("verification", &verification.name)
    }
}
