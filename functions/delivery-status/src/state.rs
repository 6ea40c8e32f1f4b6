//! What a warm function keeps: built once, used by every invocation. It can read the auth token and write delivery statuses, and
//! nothing else.

use shared::phone::number;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{Secret, Signer};
use shared::runtime::dependencies::{Dependencies, StartError};
use shared::runtime::metrics::Meter;
use shared::runtime::settings::Environment;
use shared::store::deliveries::Deliveries;
use shared::store::items::Items;
use shared::twilio::webhook::PublicUrl;
use std::time::Duration;

/// Everything that a status callback needs.
pub struct State {
    /// The address that Twilio calls, unless it is API Gateway's own.
    pub public_url: Option<PublicUrl>,
    /// The auth tokens that Twilio may sign with.
    pub signer: Secret<Signer>,
    pub deliveries: Deliveries,
    pub clock: Clock,
    /// For one webhook.
    pub deadline: Duration,
    pub meter: Meter,
}

impl State {
    /// Reads the settings, and fetches the secret while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] if a setting is missing or invalid.
    pub async fn start(environment: &Environment, dependencies: Dependencies) -> Result<Self, StartError> {
        let Dependencies { aws, clock, metrics, deadlines, .. } = dependencies;
        let public_url = environment.parsed_if_set("PUBLIC_URL")?;
        let table_name = environment.required("TABLE_NAME")?.to_owned();
        let signer = Secret::signer(aws.secrets_manager, environment.required("AUTH_TOKEN_SECRET")?, clock.clone());
        // The auth token may not be filled in yet. Then each webhook reports it.
        let _ = signer.get().await;
        number::warm_up();
        Ok(Self {
            public_url,
            signer,
            deliveries: Deliveries {
                items: Items { client: aws.dynamodb, table_name, backoff: deadlines.table_backoff },
            },
            clock,
            deadline: deadlines.webhook,
            meter: Meter::new(environment, metrics),
        })
    }
}
