//! Creates messages with Twilio's REST API.
//!
//! Twilio has no idempotency keys, so the only question about a failure is whether the message may have been sent. [`SendError`]
//! answers it, and only a message that was certainly not sent is sent again.

use super::error_code::TwilioErrorCode;
use super::sid::is_sid;
use super::url::is_https_or_loopback;
use crate::limits::rules::Period;
use crate::phone::number::{PhoneNumber, is_e164};
use crate::runtime::backoff::Backoff;
use crate::runtime::credentials::{ApiKey, Secret, Versions};
use reqwest::StatusCode;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The base URL of Twilio's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// The sender of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// One of the account's numbers, in E.164.
    Number(String),
    /// A Messaging Service, which picks the number.
    MessagingService(String),
}

/// The URL for Twilio's status callbacks.
///
/// ```
/// use shared::twilio::client::StatusCallback;
///
/// assert!("https://sms.example.com/sms/status".parse::<StatusCallback>().is_ok());
/// assert!("https://sms.example.com/sms/status#rc=3&rp=all".parse::<StatusCallback>().is_ok());
/// assert!("https://my_app.example.com/sms/status".parse::<StatusCallback>().is_err());
/// assert!("http://sms.example.com/sms/status".parse::<StatusCallback>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCallback(String);

/// Why a URL or sender is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwilioSettingError {
    /// Not HTTPS, so credentials would be sent in the clear.
    #[error("it must start with https:// (or http:// and a loopback address, for tests)")]
    NotHttps,
    /// Twilio rejects messages with such a status callback, with error 21609.
    #[error("its host name has an underscore, which Twilio rejects")]
    Underscore,
    /// Neither a number nor a Messaging Service.
    #[error("it must be a number such as +14155550123 or a Messaging Service SID (MG and 32 hexadecimal digits)")]
    NotASender,
}

/// A client of Twilio's API.
pub struct Twilio {
    /// The HTTP client. It must not reuse connections (see [`crate::runtime::http::Connections::Fresh`]).
    pub http: reqwest::Client,
    /// The base URL of the API.
    pub base_url: BaseUrl,
    /// The sender of messages.
    pub sender: Sender,
    /// The URL for status callbacks, if they are wanted.
    pub status_callback: Option<StatusCallback>,
    /// How often to retry a message that was certainly not sent.
    pub backoff: Backoff,
}

/// A message to send.
#[derive(Clone, Copy)]
pub struct OutboundMessage<'a> {
    /// The recipient.
    pub to: &'a PhoneNumber,
    /// The text.
    pub body: &'a str,
    /// Twilio drops the message if it can't be delivered within this time.
    pub lifetime: Period,
}

/// The SID of a message that Twilio has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSid(String);

/// Why a message was not sent, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Twilio doesn't send this message, for a reason that is or may be about the recipient.
    #[error("Twilio rejected the message: {0}")]
    Rejected(TwilioErrorCode),
    /// Twilio rejected the credentials. The message was not sent.
    #[error(
        "Twilio rejected the credentials ({0}); check the secret that send-code reads, and that the account is active"
    )]
    Unauthorized(TwilioErrorCode),
    /// Twilio rejected the account or a setting, whoever the recipient is. The message was not sent.
    #[error("Twilio rejected the sender configuration: {0}")]
    Misconfigured(TwilioErrorCode),
    /// Twilio answered every attempt with 429. The message was not sent.
    #[error(
        "Twilio answered every attempt with 429 (too many requests); lower the load or raise the account's concurrency"
    )]
    Busy,
    /// No connection to Twilio. The message was not sent.
    #[error("Twilio could not be reached; check the network, TWILIO_BASE_URL and Twilio's status page")]
    Unreachable,
    /// The request was sent, but no definite answer came back. The message may have been sent.
    #[error("no definite answer from Twilio ({0}); the message may have been sent")]
    Unknown(Doubt),
}

/// Why it is unknown whether a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No answer in time.
    TimedOut,
    /// The connection broke after the request was sent.
    ConnectionLost,
    /// An answer that is not from Twilio's API, or a server error; with its HTTP status.
    Answer(u16),
}

impl MessageSid {
    /// The SID as Twilio writes it: `SM` (or `MM`) and 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Twilio {
    /// Sends a message with the first credentials that Twilio accepts: the `cached` versions of `secret`, and if Twilio rejects all
    /// of them, newer ones. The secret may have been rotated since it was cached.
    ///
    /// A 401 proves that nothing was sent, so the next credentials may be tried. After any other error none are.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may have been sent.
    pub async fn send_with(
        &self,
        secret: &Secret<ApiKey>,
        cached: &Versions<ApiKey>,
        message: OutboundMessage<'_>,
    ) -> Result<MessageSid, SendError> {
        // Never the result: there is always a cached version.
        let mut result = Err(SendError::Unauthorized(TwilioErrorCode(20003)));
        for key in cached.iter() {
            result = self.send(key, message).await;
            if !matches!(result, Err(SendError::Unauthorized(_))) {
                return result;
            }
        }
        let newer = match secret.refetch(cached).await {
            Ok(newer) => newer,
            Err(error) => {
                tracing::error!(%error, "Twilio rejected the credentials, and newer ones can't be read");
                None
            }
        };
        for key in newer.iter().flat_map(|newer| newer.iter()).filter(|key| !cached.contains(key)) {
            result = self.send(key, message).await;
            if !matches!(result, Err(SendError::Unauthorized(_))) {
                break;
            }
        }
        result
    }

    /// Sends a message once. Retries only 429, which Twilio documents as "never processed", and connections that were never
    /// established.
    async fn send(&self, key: &ApiKey, message: OutboundMessage<'_>) -> Result<MessageSid, SendError> {
        let mut tried = 0;
        loop {
            let error = match self.post(key, message).await {
                Err(error @ (SendError::Busy | SendError::Unreachable)) => error,
                result => return result,
            };
            tried += 1;
            tracing::warn!(tried, %error, "the message was not sent");
            if !self.backoff.wait(tried).await {
                return Err(error);
            }
        }
    }

    async fn post(&self, key: &ApiKey, message: OutboundMessage<'_>) -> Result<MessageSid, SendError> {
        let OutboundMessage { to, body, lifetime } = message;
        let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", self.base_url.0, key.account_sid.as_str());
        let lifetime = lifetime.as_seconds().to_string();
        let from = match &self.sender {
            Sender::Number(number) => ("From", number.as_str()),
            Sender::MessagingService(sid) => ("MessagingServiceSid", sid.as_str()),
        };
        let mut form =
            vec![("To", to.as_str()), from, ("Body", body), ("ValidityPeriod", &lifetime), ("RiskCheck", "enable")];
        form.extend(self.status_callback.iter().map(|url| ("StatusCallback", url.0.as_str())));

        let response =
            key.authorize(self.http.post(url)).form(&form).send().await.map_err(|error| no_answer(&error))?;
        let status = response.status();
        let answer = response.bytes().await.map_err(|error| no_answer(&error))?;
        read_answer(status, &answer)
    }
}

/// Only a connection that was never established proves that nothing was sent.
fn no_answer(error: &reqwest::Error) -> SendError {
    if error.is_connect() {
        SendError::Unreachable
    } else if error.is_timeout() {
        SendError::Unknown(Doubt::TimedOut)
    } else {
        SendError::Unknown(Doubt::ConnectionLost)
    }
}

/// Reads an answer. Ignores Twilio's error text, which repeats the number.
fn read_answer(status: StatusCode, answer: &[u8]) -> Result<MessageSid, SendError> {
    #[derive(Deserialize)]
    struct Message {
        sid: String,
    }
    #[derive(Deserialize)]
    struct Failure {
        code: u32,
    }

    if status.is_success() {
        let sid = serde_json::from_slice::<Message>(answer).ok().map(|message| message.sid);
        let sid = sid.filter(|sid| is_sid(sid, "SM") || is_sid(sid, "MM"));
        return sid.map(MessageSid).ok_or(SendError::Unknown(Doubt::Answer(status.as_u16())));
    }
    let code = serde_json::from_slice::<Failure>(answer).ok().map(|failure| TwilioErrorCode(failure.code));
    Err(match (status.as_u16(), code) {
        (429, _) => SendError::Busy,
        (401, code) => SendError::Unauthorized(code.unwrap_or(TwilioErrorCode(0))),
        (400..=499, Some(code)) => meaning(code),
        (status, _) => SendError::Unknown(Doubt::Answer(status)),
    })
}

/// The meaning of a definite rejection. Codes: <https://www.twilio.com/docs/api/errors>
fn meaning(code: TwilioErrorCode) -> SendError {
    match code.0 {
        20003 => SendError::Unauthorized(code),
        20429 => SendError::Busy,
        // Never about the recipient: the account, the sender, the text, or a key without the permission to send. Only these are
        // released, since a caller who can bring about a refusal that doesn't count can call Twilio without end.
        20000..=20999 | 21212 | 21603 | 21609 | 21611 | 21617 | 21701 | 21702 | 21704 | 70051 => {
            SendError::Misconfigured(code)
        }
        // About the recipient, or perhaps: Twilio may give 21606, 21659 and 21703 for one destination and not for another.
        _ => SendError::Rejected(code),
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::ConnectionLost => f.write_str("the connection broke"),
            Self::Answer(status) => write!(f, "an answer with HTTP status {status}"),
        }
    }
}

impl BaseUrl {
    /// The URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = TwilioSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_https_or_loopback(text) {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(TwilioSettingError::NotHttps)
        }
    }
}

impl FromStr for StatusCallback {
    type Err = TwilioSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_https_or_loopback(text) {
            return Err(TwilioSettingError::NotHttps);
        }
        let host = reqwest::Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
        if host.is_none_or(|host| host.contains('_')) {
            return Err(TwilioSettingError::Underscore);
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Sender {
    type Err = TwilioSettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_e164(text) {
            Ok(Self::Number(text.to_owned()))
        } else if is_sid(text, "MG") {
            Ok(Self::MessagingService(text.to_owned()))
        } else {
            Err(TwilioSettingError::NotASender)
        }
    }
}
