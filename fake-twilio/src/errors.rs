//! Twilio's errors: codes and meanings from `https://www.twilio.com/docs/api/errors`, messages as the API returns them.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// One of Twilio's errors, with `{}` in its message for each value.
#[derive(Clone, Copy)]
pub(crate) struct RefusalTemplate {
    pub(crate) code: u32,
    status: u16,
    pub(crate) sentence: &'static str,
}

impl RefusalTemplate {
    pub(crate) fn about(&self, values: &[&str]) -> TwilioRefusal {
        let Self { code, status, sentence } = *self;
        let message = values.iter().fold(sentence.to_owned(), |message, value| message.replacen("{}", value, 1));
        TwilioRefusal { code, status, message }
    }

    /// For logs, without values of the request.
    pub(crate) fn without_values(&self) -> TwilioRefusal {
        let message = self.sentence.trim_end_matches([':', ' ', '{', '}']).to_owned();
        TwilioRefusal { code: self.code, status: self.status, message }
    }
}

/// An error response.
#[derive(Clone)]
pub(crate) struct TwilioRefusal {
    pub(crate) code: u32,
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl TwilioRefusal {
    /// The error with this code, whatever the request. Its message is filled from `values`.
    pub(crate) fn forced(code: u32, values: &[&str]) -> Self {
        match ALL.iter().find(|error| error.code == code) {
            Some(error) => error.about(values),
            None => Self { code, status: 400, message: format!("Refused with code {code} by a fault") },
        }
    }

    pub(crate) fn body(&self) -> Value {
        let more_info = format!("https://www.twilio.com/docs/errors/{}", self.code);
        json!({ "code": self.code, "message": self.message, "more_info": more_info, "status": self.status })
    }

    pub(crate) fn summary(&self) -> String {
        format!("{}, code {}", self.status, self.code)
    }
}

impl From<RefusalTemplate> for TwilioRefusal {
    fn from(error: RefusalTemplate) -> Self {
        error.about(&[])
    }
}

impl IntoResponse for TwilioRefusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let realm = header::HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        // For the middleware that records errors.
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns the error unless the condition holds.
pub(crate) fn ensure(holds: bool, refusal: impl Into<TwilioRefusal>) -> Result<(), TwilioRefusal> {
    if holds { Ok(()) } else { Err(refusal.into()) }
}

/// Why a message was not delivered, for the resource's `error_message`.
pub(crate) fn of_delivery(code: u32) -> Option<&'static str> {
    DELIVERY.iter().find(|(known, _)| *known == code).map(|(_, sentence)| *sentence)
}

/// The media of a message exceed 5 MB in total.
pub(crate) const MEDIA_TOO_LARGE: u32 = 11751;

pub(crate) const DELIVERY: [(u32, &str); 14] = [
    (MEDIA_TOO_LARGE, "Media Message - Media exceeds messaging provider size limit"),
    (30001, "Queue overflow"),
    (30002, "Account suspended"),
    (30003, "Unreachable destination handset"),
    (30004, "Message blocked"),
    (30005, "Unknown destination handset"),
    (30006, "Landline or unreachable carrier"),
    (30007, "Message filtered"),
    (30008, "Unknown error"),
    (30017, "Carrier network congestion"),
    (30022, "US A2P 10DLC - Rate Limits Exceeded"),
    (30034, "US A2P 10DLC - Message from an Unregistered Number"),
    (30036, "Validity Period Expired"),
    (30038, "OTP Message Body Filtered"),
];

macro_rules! errors {
    ($($name:ident = $code:literal, $status:literal, $sentence:literal;)*) => {
        $(pub(crate) const $name: RefusalTemplate =
            RefusalTemplate { code: $code, status: $status, sentence: $sentence };)*
        pub(crate) const ALL: &[RefusalTemplate] = &[$($name),*];
    };
}

errors! {
    INVALID_QUERY = 20001, 400, "Invalid {}.";
    AUTHENTICATE = 20003, 401, "Authenticate";
    PAGE_TOKEN_MISSING = 20001, 400, "PageToken is required for paging.";
    METHOD_NOT_ALLOWED = 20004, 405, "Method not allowed";
    PAGE_TOO_LARGE = 20007, 400, "Page size too large";
    NOT_COMPLETE = 20009, 409, "Cannot delete this resource before it is complete";
    NOT_FOUND = 20404, 404, "The requested resource {} was not found";
    INVALID_PARAMETER = 20422, 400, "Invalid Parameter: {}";
    // Twilio does schedule messages. Sending at once instead would be wrong.
    NOT_SCHEDULED = 20422, 400, "Invalid Parameter: this fake schedules no messages; omit ScheduleType and SendAt";
    TOO_MANY_REQUESTS = 20429, 429, "Too Many Requests";
    INTERNAL = 20500, 500, "An internal server error has occurred";
    TO_INVALID = 21211, 400, "Invalid 'To' Phone Number: {}";
    FROM_INVALID = 21212, 400, "The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID.";
    TO_IS_FROM = 21266, 400, "'To' and 'From' number cannot be the same";
    URL_INVALID = 21402, 400, "Invalid Url: {}";
    METHOD_INVALID = 21403, 400, "Invalid Method: {}";
    REGION = 21408, 400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {}";
    PAGE_TOKEN = 21481, 400, "Invalid PageToken";
    BODY_MISSING = 21602, 400, "Message body is required.";
    FROM_MISSING = 21603, 400, "A 'From' phone number is required.";
    TO_MISSING = 21604, 400, "A 'To' phone number is required.";
    FROM_NOT_OURS = 21606, 400, "The From phone number {} is not a valid, SMS-capable inbound phone number or short code for your account.";
    STATUS_CALLBACK = 21609, 400, "The 'StatusCallback' URL {} is not a valid URL.";
    OPTED_OUT = 21610, 400, "Attempt to send to unsubscribed recipient";
    QUEUE_FULL = 21611, 429, "SMS queue is full.";
    UNROUTABLE = 21612, 400, "The 'To' phone number: {}, is not currently reachable using the 'From' phone number: {} via SMS.";
    NOT_MOBILE = 21614, 400, "To number: {}, is not a mobile number";
    BODY_TOO_LONG = 21617, 400, "The concatenated message body exceeds the 1600 character limit.";
    MEDIA_URL = 21620, 400, "Media urls: {} are invalid. Please use only valid http and https urls";
    TOO_MANY_MEDIA = 21623, 400, "Number of media files exceeds allowed limit";
    VALIDITY_PERIOD = 21624, 400, "Invalid validity period value";
    CONTENT_INVALID = 21655, 400, "The ContentSid is Invalid";
    SERVICE_UNKNOWN = 21701, 400, "The Messaging Service does not exist";
    SERVICE_INVALID = 21705, 400, "The Messaging Service is invalid";
    CONTENT_RETENTION = 30029, 400, "Invalid ContentRetention";
    ADDRESS_RETENTION = 30030, 400, "Invalid AddressRetention";
    NOT_CANCELABLE = 30409, 400, "This message cannot be canceled";
    NO_SEND_AT = 35111, 400, "SendAt timestamp is missing";
    SCHEDULED_WITHOUT_SERVICE = 35118, 400, "MessagingServiceSid is required to schedule a message";
    // Errors of TwiML, which Twilio shows only in its debugger.
    TWIML_TO = 14101, 400, "Invalid \"To\" attribute";
    TWIML_FROM = 14102, 400, "Invalid \"From\" attribute";
    TWIML_BODY = 14103, 400, "Invalid Body (empty without media, or longer than 1600 characters)";
    TWIML_STATUS_CALLBACK = 14105, 400, "Invalid statusCallback attribute";
    TWIML_REPLIES = 14109, 400, "TwiML Reply message limit exceeded";
}
