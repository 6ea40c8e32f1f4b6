//! Is the Twilio account active, and not a trial?

use super::credentials::Credentials;
use crate::report::{Check, Finding};
use crate::twilio_api::{AccountDetails, AccountStatus, AccountType};

const CHECK: Check = Check::Account;

/// Evaluates the account, as whichever credential can read it.
#[must_use]
pub fn evaluate(credentials: &Credentials) -> Finding {
    let answers = || credentials.account_answers();
    match answers().find(|account| account.is_ok()).or_else(|| answers().next()) {
        Some(Ok(account)) => evaluate_account(account),
        Some(Err(error)) if error.is_inactive_account() => inactive("not active"),
        Some(Err(error)) => Finding::unread(CHECK, "the account", error),
        None => {
            Finding::unknown(CHECK, "there are no credentials to read it with", "do what the `credentials` rows say")
        }
    }
}

fn evaluate_account(account: &AccountDetails) -> Finding {
    match (&account.status, &account.kind) {
        (AccountStatus::Active, AccountType::Trial) => Finding::fail(
            CHECK,
            "it is a trial account, which sends only to verified numbers and refuses all others (21608)",
            "upgrade the account in the Twilio Console",
        ),
        (AccountStatus::Active, kind) => Finding::pass(CHECK, format!("active, {}", kind.as_str())),
        (status, _) => inactive(status.as_str()),
    }
}

fn inactive(status: &str) -> Finding {
    let advice =
        "see the Twilio Console for the reason, or contact Twilio's support; until it is active, nothing is sent";
    Finding::fail(CHECK, format!("the account is {status}"), advice)
}
