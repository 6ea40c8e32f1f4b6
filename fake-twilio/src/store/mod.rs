//! What the fake Twilio keeps, in memory and, if asked to, in a file.

pub mod journal;
pub mod ledger;

use crate::account::Account;
use crate::store::journal::Journal;
use crate::store::ledger::Ledger;

/// What changes.
pub(crate) struct Books {
    pub(crate) account: Account,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Option<Journal>,
}
