//! Requests: to check, or to check and repair.

use serde_json::{Map, Value};

/// The fields of an `EventBridge` event, as a schedule sends it.
const ENVELOPE: [&str; 9] =
    ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"];

/// A valid request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Repair the messaging geo permissions.
    pub geo_permissions: bool,
    /// Repair the webhooks.
    pub webhooks: bool,
}

/// Why a request is invalid. Nothing was checked and nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not a JSON object.
    #[error(
        r#"the request must be a JSON object; send {{}}, or {{"apply": ["geo_permissions", "webhooks"]}} to repair"#
    )]
    NotAnObject,
    /// A field other than `apply`.
    #[error(r#"unknown field; expected {{}} or {{"apply": ["geo_permissions", "webhooks"]}}"#)]
    UnknownField,
    /// `apply` is not a list of repairs.
    #[error(r#"`apply` must be a list of the possible repairs, "geo_permissions" and "webhooks""#)]
    Apply,
}

impl Request {
    /// Reads a request. A schedule's event only checks.
    ///
    /// # Errors
    /// [`InvalidRequest`] says what to send.
    pub fn parse(event: &Value) -> Result<Self, InvalidRequest> {
        let none = Map::new();
        let fields = match event {
            Value::Null => &none,
            Value::Object(fields) => fields,
            _ => return Err(InvalidRequest::NotAnObject),
        };
        let by_schedule = matches!(fields.get("source").and_then(Value::as_str), Some("aws.events" | "aws.scheduler"));
        if by_schedule && fields.keys().all(|name| ENVELOPE.contains(&name.as_str())) {
            return Ok(Self::default());
        }
        if fields.keys().any(|name| name != "apply") {
            return Err(InvalidRequest::UnknownField);
        }
        let mut request = Self::default();
        let Some(apply) = fields.get("apply") else { return Ok(request) };
        for name in apply.as_array().ok_or(InvalidRequest::Apply)? {
            match name.as_str() {
                Some("geo_permissions") => request.geo_permissions = true,
                Some("webhooks") => request.webhooks = true,
                _ => return Err(InvalidRequest::Apply),
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_names_its_repairs_and_anything_else_is_an_error() {
        let (neither, both) = (Request::default(), Request { geo_permissions: true, webhooks: true });
        for (event, expected) in [
            (json!(null), Ok(neither)),
            (json!({}), Ok(neither)),
            (json!({"apply": []}), Ok(neither)),
            (json!({"apply": ["webhooks"]}), Ok(Request { webhooks: true, ..neither })),
            (json!({"apply": ["geo_permissions", "webhooks", "webhooks"]}), Ok(both)),
            (
                json!({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
                Ok(neither),
            ),
            (json!({"source": "aws.scheduler", "detail": "{}"}), Ok(neither)),
            (json!({"source": "aws.events", "apply": ["webhooks"]}), Err(InvalidRequest::UnknownField)),
            (json!({"source": "elsewhere"}), Err(InvalidRequest::UnknownField)),
            (json!({"Apply": ["webhooks"]}), Err(InvalidRequest::UnknownField)),
            (json!({"apply": "webhooks"}), Err(InvalidRequest::Apply)),
            (json!({"apply": ["voice_permissions"]}), Err(InvalidRequest::Apply)),
            (json!({"apply": [1]}), Err(InvalidRequest::Apply)),
            (json!([]), Err(InvalidRequest::NotAnObject)),
            (json!("run"), Err(InvalidRequest::NotAnObject)),
        ] {
            assert_eq!(Request::parse(&event), expected, "{event}");
        }
    }
}
