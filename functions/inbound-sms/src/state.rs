//! What a warm function keeps: built once, used by every invocation.

use crate::settings::Settings;
use shared::phone::number;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{Secret, Signer};
use shared::runtime::dependencies::{Dependencies, StartError};
use shared::runtime::metrics::Meter;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use std::time::Duration;

/// Everything that an inbound message needs.
pub struct State {
    pub settings: Settings,
    pub table: Table,
    /// The auth tokens that Twilio may sign with.
    pub signer: Secret<Signer>,
    pub clock: Clock,
    /// For one webhook.
    pub deadline: Duration,
    pub meter: Meter,
}

impl State {
    /// Reads the settings, and fetches the secrets while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] if a setting is invalid or the table's key can't be read.
    pub async fn start(environment: &Environment, dependencies: Dependencies) -> Result<Self, StartError> {
        let Dependencies { aws, clock, metrics, deadlines, .. } = dependencies;
        let settings = Settings::from_environment(environment)?;
        let hmac_key = Secret::hmac_key(aws.secrets_manager.clone(), &settings.hmac_key_secret, clock.clone());
        let signer = Secret::signer(aws.secrets_manager, &settings.auth_token_secret, clock.clone());
        // The auth token may not be filled in yet. Then each webhook reports it.
        let (hmac_key, _) = tokio::join!(hmac_key.get(), signer.get());
        number::warm_up();

        let (name, backoff) = (settings.table_name.clone(), deadlines.table_backoff);
        Ok(Self {
            table: Table {
                items: Items { client: aws.dynamodb, table_name: name, backoff },
                key: hmac_key?[0].clone(),
            },
            signer,
            settings,
            clock,
            deadline: deadlines.webhook,
            meter: Meter::new(environment, metrics),
        })
    }
}
