//! Are the secrets filled in, does Twilio accept them, is the account open, and may the key that sends do nothing else?
//!
//! Twilio tells little: it answers a wrong key and a key that is not allowed to ask with the same 401. So a key is asked about
//! in three ways, and each row takes from the three answers what they prove:
//!
//! - the account, which only the auth token and a main key may read;
//! - the account's numbers, which a standard key may read too;
//! - the key's own policy, which the auth token may read, and which only a restricted key has.

use crate::report::{Check, CheckStatus, Finding};
use crate::twilio_api::{AccountStatus, AccountType, KeyPolicy, Session, TwilioAccount, TwilioApi, TwilioError};
use shared::runtime::credentials::{AccountSid, ApiKey, CredentialsError, Signer};
use shared::twilio::error_code::TwilioErrorCode;

/// The permission that a key needs to send, and all that it needs.
const SEND: &str = "/twilio/messaging/messages/create";
const MAKE_RESTRICTED: &str = "in the Twilio Console, create a restricted API key with the permission \
                               /twilio/messaging/messages/create and no other, and put it into the secret of send-code";
const AUTH_TOKEN: &str = "auth token";
const SENDING: &str = "sending credential";

/// What is in the two secrets, and what Twilio says to it.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The auth token's secret.
    pub auth_token: Result<AuthTokenFacts, CredentialsError>,
    /// The secret that sends go out with.
    pub sending: Result<SendingCredential, CredentialsError>,
}

/// The account with its auth token.
#[derive(Clone, Debug)]
pub struct AuthTokenFacts {
    /// To sign in with.
    pub key: ApiKey,
    /// What Twilio says.
    pub account: Result<TwilioAccount, TwilioError>,
}

/// What sends.
#[derive(Clone, Debug)]
pub enum SendingCredential {
    /// The auth token itself.
    AuthToken(AuthTokenFacts),
    /// An API key.
    ApiKey(ApiKeyFacts),
}

/// What Twilio says to an API key.
#[derive(Clone, Debug)]
pub struct ApiKeyFacts {
    /// To sign in with.
    pub key: ApiKey,
    /// Asked with this key.
    pub account: Result<TwilioAccount, TwilioError>,
    /// Asked with this key.
    pub numbers: Result<(), TwilioError>,
    /// Asked with the auth token, if there is one.
    pub policy: Result<KeyPolicy, TwilioError>,
}

impl Credentials {
    /// Asks Twilio.
    pub async fn read(
        twilio: &TwilioApi,
        auth_token: Result<Signer, CredentialsError>,
        sending: Result<ApiKey, CredentialsError>,
    ) -> Self {
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
            let asker = twilio.session(auth_token.as_ref().unwrap_or(&key));
            let (account, numbers, policy) =
                tokio::join!(session.account(), session.try_out(), asker.key_policy(key_sid));
            Ok(SendingCredential::ApiKey(ApiKeyFacts { key, account, numbers, policy }))
        };
        let (auth_token, sending) = tokio::join!(owner, sending);
        Self { auth_token, sending }
    }

    /// What to read the account with: the auth token, which may read everything, or else what sends.
    #[must_use]
    pub fn session<'a>(&'a self, twilio: &'a TwilioApi) -> Option<Session<'a>> {
        let refused = |asked: &TwilioError| matches!(asked, TwilioError::Unauthorized(_));
        let owner = self.auth_token.as_ref().ok().filter(|owner| !owner.account.as_ref().is_err_and(refused));
        let key = owner.map(|owner| &owner.key).or_else(|| match self.sending.as_ref().ok()? {
            SendingCredential::AuthToken(owner) => {
                Some(&owner.key).filter(|_| !owner.account.as_ref().is_err_and(refused))
            }
            SendingCredential::ApiKey(facts) => {
                Some(&facts.key).filter(|_| !facts.numbers.as_ref().is_err_and(refused))
            }
        });
        key.map(|key| twilio.session(key))
    }

    /// All rows about credentials.
    #[must_use]
    pub fn evaluate(&self) -> Vec<Finding> {
        vec![self.auth_token_row(), self.sending_row(), self.account_row(), self.restriction_row()]
    }

    /// Why nothing may be changed with these: of two accounts, the one that the key does not send from might be changed.
    #[must_use]
    pub fn refuses_repairs(&self) -> Option<&'static str> {
        let failed = |check| self.evaluate().iter().any(|row| row.check == check && row.result == CheckStatus::Fail);
        if failed(Check::Credentials) {
            Some("the check credentials fails, so it is not sure whose account would be changed")
        } else if failed(Check::Account) {
            Some("the check account fails")
        } else {
            None
        }
    }

    fn auth_token_row(&self) -> Finding {
        let row = match &self.auth_token {
            Ok(owner) => accepted(&owner.account),
            Err(error) => unusable(error),
        };
        row.of(AUTH_TOKEN)
    }

    fn sending_row(&self) -> Finding {
        let row = match &self.sending {
            Err(error) => unusable(error),
            Ok(sending) if self.account_sid().is_some_and(|account| account != sending.account_sid()) => Finding::fail(
                Check::Credentials,
                format!("it belongs to {}, another account than the auth token's", sending.account_sid().as_str()),
                "put credentials of one account into both secrets: only the token of the account that owns a number signs \
                 its webhooks",
            ),
            Ok(SendingCredential::AuthToken(owner)) => accepted(&owner.account),
            Ok(SendingCredential::ApiKey(facts)) => facts.accepted(),
        };
        row.of(SENDING)
    }

    fn account_sid(&self) -> Option<&AccountSid> {
        self.auth_token.as_ref().ok().map(|owner| &owner.key.account_sid)
    }

    fn account_row(&self) -> Finding {
        let by_sending = match &self.sending {
            Ok(
                SendingCredential::AuthToken(AuthTokenFacts { account, .. })
                | SendingCredential::ApiKey(ApiKeyFacts { account, .. }),
            ) => Some(account),
            Err(_) => None,
        };
        let by_owner = self.auth_token.as_ref().ok().map(|owner| &owner.account);
        let answers = || by_owner.into_iter().chain(by_sending);
        match answers().find(|account| account.is_ok()).or_else(|| answers().next()) {
            Some(Ok(account)) => account_row(account),
            Some(Err(error)) if is_inactive(error) => closed("not active"),
            Some(Err(error)) => Finding::unread(Check::Account, "the account", error),
            None => {
                Finding::unknown(Check::Account, "there are no credentials to ask with", "see the rows of credentials")
            }
        }
    }

    fn restriction_row(&self) -> Finding {
        let check = Check::ApiKeyRestricted;
        match &self.sending {
            Ok(SendingCredential::AuthToken(_)) => Finding::fail(
                check,
                "send-code signs in with the auth token, which may do everything, and forge webhooks",
                format!("{MAKE_RESTRICTED}; then deploy with SendingCredential=ApiKey"),
            ),
            Ok(SendingCredential::ApiKey(facts)) => facts.restriction(),
            Err(_) => Finding::unknown(check, "there is no key to ask about", "see the rows of credentials"),
        }
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

impl ApiKeyFacts {
    fn accepted(&self) -> Finding {
        let check = Check::Credentials;
        if self.account.is_ok() || self.numbers.is_ok() {
            return Finding::pass(check, "Twilio accepts the API key");
        }
        match (&self.numbers, &self.policy) {
            (_, Err(TwilioError::NotFound)) => Finding::fail(
                check,
                "this account has no API key with this SID",
                "create an API key in the account, in Twilio's US region, and put it into the secret",
            ),
            // Only a key that signed in is told what it may not do; the policy proves that it is this account's.
            (Err(TwilioError::Forbidden { .. }), Ok(KeyPolicy::Allow(_))) => Finding::pass(
                check,
                "Twilio knows the API key; it may not read, so its secret is proved by the first send",
            ),
            (Err(error @ TwilioError::Unauthorized(_)), _) => Finding::fail(
                check,
                error.to_string(),
                "put the API key's SID and its secret into the secret again; a secret is shown only when its key is made",
            ),
            (Err(error), _) => Finding::unread(check, "what the API key may read", error),
            (Ok(()), _) => Finding::pass(check, "Twilio accepts the API key"),
        }
    }

    fn restriction(&self) -> Finding {
        let check = Check::ApiKeyRestricted;
        if self.account.is_ok() {
            return Finding::fail(
                check,
                "it is a main key, or as good as one: it may read the account and its keys",
                MAKE_RESTRICTED,
            );
        }
        match &self.policy {
            Ok(KeyPolicy::Allow(allowed)) if !allowed.iter().any(|permission| covers(permission)) => Finding::fail(
                check,
                format!("it may not send: it has {} permissions, and {SEND} is not among them", allowed.len()),
                MAKE_RESTRICTED,
            ),
            Ok(KeyPolicy::Allow(allowed)) => {
                let others = || allowed.iter().map(String::as_str).filter(|name| *name != SEND);
                let beyond: Vec<_> = others().filter(|name| !only_reads(name)).collect();
                let reading: Vec<_> = others().filter(|name| only_reads(name)).collect();
                if !beyond.is_empty() {
                    let found = format!("it may do more than send: {}", super::named(beyond.into_iter()));
                    Finding::fail(check, found, MAKE_RESTRICTED)
                } else if reading.is_empty() {
                    Finding::pass(check, "it may send, and nothing else")
                } else {
                    Finding::pass(
                        check,
                        format!("restricted; beside sending it may {}", super::named(reading.into_iter())),
                    )
                }
            }
            Ok(KeyPolicy::Unrestricted) => Finding::fail(
                check,
                "it is a standard key: it may also read every message, buy numbers and call",
                format!(
                    "{MAKE_RESTRICTED} (outside of Twilio's US region there are none: then a standard key is the least)"
                ),
            ),
            Err(error) => Finding::unread(check, "the API key's permissions", error),
        }
    }
}

/// Whether a permission, or a pattern of them, lets a key send.
fn covers(permission: &str) -> bool {
    permission.strip_suffix('*').map_or(permission == SEND, |start| SEND.starts_with(start))
}

/// Whether a permission changes nothing. A pattern may stand for anything.
fn only_reads(permission: &str) -> bool {
    !permission.contains('*') && ["/read", "/list"].iter().any(|end| permission.ends_with(end))
}

fn unusable(error: &CredentialsError) -> Finding {
    match error {
        CredentialsError::InvalidSecret { id, problem, fill_with } => Finding::fail(
            Check::Credentials,
            format!("the secret {problem}"),
            format!("aws secretsmanager put-secret-value --secret-id {id} --secret-string '{fill_with}'"),
        ),
        CredentialsError::Unavailable { reason, .. } => Finding::unknown(
            Check::Credentials,
            format!("the secret can't be read from Secrets Manager: {reason}"),
            "check the variables AUTH_TOKEN_SECRET and SENDING_SECRET, and the permissions in the function's role",
        ),
    }
}

fn accepted(account: &Result<TwilioAccount, TwilioError>) -> Finding {
    let check = Check::Credentials;
    match account {
        Ok(_) => Finding::pass(check, "Twilio accepts it"),
        Err(TwilioError::Forbidden { code: TwilioErrorCode(20008), .. }) => Finding::fail(
            check,
            "these are Twilio's test credentials: nothing is ever sent with them",
            "put the live auth token into the secret",
        ),
        Err(error @ (TwilioError::Unauthorized(_) | TwilioError::NotFound)) => Finding::fail(
            check,
            error.to_string(),
            "put the Account SID and the auth token, as the Twilio Console shows them, into the secret; if they are right, \
             look whether the account is suspended",
        ),
        // The row about the account says so.
        Err(error) if is_inactive(error) => {
            Finding::unknown(check, error.to_string(), "see the row of the check account")
        }
        Err(error) => Finding::unread(check, "the account", error),
    }
}

const fn is_inactive(error: &TwilioError) -> bool {
    matches!(error, TwilioError::Forbidden { code: TwilioErrorCode(20005 | 20403), .. })
}

fn closed(status: &str) -> Finding {
    let advice = "see the Twilio Console for the reason, or ask Twilio's support: nothing is sent until it is active";
    Finding::fail(Check::Account, format!("the account is {status}"), advice)
}

fn account_row(account: &TwilioAccount) -> Finding {
    match (&account.status, &account.kind) {
        (AccountStatus::Active, AccountType::Trial) => Finding::fail(
            Check::Account,
            "it is a trial account: it texts only numbers that were verified by hand, and refuses all others with 21608",
            "upgrade the account in the Twilio Console",
        ),
        (AccountStatus::Active, kind) => Finding::pass(Check::Account, format!("active, {}", kind.as_str())),
        (status, _) => closed(status.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};
    use serde_json::json;
    use shared::runtime::credentials::InvalidSecret;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const OTHER: &str = "AC00000000000000000000000000000002";

    fn signer(account_sid: &str) -> Signer {
        let text = format!(r#"{{"accountSid":"{account_sid}","authToken":"0123456789abcdef0123456789abcdef"}}"#);
        text.parse().unwrap()
    }

    fn owner(account_sid: &str, account: Result<TwilioAccount, TwilioError>) -> AuthTokenFacts {
        AuthTokenFacts { key: signer(account_sid).into(), account }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands among answers that are errors")]
    fn account(status: &str, kind: &str) -> Result<TwilioAccount, TwilioError> {
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
        credentials.evaluate().iter().map(|row| row.result).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn an_api_key_is_judged_by_all_that_twilio_tells_of_it() {
        let full = || account("active", "Full");
        // What the key is told of the account and of the numbers; its policy; whether it is accepted, whether restricted.
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
            assert_eq!((facts.accepted().result, facts.restriction().result), (accepted, restricted), "{facts:?}");
        }
    }

    #[test]
    fn the_auth_token_and_its_account_are_judged_apart() {
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
            let credentials =
                Credentials { auth_token: Ok(owner.clone()), sending: Ok(SendingCredential::AuthToken(owner)) };
            // The auth token in use for sending is always too much.
            assert_eq!(results(&credentials), [auth_token, auth_token, account_is, Fail], "{credentials:?}");
        }
    }

    #[test]
    fn a_secret_that_is_not_filled_in_says_how_to_and_nothing_of_what_is_in_it() {
        let id = "arn:secret".to_owned();
        let unfilled = CredentialsError::InvalidSecret {
            id: id.clone(),
            problem: InvalidSecret::Placeholder("authToken"),
            fill_with: "{…}",
        };
        let unread = CredentialsError::Unavailable { id, reason: "it did not answer in time".to_owned() };
        let owner = owner(ACCOUNT, account("active", "Full"));
        let credentials =
            Credentials { auth_token: Err(unfilled), sending: Ok(SendingCredential::AuthToken(owner.clone())) };
        assert_eq!(results(&credentials), [Fail, Pass, Pass, Fail]);
        assert!(credentials.evaluate()[0].advice.contains("put-secret-value --secret-id arn:secret"));
        let credentials = Credentials { auth_token: Ok(owner), sending: Err(unread) };
        assert_eq!(results(&credentials), [Pass, Unknown, Pass, Unknown]);
    }

    #[test]
    fn credentials_of_two_accounts_do_not_go_together() {
        let full = || account("active", "Full");
        let sending = Ok(SendingCredential::AuthToken(owner(OTHER, full())));
        let credentials = Credentials { auth_token: Ok(owner(ACCOUNT, full())), sending };
        assert_eq!(results(&credentials)[1], Fail);
        assert!(credentials.refuses_repairs().is_some());
    }
}
