//! Random SIDs.

use std::hash::{BuildHasher, RandomState};

/// The standard library's hash keys are random and never repeat, which is enough for a SID.
pub(crate) fn random_sid(prefix: &str) -> String {
    let word = || RandomState::new().hash_one(());
    format!("{prefix}{:016x}{:016x}", word(), word())
}
