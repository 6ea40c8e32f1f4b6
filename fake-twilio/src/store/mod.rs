//! The state of the fake Twilio, in memory and optionally in a file.

pub mod journal;
pub mod ledger;

use crate::account::TwilioAccount;
use crate::store::journal::Journal;
use crate::store::ledger::Ledger;

/// Everything that changes.
pub(crate) struct Store {
    pub(crate) account: TwilioAccount,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Option<Journal>,
}
