//! The one HTTP and TLS stack: reqwest over rustls, for Twilio and, through a small adapter, under the AWS SDK.
//!
//! One stack instead of two is 2 MB less in each function and one place that says how long a peer may take.

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

/// How long a peer may take before it counts as away.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To a connection, TLS included.
    pub connect: Duration,
    /// To the whole answer.
    pub total: Duration,
}

/// Why no HTTP client could be built.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No protocol version fits the cryptography that is built in.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// No certificate authorities, or no resolver.
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Whether a connection may serve several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Kept open while warm: for calls that may safely be made again.
    Kept,
    /// A new one for each request. A sandbox that was frozen finds its connections dead only when it writes to them, and
    /// then nobody knows whether a request that must not be made twice has arrived.
    Fresh,
}

/// TLS, set up once: reading the machine's certificate authorities is most of the work of building a client.
#[derive(Clone)]
pub struct Tls(ClientConfig);

impl Tls {
    /// Takes the cryptography of `ring`, TLS 1.2 and 1.3, and the certificate authorities that the machine trusts.
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

    /// Builds a client that follows no redirect, so that credentials go nowhere but where they were sent.
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
            // What is in the environment does not decide through whom credentials go.
            .no_proxy()
            // A resolver might have it elsewhere.
            .resolve_to_addrs("localhost", &[(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()])
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(client)
    }
}

/// The client as the AWS SDK wants it.
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
            // Every request that we make has its whole body in memory; a stream could not be tried again anyway.
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

/// Tells the SDK which failures are passing, so that its retries know.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_connect() || error.is_request() || error.is_body() {
        ConnectorError::io(error.into())
    } else {
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    }
}
