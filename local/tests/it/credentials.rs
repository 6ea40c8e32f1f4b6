//! Secrets: one fetch, a clear error about an invalid secret, and a rotation that no request notices.

use crate::support::{Local, PRIVATE, TestClock, message, outcome, sid, start};
use local::fixtures::{ACCOUNT_SID, AUTH_TOKEN, AUTH_TOKEN_SECRET};
use shared::runtime::aws::AwsSettings;
use shared::runtime::credentials::{CredentialsError, InvalidSecret, Secret};
use shared::runtime::http::Tls;
use shared::runtime::settings::Environment;
use std::sync::Arc;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";

fn secrets_manager(local: &Local) -> aws_sdk_secretsmanager::Client {
    let environment = Environment::of([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", &local.system.base_url),
    ]);
    AwsSettings::from_environment(&environment).unwrap().connect(&Tls::new().unwrap()).unwrap().secrets_manager
}

fn fetches(local: &Local) -> usize {
    local.system.secrets.calls("GetSecretValue")
}

fn auth_token(token: &str) -> String {
    format!(r#"{{"accountSid":"{ACCOUNT_SID}","authToken":"{token}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_first_uses_fetch_once_and_warm_ones_not_at_all() {
    let local = start([]).await;
    let secret = Arc::new(Secret::signer(secrets_manager(&local), AUTH_TOKEN_SECRET, local.clock.clock()));
    let before = fetches(&local);
    let mut uses = JoinSet::new();
    for _ in 0..16 {
        let secret = secret.clone();
        uses.spawn(async move { secret.get().await.map(|versions| versions.len()) });
    }
    assert!(uses.join_all().await.into_iter().all(|versions| versions == Ok(1)));
    assert_eq!(fetches(&local) - before, 1);
    secret.get().await.unwrap();
    assert_eq!(fetches(&local) - before, 1);
}

#[tokio::test]
async fn a_secret_that_cant_be_used_says_which_and_how_to_fill_it() {
    let local = start([]).await;
    let client = secrets_manager(&local);
    for (value, problem) in [
        ("", InvalidSecret::NotJson),
        ("0123456789abcdef0123456789abcdef", InvalidSecret::NotJson),
        ("[]", InvalidSecret::NotJson),
        (r#"{"accountSid": 7}"#, InvalidSecret::NotJson),
        ("{}", InvalidSecret::Missing("authToken")),
        (r#"{"authToken":"  "}"#, InvalidSecret::Missing("authToken")),
        (r#"{"accountSid":"REPLACE_ME","authToken":"REPLACE_ME"}"#, InvalidSecret::Placeholder("authToken")),
        (r#"{"authToken":"<your token>"}"#, InvalidSecret::Placeholder("authToken")),
        (r#"{"authToken":"0123456789abcdef0123456789abcdef"}"#, InvalidSecret::Missing("accountSid")),
        (
            r#"{"accountSid":"AC1","authToken":"0123456789abcdef0123456789abcdef"}"#,
            InvalidSecret::Shape("accountSid", "an account SID (AC and 32 hexadecimal digits)"),
        ),
    ] {
        local.system.secrets.put("trial", value);
        let error = Secret::signer(client.clone(), "trial", local.clock.clock()).get().await.unwrap_err();
        assert!(
            matches!(&error, CredentialsError::InvalidSecret { problem: found, .. } if *found == problem),
            "{value}: {error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("trial") && text.contains("aws secretsmanager put-secret-value --secret-id trial"),
            "{text}"
        );
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
    let missing = Secret::signer(client, "nowhere", local.clock.clock()).get().await.unwrap_err().to_string();
    assert!(missing.contains("nowhere") && missing.contains("ResourceNotFoundException"), "{missing}");
}

#[tokio::test]
async fn field_names_may_be_in_snake_case_and_an_auth_token_may_send() {
    let local = start([]).await;
    let client = secrets_manager(&local);
    local.system.secrets.put("snake", &format!(r#"{{"account_sid":"{ACCOUNT_SID}","auth_token":" {AUTH_TOKEN} "}}"#));
    let clock = TestClock::new().clock();
    let signers = Secret::signer(client.clone(), "snake", clock.clone()).get().await.unwrap();
    assert_eq!(signers[0].account_sid.as_str(), ACCOUNT_SID);
    assert!(Secret::api_key(client, "snake", clock).get().await.is_ok());

    let local = start([("SENDING_SECRET", AUTH_TOKEN_SECRET)]).await;
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
}

#[tokio::test]
async fn a_function_without_credentials_starts_says_what_is_missing_and_counts_nothing() {
    let local = start([("SENDING_SECRET", "empty"), ("AUTH_TOKEN_SECRET", "empty"), ("PHONE_LIMIT", "1/1h")]).await;
    let error = local.send(PHONE, "203.0.113.7").await.unwrap_err();
    assert_eq!(error.kind(), "CredentialsUnavailable");
    let (status, body) = local.text_in(PHONE, PRIVATE, &sid(1)).await;
    assert_eq!((status, body.contains("empty")), (500, false), "{body}");

    local.system.secrets.put("empty", r#"{"accountSid":"REPLACE_ME","authToken":"REPLACE_ME"}"#);
    assert!(local.send(PHONE, "203.0.113.7").await.unwrap_err().to_string().contains("placeholder"));
    // Filled in, they work at once.
    local.system.secrets.put("empty", &auth_token(AUTH_TOKEN));
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await.0, 200);
}

/// Fifty webhooks signed with each of these tokens, all at once, with fifty forged ones: how many of each were accepted.
async fn under_load(local: &Arc<Local>, round: u64, tokens: &[&str]) -> Vec<usize> {
    let mut webhooks = JoinSet::new();
    for n in 0..50 {
        for (index, token) in tokens.iter().copied().chain(["a guess"]).enumerate() {
            let (local, token) = (local.clone(), token.to_owned());
            let form = message(PHONE, PRIVATE, &sid(round * 10_000 + n * 100 + index as u64));
            webhooks.spawn(async move { (index, local.webhook(&token, &form).await.0) });
        }
    }
    let mut taken = vec![0; tokens.len() + 1];
    for (index, status) in webhooks.join_all().await {
        assert!(status == 200 || status == 403);
        taken[index] += usize::from(status == 200);
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_of_the_auth_token_under_load_loses_no_webhook() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let local = Arc::new(start([]).await);
    let secrets = &local.system.secrets;
    assert_eq!(under_load(&local, 0, &[AUTH_TOKEN]).await, [50, 0]);

    // Managed rotation: the new token is pending; Twilio promotes it, and requests signed with the old one are still under way.
    local.clock.advance_seconds(60);
    secrets.set_version(AUTH_TOKEN_SECRET, "AWSPENDING", &auth_token(NEW));
    assert_eq!(under_load(&local, 1, &[AUTH_TOKEN, NEW]).await, [50, 50, 0]);
    // Secrets Manager makes it the current one.
    secrets.remove_stage(AUTH_TOKEN_SECRET, "AWSPENDING");
    secrets.put(AUTH_TOKEN_SECRET, &auth_token(NEW));
    local.clock.advance_seconds(60);
    assert_eq!(under_load(&local, 2, &[AUTH_TOKEN, NEW]).await, [50, 50, 0]);
    // Nothing but the new one is left after the cache's age.
    local.clock.advance_seconds(301);
    assert_eq!(under_load(&local, 3, &[NEW]).await, [50, 0]);
}

#[tokio::test]
async fn a_rotation_by_hand_loses_no_webhook_whichever_comes_first() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let local = start([]).await;
    // The secret first: Twilio still signs with the old token, also for a function that starts only now.
    local.system.secrets.put(AUTH_TOKEN_SECRET, &auth_token(NEW));
    local.clock.advance_seconds(301);
    assert_eq!(local.webhook(AUTH_TOKEN, &message(PHONE, PRIVATE, &sid(1))).await.0, 200);
    assert_eq!(local.webhook(NEW, &message(PHONE, PRIVATE, &sid(2))).await.0, 200);
}

#[tokio::test]
async fn a_leaked_token_is_refused_an_hour_after_it_was_replaced() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let local = start([]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &auth_token(NEW));
    local.clock.advance_seconds(3600);
    assert_eq!(local.webhook(AUTH_TOKEN, &message(PHONE, PRIVATE, &sid(1))).await.0, 403);
    assert_eq!(local.webhook(NEW, &message(PHONE, PRIVATE, &sid(2))).await.0, 200);
}

#[tokio::test]
async fn a_leaked_token_is_refused_within_five_minutes_if_the_new_one_is_put_twice() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let local = start([]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &auth_token(NEW));
    local.system.secrets.put(AUTH_TOKEN_SECRET, &auth_token(NEW));
    local.clock.advance_seconds(300);
    assert_eq!(local.webhook(AUTH_TOKEN, &message(PHONE, PRIVATE, &sid(1))).await.0, 403);
    assert_eq!(local.webhook(NEW, &message(PHONE, PRIVATE, &sid(2))).await.0, 200);
}

#[tokio::test]
async fn a_secret_that_is_emptied_ends_what_was_cached_and_one_that_cant_be_reached_does_not() {
    let local = start([("SENDING_SECRET", "own")]).await;
    local.system.secrets.put("own", &auth_token(AUTH_TOKEN));
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
    local.system.secrets.put("own", r#"{"accountSid":"REPLACE_ME","authToken":"REPLACE_ME"}"#);
    local.clock.advance_seconds(300);
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "CredentialsUnavailable");
    local.system.secrets.put("own", &auth_token(AUTH_TOKEN));
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
    local.system.secrets.remove_stage("own", "AWSCURRENT");
    local.clock.advance_seconds(300);
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
}

#[tokio::test]
async fn forged_webhooks_make_us_look_for_newer_tokens_once_a_minute() {
    let local = start([]).await;
    let before = fetches(&local);
    for n in 0..100 {
        assert_eq!(local.webhook("a guess", &message(PHONE, PRIVATE, &sid(n))).await.0, 403);
    }
    assert_eq!(fetches(&local) - before, 3, "the current, the pending and the previous version, once");
    local.clock.advance_seconds(60);
    for n in 0..100 {
        assert_eq!(local.webhook("a guess", &message(PHONE, PRIVATE, &sid(n))).await.0, 403);
    }
    assert_eq!(fetches(&local) - before, 6);
}

#[tokio::test]
async fn an_api_key_that_was_rotated_is_found_at_the_401_and_the_sms_goes_once() {
    let local = start([("SENDING_SECRET", "rotating")]).await;
    local.system.secrets.put("rotating", &auth_token("the-old-one-that-twilio-forgot"));
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "TwilioUnavailable", "released, not counted");

    local.system.secrets.put("rotating", &auth_token(AUTH_TOKEN));
    local.clock.advance_seconds(60);
    assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
    assert_eq!(local.texts().len(), 1);
}
