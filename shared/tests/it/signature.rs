use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, SignatureError, SignedRequest, sign, verify};

#[derive(serde::Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    method: String,
    auth_token: String,
    url: String,
    content_type: Option<String>,
    raw_body: Option<String>,
    raw_body_base64: Option<String>,
    signature: Option<String>,
    expect: bool,
    why: String,
}

#[test]
fn every_vector_of_the_official_libraries_gives_its_expectation() {
    let Vectors { vectors } = serde_json::from_str(include_str!("../data/signature.json")).unwrap();
    assert_eq!(vectors.len(), 123);
    for vector in vectors {
        let body = match (&vector.raw_body, &vector.raw_body_base64) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(encoded)) => BASE64.decode(encoded).unwrap(),
            (None, None) => panic!("{} has no body", vector.name),
        };
        let request = SignedRequest {
            method: &vector.method,
            url: &vector.url,
            content_type: vector.content_type.as_deref(),
            body: &body,
            signature: vector.signature.as_deref(),
        };
        // An empty token can't be made at all, so a request "signed" with one can't pass.
        let token = AuthToken::new(&vector.auth_token).ok();
        let verified = verify(token.as_ref(), &request);
        assert_eq!(verified.is_ok(), vector.expect, "{}: {} ({verified:?})", vector.name, vector.why);
    }
}

const URL: &str = "https://example.com/sms";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

fn token(text: &str) -> AuthToken {
    AuthToken::new(text).unwrap()
}

#[test]
fn any_live_token_signs_and_the_answer_tells_which() {
    let (old, new, other) = (token("old"), token("new"), token("other"));
    let form = Form::from_pairs([("Body", "Hi"), ("From", "+14155550123")]);
    let body = form.encoded();
    for (signer, expected) in [(&old, Some(1)), (&new, Some(0)), (&other, None)] {
        let signature = sign(signer, URL, &form);
        let request = SignedRequest {
            method: "POST",
            url: URL,
            content_type: Some(FORM),
            body: body.as_bytes(),
            signature: Some(&signature),
        };
        assert_eq!(verify([&new, &old], &request).ok().map(|verified| verified.token), expected);
        assert_eq!(verify([], &request).err(), Some(SignatureError::Mismatch), "no token accepts nothing");
    }
}

#[test]
fn a_token_and_a_form_never_show_in_debug_output() {
    let shown = format!("{:?} {:?}", token("s3cret"), Form::from_pairs([("Body", "private")]));
    assert!(!shown.contains("s3cret") && !shown.contains("private") && !shown.contains("Body"), "{shown}");
}

#[test]
fn the_port_forms_of_a_url_never_reach_into_its_path_query_or_userinfo() {
    let key = token("t");
    let accepts = |configured: &str, signed: &str| {
        let signature = sign(&key, signed, &Form::default());
        let request = SignedRequest {
            method: "GET",
            url: configured,
            content_type: None,
            body: b"",
            signature: Some(&signature),
        };
        verify([&key], &request).is_ok()
    };
    for (configured, signed, expected) in [
        ("https://[::1]/sms", "https://[::1]:443/sms", true),
        ("https://[::1]:8443/sms", "https://[::1]/sms", true),
        ("https://[::1]/sms", "https://[:/sms", false),
        ("https://user:secret@example.com/sms", "https://user:secret@example.com:443/sms", true),
        ("https://user:secret@example.com/sms", "https://user/sms", false),
        ("https://example.com?a=b:c/d", "https://example.com:443?a=b:c/d", true),
        ("https://example.com/a:1/b", "https://example.com/a/b", false),
        ("https://example.com/sms#rc=3&rp=all", "https://example.com/sms", true),
        ("https://example.com:8443/sms", "https://example.com:443/sms", false),
        ("https://example.com/sms", "http://example.com/sms", false),
        ("not a url", "not a url", true),
    ] {
        assert_eq!(accepts(configured, signed), expected, "{configured} signed as {signed}");
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted_and_a_changed_byte_is_not(
        pairs in prop::collection::vec((".{0,12}", ".{0,40}"), 0..8),
        path in "[a-z/]{0,12}",
        changed in any::<prop::sample::Index>(),
    ) {
        let key = token("0123456789abcdef0123456789abcdef");
        let url = format!("https://example.com/{path}");
        let form = Form::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let body = form.encoded();
        let signature = sign(&key, &url, &form);
        let request = SignedRequest {
            method: "POST", url: &url, content_type: Some(FORM), body: body.as_bytes(), signature: Some(&signature),
        };
        prop_assert_eq!(verify([&key], &request).unwrap().form, Some(form));

        let mut forged = signature.clone().into_bytes();
        let at = changed.index(forged.len());
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let request = SignedRequest { signature: Some(&forged), ..request };
        prop_assert!(verify([&key], &request).is_err());
    }

    #[test]
    fn hostile_requests_never_panic_and_never_pass(
        method in "GET|POST|HEAD|PUT|\\PC{0,5}",
        url in prop_oneof![
            ".{0,60}",
            "(https?://)?[\\[\\]@:/?#a1.]{0,30}(bodySHA256=[0-9a-f]{0,64})?",
        ],
        content_type in prop::option::of(prop_oneof![Just(FORM.to_owned()), ".{0,40}".boxed()]),
        body in prop::collection::vec(any::<u8>(), 0..200),
        signature in prop::option::of(".{0,40}|[A-Za-z0-9+/]{27}="),
    ) {
        let request = SignedRequest {
            method: &method, url: &url, content_type: content_type.as_deref(), body: &body, signature: signature.as_deref(),
        };
        prop_assert!(verify([&token("a key nobody guesses")], &request).is_err());
    }

    #[test]
    fn a_form_survives_encoding_and_decoding(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let form = Form::parse(&body);
        prop_assert_eq!(Form::parse(form.encoded().as_bytes()), form);
    }
}
