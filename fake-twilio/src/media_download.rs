//! Downloads the media of outbound messages.

use crate::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use crate::limits::{MAX_MEDIA, MAX_MEDIA_BYTES};
use crate::loopback::is_loopback;
use crate::media::Media;
use crate::twilio::FakeTwilio;
use axum::body::Bytes;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long another server on this machine may take.
const FETCH_WITHIN: Duration = Duration::from_secs(5);
const TOO_LARGE: &str = "larger than 5 MB";

/// The media of an outbound message.
#[derive(Default)]
pub(crate) struct DownloadedMedia {
    pub(crate) media: Vec<Media>,
    /// Twilio accepts such a message and then fails to send it.
    pub(crate) too_large: bool,
}

impl FakeTwilio {
    /// The media at these URLs, in order. The content is included for URLs on this machine, unless it is too large in
    /// total.
    pub(crate) async fn download_media(&self, urls: Vec<String>, phone: &str) -> DownloadedMedia {
        let mut fetches = JoinSet::new();
        for (index, url) in urls.iter().take(MAX_MEDIA).enumerate().filter(|(_, url)| is_loopback(url)) {
            let (http, url) = (self.http().clone(), url.clone());
            fetches.spawn(async move { (index, url.clone(), fetch(&http, &url).await) });
        }
        let mut media: Vec<Media> = urls.into_iter().map(|url| Media::of(Some(url), None)).collect();
        let (mut bytes, mut too_large) = (0, false);
        while let Some(fetched) = fetches.join_next().await {
            match fetched {
                Ok((index, _, Ok(content))) => {
                    bytes += content.len();
                    too_large |= bytes > MAX_MEDIA_BYTES;
                    if let Some(media) = media.get_mut(index) {
                        media.content = Some(content);
                    }
                }
                Ok((_, url, Err(reason))) => {
                    too_large |= reason == TOO_LARGE;
                    self.exchanges().record(NewExchange {
                        kind: ExchangeKind::Twilio,
                        title: "MediaUrl",
                        summary: format!("not downloaded, {reason}"),
                        outcome: ExchangeOutcome::Failed,
                        number: Some(phone.to_owned()),
                        request: json!({ "MediaUrl": url }),
                        response: Value::Null,
                        fault: None,
                    });
                }
                Err(_) => {}
            }
        }
        if too_large {
            for media in &mut media {
                media.content = None;
            }
        }
        DownloadedMedia { media, too_large }
    }
}

async fn fetch(http: &reqwest::Client, url: &str) -> Result<Bytes, String> {
    let mut answer = http.get(url).timeout(FETCH_WITHIN).send().await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let mut content = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        content.extend_from_slice(&chunk);
        if content.len() > MAX_MEDIA_BYTES {
            return Err(TOO_LARGE.to_owned());
        }
    }
    Ok(content.into())
}
