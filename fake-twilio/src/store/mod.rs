//! What the fake Twilio keeps, in memory and, if asked to, in a file.

pub mod journal;
pub mod ledger;

use crate::account::TwilioAccount;
use crate::store::journal::Journal;
use crate::store::ledger::Ledger;

/// What changes.
pub(crate) struct Store {
    pub(crate) account: TwilioAccount,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Option<Journal>,
}
