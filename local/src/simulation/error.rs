//! Why there is no result.

use crate::system::SystemError;
use check_code::CheckCodeError;
use send_code::SendCodeError;
use shared::phone::number::InvalidPhoneNumber;
use shared::runtime::settings::SettingError;
use std::path::{Path, PathBuf};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The system does not start.
    #[error(transparent)]
    Start(#[from] SystemError),
    /// A setting of a row can't be read.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// send-code fails.
    #[error("send-code failed: {0}")]
    SendCode(#[from] SendCodeError),
    /// check-code fails.
    #[error("check-code failed: {0}")]
    CheckCode(#[from] CheckCodeError),
    /// A number of the script is none.
    #[error("a phone number of the script {0}")]
    Number(#[from] InvalidPhoneNumber),
    /// An answer is not one that the script can bring about: then the product is broken.
    #[error("this should not have come out: {0}")]
    Unexpected(String),
    /// A row was cut off by a panic.
    #[error("a row was cut off")]
    CutOff,
    /// There is no runtime to play in.
    #[error("can't start a runtime ({0})")]
    Runtime(std::io::Error),
    /// The table with the history can't be kept or copied.
    #[error("the history can't be copied ({0})")]
    Copy(String),
    /// A file can't be written.
    #[error("can't write {path} ({error})", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}

impl SimulationError {
    /// The error for a file that can't be written.
    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        |error| Self::Write { path: path.to_owned(), error }
    }
}
