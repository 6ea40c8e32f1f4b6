//! The AWS clients, from the variables that Lambda itself sets.
//!
//! `aws-config` looks for credentials in ten places. A function has them in one, and reading only that one is faster, smaller and
//! can't pick up the wrong ones.

use crate::runtime::backoff::Backoff;
use crate::runtime::http::{self, Connections, HttpError, Timeouts, Tls};
use crate::runtime::lambda_account::LambdaAccount;
use crate::runtime::settings::{Environment, SettingError};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::time::Duration;

/// For a connection to AWS, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

/// Clients for the services that the functions use.
#[derive(Clone, Debug)]
pub struct Aws {
    /// For the table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For the secrets.
    pub secrets_manager: aws_sdk_secretsmanager::Client,
    /// For Lambda's quota of the account.
    pub lambda: LambdaAccount,
}

/// How to connect to AWS.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// One address for all services, to use an emulator instead of AWS.
    pub endpoint: Option<String>,
    /// The credentials. The SDK's type redacts them in `Debug`.
    pub credentials: Credentials,
    /// How the SDK retries lost connections, timeouts, throttling and 5xx.
    pub backoff: Backoff,
    /// For one attempt of a call.
    pub attempt_timeout: Duration,
}

impl AwsSettings {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// [`SettingError`] names the variable that is missing.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let session_token = environment.optional("AWS_SESSION_TOKEN").map(str::to_owned);
        Ok(Self {
            region: environment.required("AWS_REGION")?.to_owned(),
            endpoint: environment.optional("AWS_ENDPOINT_URL").map(str::to_owned),
            credentials: Credentials::new(
                environment.required("AWS_ACCESS_KEY_ID")?,
                environment.required("AWS_SECRET_ACCESS_KEY")?,
                session_token,
                None,
                "Lambda",
            ),
            backoff: Backoff { tries: 3, base: Duration::from_millis(50), cap: Duration::from_millis(500) },
            attempt_timeout: Duration::from_secs(1),
        })
    }

    /// Builds the clients over one HTTP client.
    ///
    /// # Errors
    /// [`HttpError`] if that can't be built.
    pub fn connect(&self, tls: &Tls) -> Result<Aws, HttpError> {
        let timeouts = Timeouts { connect: CONNECT_TIMEOUT, total: self.attempt_timeout };
        Ok(self.connect_over(http::for_aws(tls.client(timeouts, Connections::Kept)?)))
    }

    /// Builds the clients over the given HTTP client.
    #[must_use]
    pub fn connect_over(&self, http: SharedHttpClient) -> Aws {
        let sleep = SharedAsyncSleep::new(TokioSleep::new());
        let mut dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .sleep_impl(sleep.clone())
            .retry_config(self.retry())
            .timeout_config(self.timeouts())
            .http_client(http.clone());
        dynamodb.set_endpoint_url(self.endpoint.clone());
        let mut secrets_manager = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .sleep_impl(sleep.clone())
            .retry_config(self.retry())
            .timeout_config(self.timeouts())
            .http_client(http.clone());
        secrets_manager.set_endpoint_url(self.endpoint.clone());
        Aws {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            secrets_manager: aws_sdk_secretsmanager::Client::from_conf(secrets_manager.build()),
            lambda: LambdaAccount {
                region: self.region.clone(),
                endpoint: self.endpoint.clone(),
                credentials: self.credentials.clone(),
                retry: self.retry(),
                timeouts: self.timeouts(),
                sleep,
                http,
            },
        }
    }

    fn retry(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.backoff.tries)
            .with_initial_backoff(self.backoff.base)
            .with_max_backoff(self.backoff.cap)
    }

    fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder().operation_attempt_timeout(self.attempt_timeout).build()
    }
}

/// Why a call failed, as the end of "the secret X can't be read from Secrets Manager: …". Contains nothing of the request or the
/// answer, which may be secret or personal.
pub fn reason<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    match error {
        SdkError::TimeoutError(_) => "it did not answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "the connection failed".to_owned(),
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("without an error code");
            format!("it answered {code} (HTTP {})", service.raw().status().as_u16())
        }
        _ => "its answer can't be parsed".to_owned(),
    }
}
