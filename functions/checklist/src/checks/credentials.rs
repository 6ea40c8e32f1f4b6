//! Are both secrets filled in, and does Twilio accept them?
//!
//! Twilio reveals little: a wrong key and a key without permission both get HTTP 401. So each key is tried in three ways, and
//! each of the checks `credentials`, `account` and `api_key_restricted` uses what the three answers prove:
//!
//! - read the account, which only the auth token and a main key can do;
//! - list the account's numbers, which a standard key can do too;
//! - read the key's policy with the auth token. Only a restricted key has one.

use crate::report::{Check, Finding};
use crate::twilio_api::{AccountDetails, KeyPolicy, Session, TwilioApi, TwilioError};
use shared::runtime::credentials::{AccountSid, ApiKey, CredentialsError, Signer};
use shared::twilio::error_code::TwilioErrorCode;

const CHECK: Check = Check::Credentials;
const AUTH_TOKEN: &str = "auth token";
const SENDING: &str = "sending credential";

/// The contents of the two secrets, and Twilio's answers to them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The secret with the auth token.
    pub auth_token: Result<AuthTokenFacts, CredentialsError>,
    /// The secret that send-code signs in with.
    pub sending: Result<SendingCredential, CredentialsError>,
    /// Whether webhooks need a header that only a CDN adds.
    pub behind_cdn: bool,
}

/// An account's auth token, and Twilio's answer to it.
#[derive(Clone, Debug)]
pub struct AuthTokenFacts {
    /// The account SID with the auth token.
    pub key: ApiKey,
    /// The account, read with them.
    pub account: Result<AccountDetails, TwilioError>,
}

/// What send-code signs in with.
#[derive(Clone, Debug)]
pub enum SendingCredential {
    /// The auth token.
    AuthToken(AuthTokenFacts),
    /// An API key.
    ApiKey(ApiKeyFacts),
}

/// An API key, and Twilio's answers to it.
#[derive(Clone, Debug)]
pub struct ApiKeyFacts {
    /// The API key.
    pub key: ApiKey,
    /// The account, read with the API key.
    pub account: Result<AccountDetails, TwilioError>,
    /// Whether the API key can list numbers.
    pub numbers: Result<(), TwilioError>,
    /// The API key's policy, read with the auth token, or with the key itself if there is no auth token.
    pub policy: Result<KeyPolicy, TwilioError>,
}

impl Credentials {
    /// Tries the credentials at Twilio.
    pub async fn read(
        twilio: &TwilioApi,
        auth_token: Result<Signer, CredentialsError>,
        sending: Result<ApiKey, CredentialsError>,
    ) -> Self {
        let behind_cdn = auth_token.as_ref().is_ok_and(|signer| signer.origin_verify.is_some());
        let auth_token = auth_token.map(ApiKey::from);
        let owner = async {
            match auth_token.clone() {
                Ok(key) => Ok(AuthTokenFacts { account: twilio.session(&key).account().await, key }),
                Err(error) => Err(error),
            }
        };
        let sending = async {
            let key = sending?;
            let session = twilio.session(&key);
            let Some(key_sid) = key.key_sid() else {
                return Ok(SendingCredential::AuthToken(AuthTokenFacts { account: session.account().await, key }));
            };
            let policy_reader = twilio.session(auth_token.as_ref().unwrap_or(&key));
            let (account, numbers, policy) =
                tokio::join!(session.account(), session.list_one_number(), policy_reader.key_policy(key_sid));
            Ok(SendingCredential::ApiKey(ApiKeyFacts { key, account, numbers, policy }))
        };
        let (auth_token, sending) = tokio::join!(owner, sending);
        Self { auth_token, sending, behind_cdn }
    }

    /// A session to read the account with: the auth token's, which can read everything, or else the sending credential's.
    #[must_use]
    pub fn session<'a>(&'a self, twilio: &'a TwilioApi) -> Option<Session<'a>> {
        let rejected = |error: &TwilioError| matches!(error, TwilioError::Unauthorized(_));
        let owner = self.auth_token.as_ref().ok().filter(|owner| !owner.account.as_ref().is_err_and(rejected));
        let key = owner.map(|owner| &owner.key).or_else(|| match self.sending.as_ref().ok()? {
            SendingCredential::AuthToken(owner) => {
                Some(&owner.key).filter(|_| !owner.account.as_ref().is_err_and(rejected))
            }
            SendingCredential::ApiKey(facts) => {
                Some(&facts.key).filter(|_| !facts.numbers.as_ref().is_err_and(rejected))
            }
        });
        key.map(|key| twilio.session(key))
    }

    /// The account as each of the two secrets reads it, the auth token's answer first.
    pub(super) fn account_answers(&self) -> impl Iterator<Item = &Result<AccountDetails, TwilioError>> {
        let by_auth_token = self.auth_token.as_ref().ok().map(|owner| &owner.account);
        let by_sending = self.sending.as_ref().ok().map(|sending| match sending {
            SendingCredential::AuthToken(AuthTokenFacts { account, .. })
            | SendingCredential::ApiKey(ApiKeyFacts { account, .. }) => account,
        });
        by_auth_token.into_iter().chain(by_sending)
    }
}

/// Evaluates both secrets: one finding each.
#[must_use]
pub fn evaluate(credentials: &Credentials) -> Vec<Finding> {
    vec![evaluate_auth_token(credentials).of(AUTH_TOKEN), evaluate_sending(credentials).of(SENDING)]
}

fn evaluate_auth_token(credentials: &Credentials) -> Finding {
    match &credentials.auth_token {
        Ok(owner) => owner.evaluate(),
        Err(error) => unusable_secret(error),
    }
}

fn evaluate_sending(credentials: &Credentials) -> Finding {
    let account = credentials.auth_token.as_ref().ok().map(|owner| &owner.key.account_sid);
    match &credentials.sending {
        Err(error) => unusable_secret(error),
        Ok(sending) if account.is_some_and(|account| account != sending.account_sid()) => Finding::fail(
            CHECK,
            format!("it belongs to another account than the auth token: {}", sending.account_sid().as_str()),
            "put credentials of the same account into both secrets; Twilio signs webhooks with the auth token of the account \
             that owns the number",
        ),
        Ok(SendingCredential::AuthToken(owner)) => owner.evaluate(),
        Ok(SendingCredential::ApiKey(facts)) => facts.evaluate(),
    }
}

impl SendingCredential {
    const fn account_sid(&self) -> &AccountSid {
        match self {
            Self::AuthToken(owner) => &owner.key.account_sid,
            Self::ApiKey(facts) => &facts.key.account_sid,
        }
    }
}

impl AuthTokenFacts {
    fn evaluate(&self) -> Finding {
        match &self.account {
            Ok(_) => Finding::pass(CHECK, "Twilio accepts it"),
            Err(TwilioError::Forbidden { code: TwilioErrorCode(20008), .. }) => Finding::fail(
                CHECK,
                "these are Twilio's test credentials, which never send a message",
                "put the live auth token into the secret",
            ),
            Err(error @ (TwilioError::Unauthorized(_) | TwilioError::NotFound)) => Finding::fail(
                CHECK,
                error.to_string(),
                "copy the Account SID and the auth token from the Twilio Console into the secret; if they are right already, \
                 check whether the account is suspended",
            ),
            // The check `account` fails for this.
            Err(error) if error.is_inactive_account() => {
                Finding::unknown(CHECK, error.to_string(), "fix the `account` failure")
            }
            Err(error) => Finding::unread(CHECK, "the account", error),
        }
    }
}

impl ApiKeyFacts {
    fn evaluate(&self) -> Finding {
        if self.account.is_ok() || self.numbers.is_ok() {
            return Finding::pass(CHECK, "Twilio accepts the API key");
        }
        match (&self.numbers, &self.policy) {
            (_, Err(TwilioError::NotFound)) => Finding::fail(
                CHECK,
                "the account has no API key with this SID",
                "create an API key in this account, in Twilio's US region, and put it into the secret",
            ),
            // Twilio answers 403 only to a key that signed in, and the policy proves that the key is this account's.
            (Err(TwilioError::Forbidden { .. }), Ok(KeyPolicy::Allow(_))) => Finding::pass(
                CHECK,
                "Twilio has this API key; the key can read nothing, so only the first send proves its secret",
            ),
            (Err(error @ TwilioError::Unauthorized(_)), _) => Finding::fail(
                CHECK,
                error.to_string(),
                "put the API key's SID and its secret into the secret again; Twilio shows an API key's secret only when the \
                 key is created, so create a new key if you don't have it",
            ),
            (Err(error), _) => Finding::unread(CHECK, "what the API key can read", error),
            (Ok(()), _) => Finding::pass(CHECK, "Twilio accepts the API key"),
        }
    }
}

fn unusable_secret(error: &CredentialsError) -> Finding {
    match error {
        CredentialsError::InvalidSecret { id, problem, fill_with } => Finding::fail(
            CHECK,
            format!("the secret {problem}"),
            format!(
                "run aws secretsmanager put-secret-value --secret-id {id} --secret-string '{fill_with}' with your own values"
            ),
        ),
        CredentialsError::Unavailable { reason, .. } => Finding::unknown(
            CHECK,
            format!("the secret can't be read from Secrets Manager: {reason}"),
            "check the variables AUTH_TOKEN_SECRET and SENDING_SECRET, and the permissions of the function's role",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::api_key_restricted::SEND;
    use super::super::{account, api_key_restricted};
    use super::*;
    use crate::report::CheckStatus::{self, Fail, Pass, Unknown};
    use serde_json::json;
    use shared::runtime::credentials::InvalidSecret;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const OTHER: &str = "AC00000000000000000000000000000002";

    fn signer(account_sid: &str) -> Signer {
        let text = format!(r#"{{"accountSid":"{account_sid}","authToken":"0123456789abcdef0123456789abcdef"}}"#);
        text.parse().unwrap()
    }

    fn owner(account_sid: &str, account: Result<AccountDetails, TwilioError>) -> AuthTokenFacts {
        AuthTokenFacts { key: signer(account_sid).into(), account }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is one of several answers, some of them errors")]
    fn account(status: &str, kind: &str) -> Result<AccountDetails, TwilioError> {
        Ok(serde_json::from_value(json!({ "status": status, "type": kind })).unwrap())
    }

    const fn unauthorized<T>() -> Result<T, TwilioError> {
        Err(TwilioError::Unauthorized(TwilioErrorCode(20003)))
    }

    const fn forbidden<T>(code: u32) -> Result<T, TwilioError> {
        Err(TwilioError::Forbidden { code: TwilioErrorCode(code), permission: None })
    }

    #[expect(clippy::unnecessary_wraps, reason = "as above")]
    fn allow(permissions: &[&str]) -> Result<KeyPolicy, TwilioError> {
        Ok(KeyPolicy::Allow(permissions.iter().map(|&name| name.to_owned()).collect()))
    }

    fn results(credentials: &Credentials) -> [CheckStatus; 4] {
        let [auth_token, sending]: [Finding; 2] = evaluate(credentials).try_into().unwrap();
        let others = [account::evaluate(credentials), api_key_restricted::evaluate(credentials)];
        [auth_token.result, sending.result, others[0].result, others[1].result]
    }

    #[test]
    fn an_api_key_is_evaluated_by_all_that_twilio_reveals_about_it() {
        let full = || account("active", "Full");
        // The answers about the account, the numbers and the policy; the findings of `credentials` and `api_key_restricted`.
        for (own, numbers, policy, accepted, restricted) in [
            (unauthorized(), forbidden(70051), allow(&[SEND]), Pass, Pass),
            (forbidden(70051), forbidden(70051), allow(&["/twilio/messaging/messages/*"]), Pass, Fail),
            (forbidden(70051), Ok(()), allow(&["*"]), Pass, Fail),
            (forbidden(70051), Ok(()), allow(&[SEND, "/twilio/*"]), Pass, Fail),
            (forbidden(70051), Ok(()), allow(&[SEND, "/twilio/*/read"]), Pass, Fail),
            (forbidden(70051), Ok(()), allow(&[SEND, "/twilio/voice/calls/create"]), Pass, Fail),
            (forbidden(70051), Ok(()), allow(&[SEND, "/twilio/messaging/services/read"]), Pass, Pass),
            (forbidden(70051), Ok(()), allow(&["/twilio/voice/calls/create"]), Pass, Fail),
            (unauthorized(), Ok(()), Ok(KeyPolicy::Unrestricted), Pass, Fail),
            (full(), Ok(()), Ok(KeyPolicy::Unrestricted), Pass, Fail),
            (full(), Ok(()), unauthorized(), Pass, Fail),
            (unauthorized(), Ok(()), unauthorized(), Pass, Unknown),
            (unauthorized(), unauthorized(), Ok(KeyPolicy::Unrestricted), Fail, Fail),
            (unauthorized(), unauthorized(), Err(TwilioError::NotFound), Fail, Unknown),
            (forbidden(70051), forbidden(70051), unauthorized(), Unknown, Unknown),
        ] {
            let facts = ApiKeyFacts { key: signer(ACCOUNT).into(), account: own, numbers, policy };
            assert_eq!(
                (facts.evaluate().result, api_key_restricted::evaluate_key(&facts).result),
                (accepted, restricted),
                "{facts:?}"
            );
        }
    }

    #[test]
    fn the_auth_token_and_its_account_are_evaluated_separately() {
        for (answer, auth_token, account_is) in [
            (account("active", "Full"), Pass, Pass),
            (account("active", "Trial"), Pass, Fail),
            (account("suspended", "Full"), Pass, Fail),
            (account("closed", "Full"), Pass, Fail),
            // What Twilio may add one day.
            (account("frozen", "Full"), Pass, Fail),
            (account("active", "Reseller"), Pass, Pass),
            (forbidden(20005), Unknown, Fail),
            (forbidden(20008), Fail, Unknown),
            (unauthorized(), Fail, Unknown),
            (Err(TwilioError::Unavailable("Twilio did not answer in time".to_owned())), Unknown, Unknown),
        ] {
            let owner = owner(ACCOUNT, answer);
            let credentials = Credentials {
                auth_token: Ok(owner.clone()),
                sending: Ok(SendingCredential::AuthToken(owner)),
                behind_cdn: false,
            };
            // The auth token can always do more than send.
            assert_eq!(results(&credentials), [auth_token, auth_token, account_is, Fail], "{credentials:?}");
        }
    }

    #[test]
    fn an_unfilled_secret_comes_with_the_command_that_fills_it_and_without_its_contents() {
        let id = "arn:secret".to_owned();
        let unfilled = CredentialsError::InvalidSecret {
            id: id.clone(),
            problem: InvalidSecret::Placeholder("authToken"),
            fill_with: "{…}",
        };
        let unread = CredentialsError::Unavailable { id, reason: "it did not answer in time".to_owned() };
        let owner = owner(ACCOUNT, account("active", "Full"));
        let credentials = Credentials {
            auth_token: Err(unfilled),
            sending: Ok(SendingCredential::AuthToken(owner.clone())),
            behind_cdn: false,
        };
        assert_eq!(results(&credentials), [Fail, Pass, Pass, Fail]);
        assert!(evaluate(&credentials)[0].advice.contains("put-secret-value --secret-id arn:secret"));
        let credentials = Credentials { auth_token: Ok(owner), sending: Err(unread), behind_cdn: false };
        assert_eq!(results(&credentials), [Pass, Unknown, Pass, Unknown]);
    }

    #[test]
    fn credentials_of_two_accounts_fail() {
        let full = || account("active", "Full");
        let sending = Ok(SendingCredential::AuthToken(owner(OTHER, full())));
        let credentials = Credentials { auth_token: Ok(owner(ACCOUNT, full())), sending, behind_cdn: false };
        assert_eq!(results(&credentials)[1], Fail);
    }
}
