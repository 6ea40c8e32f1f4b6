//! Lambda's quota of the account, by one signed GET.
//!
//! The SDK's crate for Lambda has some seventy operations. This one needs none of its types: the SDK's own orchestrator and signer
//! make the call, so retries, timeouts and errors are those of the other clients.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html>

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials};
use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::error::SdkError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::error::metadata::ErrorMetadata;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

const PATH: &str = "/2016-08-19/account-settings";

/// How many invocations may run at the same time in this account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Concurrency {
    /// The account's quota.
    #[serde(rename = "ConcurrentExecutions")]
    pub quota: u64,
    /// What of it no function has reserved for itself. Functions without a reservation share it.
    #[serde(rename = "UnreservedConcurrentExecutions")]
    pub unreserved: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountSettings {
    account_limit: Concurrency,
}

/// Reads the quota. Every function is given one, and one uses it: the call is built when it is made, so the linker leaves it out of
/// the others.
#[derive(Clone, Debug)]
pub struct LambdaAccount {
    pub(super) region: String,
    pub(super) endpoint: Option<String>,
    pub(super) credentials: Credentials,
    pub(super) retry: RetryConfig,
    pub(super) timeouts: TimeoutConfig,
    pub(super) sleep: SharedAsyncSleep,
    pub(super) http: SharedHttpClient,
}

impl LambdaAccount {
    fn operation(&self) -> Operation<SystemTime, Concurrency, ErrorMetadata> {
        let Self { region, endpoint, credentials, retry, timeouts, sleep, http } = self.clone();
        let endpoint = endpoint.unwrap_or_else(|| endpoint_of(&region));
        let url = format!("{endpoint}{PATH}");
        Operation::builder()
            .service_name("Lambda")
            .operation_name("GetAccountSettings")
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .endpoint_url(&endpoint)
            .no_auth() // of the orchestrator's own: the request is signed as it is made
            .sleep_impl(sleep)
            .standard_retry(&retry)
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .timeout_config(timeouts)
            .serializer(move |now| request(&url, &region, &credentials, now))
            .deserializer(concurrency)
            .build()
    }

    /// Asks Lambda, with a signature of this time.
    ///
    /// # Errors
    /// [`SdkError`] if Lambda refuses, or can't be reached.
    pub async fn concurrency(&self, now_ms: u64) -> Result<Concurrency, SdkError<ErrorMetadata>> {
        self.operation().invoke(SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms)).await
    }
}

/// <https://docs.aws.amazon.com/general/latest/gr/lambda-service.html>
fn endpoint_of(region: &str) -> String {
    let suffix = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://lambda.{region}.{suffix}")
}

/// The request with its signature, which holds for minutes, longer than all tries.
fn request(url: &str, region: &str, credentials: &Credentials, now: SystemTime) -> Result<HttpRequest, BoxError> {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let unsigned = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (signature, _) = sign(unsigned, &parameters)?.into_parts();
    let mut request = HttpRequest::empty();
    request.set_method("GET")?;
    request.set_uri(PATH)?;
    for (name, value) in signature.headers() {
        request.headers_mut().insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}

fn concurrency(response: &HttpResponse) -> Result<Concurrency, OrchestratorError<ErrorMetadata>> {
    if !response.status().is_success() {
        let kind = response.headers().get("x-amzn-errortype").unwrap_or_default();
        // As in "AccessDeniedException:http://internal.amazon.com/…".
        let code = kind.split(':').next().filter(|code| !code.is_empty());
        let error = code.map_or_else(ErrorMetadata::builder, |code| ErrorMetadata::builder().code(code)).build();
        return Err(OrchestratorError::operation(error));
    }
    let body = response.body().bytes().unwrap_or_default();
    let settings: AccountSettings =
        serde_json::from_slice(body).map_err(|error| OrchestratorError::other(error.to_string()))?;
    Ok(settings.account_limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature is what botocore 1.43's `SigV4Auth` computes for the same request.
    #[test]
    fn the_request_is_signed_as_aws_expects() {
        let token = Some("a-session-token".to_owned());
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let url = endpoint_of("us-east-1") + PATH;
        let request = request(&url, "us-east-1", &credentials, now).unwrap();
        let header = |name| request.headers().get(name).unwrap_or_default();
        assert_eq!(header("x-amz-date"), "20270115T080000Z");
        assert_eq!(header("x-amz-security-token"), "a-session-token");
        assert_eq!(
            header("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/us-east-1/lambda/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-security-token, \
             Signature=2f15e72b961c166a4eacc9ef44c1fa72720fad90cab1252af8bbeaf7fcabe14a"
        );
    }

    #[test]
    fn each_partition_has_its_own_domain() {
        for (region, expected) in [
            ("us-east-1", "https://lambda.us-east-1.amazonaws.com"),
            ("us-gov-west-1", "https://lambda.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "https://lambda.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "https://lambda.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(endpoint_of(region), expected);
        }
    }
}
