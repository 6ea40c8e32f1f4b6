//! Media of messages. The type of a content is derived from its bytes, never from what the sender claims, so that only
//! pictures are served as pictures.

use crate::sid::random_sid;
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// The type of content that is not a picture.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// A file that a phone attaches to a text.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its bytes. All attachments of a text have at most 5 MB in total.
    pub content: Vec<u8>,
}

impl Attachment {
    /// Parses `data:image/png;base64,…`. The type in the URL is ignored.
    #[must_use]
    pub fn from_data_url(url: &str) -> Option<Self> {
        let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
        let content = kind.ends_with(";base64").then(|| BASE64.decode(data))?.ok()?;
        Some(Self { content })
    }
}

/// A file in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// `ME…`.
    pub sid: String,
    /// The `MediaUrl` it came from; none for an attachment of a phone.
    pub source: Option<String>,
    /// Its bytes; none if the URL is not on this machine or could not be downloaded.
    #[serde(with = "in_base64")]
    pub content: Option<Bytes>,
}

impl Media {
    pub(crate) fn of(source: Option<String>, content: Option<Bytes>) -> Self {
        Self { sid: random_sid("ME"), source, content }
    }

    /// The type, derived from the bytes.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.content.as_deref().map_or(UNKNOWN, sniff)
    }

    /// Where its bytes are served on the API's host, given the path of its message.
    #[must_use]
    pub fn path(&self, message_path: &str) -> String {
        format!("{message_path}/Media/{}", self.sid)
    }
}

/// The type of a picture, by the first bytes of its format.
fn sniff(content: &[u8]) -> &'static str {
    match content {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => UNKNOWN,
    }
}

mod in_base64 {
    use axum::body::Bytes;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    // serde passes a reference to the field.
    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(crate) fn serialize<S: Serializer>(content: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match content {
            Some(content) => serializer.serialize_some(&BASE64.encode(content)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64.decode(text).map(Bytes::from).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_what_its_bytes_say() {
        for (content, expected) in [
            (&b"\xff\xd8\xff\xe0\x00\x10JFIF"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"),
            (b"GIF89a\x01\x00", "image/gif"),
            (b"GIF87a", "image/gif"),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", UNKNOWN),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN),
            (b"<!DOCTYPE html><script>", UNKNOWN),
            (b"\x89PNG", UNKNOWN),
            (b"", UNKNOWN),
        ] {
            assert_eq!(sniff(content), expected, "{content:?}");
        }
    }
}
