//! The accounts, secrets and names that the local system always uses, so that scripts and tests can write them down.

use fake_twilio::TwilioAccount;
use serde_json::{Value, json};
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, EmptyAuthToken, sign};

/// The account of the fake Twilio. Its credentials are public: they open nothing but the fake on this machine.
pub const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
/// The account's auth token, which signs webhooks.
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// The account's API key, which sends.
pub const API_KEY_SID: &str = "SK00000000000000000000000000000001";
/// The API key's secret.
pub const API_KEY_SECRET: &str = "local-api-key-secret";
/// The account's phone number: Twilio's magic number for a sender that works.
pub const OUR_NUMBER: &str = "+15005550006";
/// The account's Messaging Service.
pub const OUR_SERVICE: &str = "MG00000000000000000000000000000001";

/// The name of the secret with the auth token.
pub const AUTH_TOKEN_SECRET: &str = "tollgate/twilio-auth-token";
/// The name of the secret with the API key.
pub const API_KEY_SECRET_NAME: &str = "tollgate/twilio-api-key";
/// The name of the secret with the key of the table's HMACs.
pub const HMAC_KEY_SECRET: &str = "tollgate/hmac-key";
/// The name of the table.
pub const TABLE_NAME: &str = "tollgate";

/// The account, with everything that it owns.
#[must_use]
pub fn account() -> TwilioAccount {
    TwilioAccount {
        account_sid: ACCOUNT_SID.to_owned(),
        auth_token: AUTH_TOKEN.to_owned(),
        api_key_sid: API_KEY_SID.to_owned(),
        api_key_secret: API_KEY_SECRET.to_owned(),
        numbers: vec![OUR_NUMBER.to_owned()],
        messaging_services: vec![OUR_SERVICE.to_owned()],
    }
}

/// The value of the secret with the auth token.
#[must_use]
pub fn auth_token_json(auth_token: &str) -> String {
    format!(r#"{{"accountSid":"{ACCOUNT_SID}","authToken":"{auth_token}"}}"#)
}

/// The value of the secret with the API key.
#[must_use]
pub fn api_key_json(secret: &str) -> String {
    format!(r#"{{"accountSid":"{ACCOUNT_SID}","apiKeySid":"{API_KEY_SID}","apiKeySecret":"{secret}"}}"#)
}

/// Every secret, by its name, with the value that it has at first.
#[must_use]
pub fn secrets() -> [(&'static str, String); 3] {
    [
        (AUTH_TOKEN_SECRET, auth_token_json(AUTH_TOKEN)),
        (API_KEY_SECRET_NAME, api_key_json(API_KEY_SECRET)),
        // Always the same, so that a table kept with --data stays readable.
        (HMAC_KEY_SECRET, r#"{"key":"the-key-of-a-laptop-protects-nothing-at-all"}"#.to_owned()),
    ]
}

/// The event of a webhook that Twilio signs with this token. `base_url` is the URL that Twilio calls, without the path.
///
/// # Errors
/// [`EmptyAuthToken`] without a token.
pub fn signed_event(base_url: &str, path: &str, auth_token: &str, form: &Form) -> Result<Value, EmptyAuthToken> {
    let signature = sign(&AuthToken::new(auth_token)?, &format!("{base_url}{path}"), form);
    Ok(json!({
        "rawPath": path,
        "headers": {"content-type": "application/x-www-form-urlencoded; charset=UTF-8", "x-twilio-signature": signature},
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default", "domainName": "ignored.example"},
        "body": form.encoded(),
        "isBase64Encoded": false,
    }))
}
