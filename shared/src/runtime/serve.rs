//! Starting a function: what can keep it from it.

use crate::runtime::credentials::CredentialsError;
use crate::runtime::http::HttpError;
use crate::runtime::settings::SettingError;

/// Why the function can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No HTTP or TLS.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The key of the table can't be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}
