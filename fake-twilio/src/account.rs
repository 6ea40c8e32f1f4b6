//! The account that the fake Twilio knows.

/// The account, its credentials and what it owns.
#[derive(Clone)]
pub struct TwilioAccount {
    /// `AC…`: in every path, and the user name that goes with the auth token.
    pub account_sid: String,
    /// The account's secret: authenticates calls, and signs webhooks.
    pub auth_token: String,
    /// `SK…`: the user name that goes with the API key's secret.
    pub api_key_sid: String,
    /// The API key's secret: authenticates calls, signs nothing.
    pub api_key_secret: String,
    /// The numbers it may send from.
    pub numbers: Vec<String>,
    /// The `MG…` it may send through. All numbers belong to the first.
    pub messaging_services: Vec<String>,
}

impl TwilioAccount {
    pub(crate) fn authenticates(&self, user: &str, password: &str) -> bool {
        [(&self.account_sid, &self.auth_token), (&self.api_key_sid, &self.api_key_secret)]
            .into_iter()
            .any(|(sid, secret)| sid == user && secret == password)
    }
}
