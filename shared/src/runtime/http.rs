//! The one HTTP and TLS stack: reqwest over rustls, for Twilio and, through a small adapter, under the AWS SDK.
//!
//! The adapter is 45 lines. It gives Twilio and AWS the same TLS configuration, the same connection settings and the same kinds of
//! errors, and keeps a second HTTP client out of every function.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use rustls::ClientConfig;
use rustls::crypto::ring;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For everything: connection, request and answer.
    pub total: Duration,
}

/// Why an HTTP client can't be built.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// TLS can't be configured.
    #[error("can't set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The client can't be built.
    #[error("can't build the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Whether a connection may serve several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Kept open while the sandbox is warm, for calls that may safely be made twice.
    Kept,
    /// A new one for each request. After a freeze, a sandbox notices that a connection is dead only when it writes to it. Then it
    /// is unknown whether the request has arrived, and a message must not be sent twice.
    Fresh,
}

/// TLS, configured once: reading the machine's certificate authorities is most of the work of building a client.
#[derive(Clone)]
pub struct Tls(ClientConfig);

impl Tls {
    /// Uses the cryptography of `ring`, TLS 1.2 and 1.3, and the certificate authorities that the machine trusts.
    ///
    /// # Errors
    /// [`HttpError::Tls`] if the machine trusts none.
    pub fn new() -> Result<Self, HttpError> {
        use rustls_platform_verifier::BuilderVerifierExt as _;

        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        Ok(Self(tls))
    }

    /// Builds a client that follows no redirects, so credentials reach only the host they were meant for.
    ///
    /// # Errors
    /// [`HttpError::Client`] if the client can't be built.
    pub fn client(&self, timeouts: Timeouts, connections: Connections) -> Result<reqwest::Client, HttpError> {
        let most_idle = match connections {
            Connections::Kept => usize::MAX,
            Connections::Fresh => 0,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .pool_max_idle_per_host(most_idle)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy from the environment would see credentials.
            .no_proxy()
            // A resolver might point it elsewhere.
            .resolve_to_addrs("localhost", &[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()])
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(client)
    }
}

/// Adapts a client to the AWS SDK.
#[must_use]
pub fn for_aws(client: reqwest::Client) -> SharedHttpClient {
    SharedHttpClient::new(ForAws(client))
}

#[derive(Clone, Debug)]
struct ForAws(reqwest::Client);

impl HttpClient for ForAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for ForAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            // Every request of ours has its whole body in memory. A stream could not be retried anyway.
            let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
            let request = reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.execute(request).await.map_err(connector_error)?;

            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.bytes().await.map_err(connector_error)?;
            let mut answer = HttpResponse::new(status.into(), SdkBody::from(body));
            for (name, value) in &headers {
                if let Ok(value) = value.to_str() {
                    answer.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(answer)
        })
    }
}

/// No connection was established, so the request was not transmitted.
#[derive(Debug, thiserror::Error)]
#[error("no connection was established")]
pub struct NeverConnected(#[source] pub BoxError);

/// Whether a request of the AWS SDK failed before a connection was established.
pub(crate) fn never_connected(error: &ConnectorError) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<NeverConnected>)
}

/// Classifies a failure, so that the SDK knows whether to retry.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_connect() {
        let timed_out = error.is_timeout();
        let error = NeverConnected(error.into()).into();
        if timed_out { ConnectorError::timeout(error) } else { ConnectorError::io(error) }
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_request() || error.is_body() {
        ConnectorError::io(error.into())
    } else {
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    }
}
