//! What a warm function keeps: built once, used by every invocation.

use crate::settings::Settings;
use shared::phone::code::Random;
use shared::phone::number;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{ApiKey, Secret};
use shared::runtime::dependencies::{Dependencies, StartError};
use shared::runtime::http::Connections;
use shared::runtime::metrics::Meter;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use shared::twilio::client::Twilio;
use std::time::Duration;

/// Everything that a send needs.
pub struct State {
    pub settings: Settings,
    pub table: Table,
    /// The credentials that send.
    pub api_key: Secret<ApiKey>,
    pub twilio: Twilio,
    /// For all requests of one send to Twilio.
    pub twilio_deadline: Duration,
    pub clock: Clock,
    /// The source of codes.
    pub random: Random,
    pub meter: Meter,
}

impl State {
    /// Reads the settings, and fetches the secrets while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] if a setting is invalid or the table's key can't be read.
    pub async fn start(environment: &Environment, dependencies: Dependencies) -> Result<Self, StartError> {
        let Dependencies { aws, tls, clock, random, metrics, deadlines } = dependencies;
        let settings = Settings::from_environment(environment)?;
        let hmac_key = Secret::hmac_key(aws.secrets_manager.clone(), &settings.hmac_key_secret, clock.clone());
        let api_key = Secret::api_key(aws.secrets_manager, &settings.sending_secret, clock.clone());
        // The API key may not be filled in yet. Then each request reports it.
        let (hmac_key, _) = tokio::join!(hmac_key.get(), api_key.get());
        number::warm_up();

        Ok(Self {
            table: Table {
                items: Items {
                    client: aws.dynamodb,
                    table_name: settings.table_name.clone(),
                    backoff: deadlines.table_backoff,
                },
                key: hmac_key?[0].clone(),
            },
            twilio: Twilio {
                http: tls.client(deadlines.twilio, Connections::Fresh)?,
                base_url: settings.twilio_base_url.clone(),
                sender: settings.twilio_from.clone(),
                status_callback: settings.status_callback.clone(),
                backoff: deadlines.twilio_backoff,
            },
            twilio_deadline: deadlines.twilio_total,
            api_key,
            settings,
            clock,
            random,
            meter: Meter::new(environment, metrics),
        })
    }
}
