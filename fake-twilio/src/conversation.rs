//! What follows from a text: the webhook is called and the TwiML it returns is executed, verb by verb, until a verb
//! leads to another document. Messages sent up to a failure stay sent.

use crate::errors::{self, RefusalTemplate, TwilioRefusal};
use crate::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use crate::faults::{FaultPoint, Kind};
use crate::keywords;
use crate::limits::{API_VERSION, MAX_MEDIA};
use crate::media_download::DownloadedMedia;
use crate::message::{Direction, Message};
use crate::number::IncomingNumber;
use crate::parameters::as_object;
use crate::store::ledger::Entry;
use crate::twilio::FakeTwilio;
use crate::twiml::{self, Document, Outgoing, Verb};
use crate::validation::{existing, is_too_long, is_url, may_send_from};
use crate::webhook::{WebhookCallError, WebhookRequest, resolve};
use serde::Serialize;
use serde_json::Value;
use shared::phone::number::PhoneNumber;
use shared::twilio::keywords::Keyword;

/// How many documents are fetched for one text. <https://www.twilio.com/docs/api/errors/14106>
const MAX_DOCUMENTS: usize = 50;
/// How many messages may reply to one. <https://www.twilio.com/docs/api/errors/14109>
const MAX_REPLIES: usize = 10;

/// The result of a text from a phone.
#[derive(Clone, Debug)]
pub struct TextResult {
    /// The text, as Twilio stores it.
    pub message: Message,
    /// The webhook call and its response.
    pub webhook: WebhookCall,
    /// The messages sent in reply.
    pub replies: Vec<Message>,
}

/// How a webhook was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookCall {
    /// The URL; empty if none is configured.
    pub url: String,
    /// The HTTP status of the response, if there was one.
    pub status: Option<u16>,
    /// The body of the response.
    pub twiml: Option<String>,
    /// What went wrong.
    #[serde(serialize_with = "as_sentence")]
    pub error: Option<WebhookCallError>,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_sentence<S: serde::Serializer>(error: &Option<WebhookCallError>, serializer: S) -> Result<S::Ok, S::Error> {
    match error {
        Some(error) => serializer.collect_str(error),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn not_called(error: WebhookCallError) -> WebhookCall {
    WebhookCall { url: String::new(), status: None, twiml: None, error: Some(error) }
}

/// Everything that follows from one inbound message. It ends by itself, so it may keep Twilio alive until then.
pub(crate) struct Conversation {
    twilio: FakeTwilio,
    pub(crate) inbound: Message,
    replies: Vec<Message>,
    /// Why the first message of the current document was not sent as it says.
    unsent: Option<WebhookCallError>,
}

impl Conversation {
    pub(crate) fn new(twilio: FakeTwilio, inbound: Message) -> Self {
        Self { twilio, inbound, replies: Vec::new(), unsent: None }
    }

    fn phone(&self) -> &str {
        self.inbound.phone()
    }

    /// Twilio's own answer comes first. Even a phone that has opted out receives it.
    pub(crate) fn answer_keyword(&mut self) {
        let Some(keyword) = Keyword::of_text(&self.inbound.body) else { return };
        let (ours, phone) = (self.inbound.to.clone(), self.phone().to_owned());
        let was_opted_out = self.twilio.has_opted_out(&*ours, &phone);
        match keyword {
            Keyword::Stop if was_opted_out => return,
            Keyword::Stop => drop(self.twilio.change(Entry::OptedOut { ours, phone })),
            Keyword::Start => drop(self.twilio.change(Entry::OptedIn { ours, phone })),
            Keyword::Help => {}
        }
        let mut answer = self.reply_from(&self.inbound.to, self.phone(), keywords::answer(keyword));
        answer.by_twilio = true;
        self.send(answer, false);
    }

    /// Calls the webhook and executes its response.
    pub(crate) async fn run(mut self) -> TextResult {
        let webhook = self.call_webhooks().await;
        self.twilio.mark_notified(&self.inbound);
        // The message may have changed or been deleted meanwhile.
        let message = self.twilio.message(&self.inbound.sid).unwrap_or(self.inbound);
        TextResult { message, webhook, replies: self.replies }
    }

    /// Calls the number's webhook, or its fallback.
    async fn call_webhooks(&mut self) -> WebhookCall {
        let number = self.twilio.numbers().into_iter().find(|number| number.is(&self.inbound.to));
        let Some((method, url)) = number.as_ref().and_then(IncomingNumber::webhook) else {
            return not_called(WebhookCallError::NoUrl);
        };
        // Subscribe before waiting, so that no answer is missed.
        let mut answered = self.twilio.answered().subscribe();
        let fault = self.twilio.faults().take(FaultPoint::Webhook, Some(self.phone()));
        if fault == Some(Kind::OutOfOrderWebhook) {
            let phone = self.phone().to_owned();
            let other = async { while answered.recv().await.is_ok_and(|other| other != phone) {} };
            // It times out if there is no other message.
            let _ = tokio::time::timeout(self.twilio.timeouts().held_webhook, other).await;
        }
        let mut call = WebhookRequest::new(method, url, self.parameters());
        call.forged = fault == Some(Kind::ForgedSignature);
        let mut webhook = self.follow(call.clone(), fault).await;
        if fault == Some(Kind::DuplicateWebhook) {
            // Twilio can't detect the repetition, so it executes the response again.
            let replies = std::mem::take(&mut self.replies);
            self.follow(call, fault).await;
            self.replies.splice(..0, replies);
        }
        let failed = webhook.error.as_ref().filter(|(_, error)| !error.is_warning());
        let failed = failed.and_then(|(url, error)| Some((url.clone(), error.code()?)));
        if let (Some((error_url, code)), Some((method, url))) =
            (failed, number.as_ref().and_then(IncomingNumber::fallback))
        {
            let mut parameters = self.parameters();
            parameters.push(("ErrorCode".to_owned(), code.to_string()));
            parameters.push(("ErrorUrl".to_owned(), error_url));
            webhook = self.follow(WebhookRequest::new(method, url, parameters), None).await;
        }
        let _ = self.twilio.answered().send(self.phone().to_owned());
        let WebhookResult { url, status, twiml, error } = webhook;
        WebhookCall { url, status, twiml, error: error.map(|(_, error)| error) }
    }

    /// Fetches a document and executes it, and every document it redirects to.
    async fn follow(&mut self, call: WebhookRequest, fault: Option<Kind>) -> WebhookResult {
        let mut result = WebhookResult { url: call.url.clone(), status: None, twiml: None, error: None };
        let mut next = Some((call, fault));
        for documents in 0.. {
            let Some((call, fault)) = next.take() else { break };
            if documents == MAX_DOCUMENTS {
                result.report(&call.url, WebhookCallError::TooManyDocuments(MAX_DOCUMENTS));
                break;
            }
            let Fetched { url, answer, document } = self.fetch_document(&call, fault).await;
            if documents == 0
                && let Some((status, text)) = answer
            {
                result.status = Some(status);
                result.twiml = Some(text).filter(|text| !text.is_empty());
            }
            let is_kept = self.twilio.has_message(&self.inbound.sid);
            match document.and_then(|document| if is_kept { Ok(document) } else { Err(WebhookCallError::Ended) }) {
                Ok(document) => {
                    if !document.warnings.is_empty() {
                        result.report(&url, WebhookCallError::Schema(document.warnings.join("; ")));
                    }
                    next = self.execute(&url, document).await.map(|call| (call, None));
                    if let Some(unsent) = self.unsent.take() {
                        result.report(&url, unsent);
                    }
                }
                Err(error) => result.report(&url, error),
            }
        }
        result
    }

    /// Calls a webhook, parses the response and records the exchange.
    async fn fetch_document(&self, call: &WebhookRequest, fault: Option<Kind>) -> Fetched {
        let answer = self.twilio.call(call).await;
        let (mut outcome, response) = match &answer {
            Ok(answer) => (answer.outcome(), answer.to_json()),
            Err(WebhookCallError::Outside { .. }) => (ExchangeOutcome::Refused, Value::Null),
            Err(_) => (ExchangeOutcome::Failed, Value::Null),
        };
        let url = answer.as_ref().map_or_else(|_| call.url.clone(), |answer| answer.url.clone());
        let status = answer.as_ref().map_or_else(|_| String::new(), |answer| answer.summary() + ", ");
        let seen = answer.as_ref().ok().map(|answer| (answer.status, answer.text()));
        let document = answer.and_then(|answer| match answer.failure {
            Some(failure) => Err(failure),
            None => twiml::read(&answer.content_type, &answer.body),
        });
        let what = match &document {
            Ok(document) if document.verbs.is_empty() => "no reply".to_owned(),
            Ok(document) => format!("{} in TwiML", plural(document.verbs.len(), "verb")),
            Err(error) => {
                outcome = if outcome == ExchangeOutcome::Ok { ExchangeOutcome::Failed } else { outcome };
                error.to_string()
            }
        };
        self.twilio.exchanges().record(NewExchange {
            kind: ExchangeKind::Webhook,
            title: &call.title(),
            summary: status + &what + &call.hint(),
            outcome,
            number: Some(self.phone().to_owned()),
            request: as_object(call.parameters.iter().map(|(name, value)| (&**name, &**value))),
            response,
            fault: fault.map(Kind::as_str),
        });
        Fetched { url, answer: seen, document }
    }

    /// Executes a document. Returns the request it redirects to, if any; later verbs are not reached.
    async fn execute(&mut self, url: &str, document: Document) -> Option<WebhookRequest> {
        for verb in document.verbs {
            match verb {
                Verb::Redirect { url: target, method } => {
                    return Some(WebhookRequest::new(method, resolve(url, &target), self.parameters()));
                }
                Verb::Message(outgoing) => {
                    let (action, method) = (outgoing.action.clone(), outgoing.method.clone());
                    let reply = self.reply(url, *outgoing).await;
                    if let Some(action) = action {
                        let mut parameters = self.parameters();
                        parameters.retain(|(name, _)| !["MessageSid", "SmsSid", "SmsStatus"].contains(&&**name));
                        let (sid, status) = reply.map_or((String::new(), "failed"), |reply| (reply.sid, "queued"));
                        for (name, value) in [("MessageSid", &*sid), ("MessageStatus", status)] {
                            parameters.push((name.to_owned(), value.to_owned()));
                        }
                        return Some(WebhookRequest::new(method, resolve(url, &action), parameters));
                    }
                }
            }
        }
        None
    }

    /// Sends a message of the document, or records why it can't be sent.
    async fn reply(&mut self, url: &str, outgoing: Outgoing) -> Option<Message> {
        let Outgoing { to, from, body, media, status_callback, .. } = outgoing;
        let to = to.map_or_else(|| self.phone().to_owned(), |to| existing(&to).unwrap_or(to));
        let from = from.unwrap_or_else(|| self.inbound.to.clone());
        if let Some(error) = self.why_not(&to, &from, &body, media.len()) {
            self.report_unsent(&to, &body, error.without_values(), "");
            return None;
        }
        let urls: Vec<String> = media.iter().map(|media| resolve(url, media)).collect();
        if let Some(url) = urls.iter().find(|url| !is_url(url)) {
            self.report_unsent(&to, &body, errors::MEDIA_URL.about(&[url]), "");
            return None;
        }
        let DownloadedMedia { media, too_large } = self.twilio.download_media(urls, &to).await;
        let mut reply = self.reply_from(&from, &to, &body).with_media(media);
        match status_callback.map(|target| resolve(url, &target)) {
            Some(target) if is_url(&target) => reply.parameters.push(("StatusCallback".to_owned(), target)),
            Some(_) => self.report_unsent(&to, &body, errors::TWIML_STATUS_CALLBACK.into(), ", sent without"),
            None => {}
        }
        Some(self.send(reply, too_large))
    }

    /// Reports what Twilio's debugger would, on the page and in the result of the text.
    fn report_unsent(&mut self, to: &str, body: &str, refusal: TwilioRefusal, consequence: &str) {
        let TwilioRefusal { code, message, .. } = refusal;
        let error = WebhookCallError::Reply { code, reason: message + consequence };
        self.twilio.record_unsent(to, body, error.to_string());
        self.unsent.get_or_insert(error);
    }

    /// Why Twilio would not send this message. Twilio reports it only in its debugger, since there is no API call to
    /// answer.
    fn why_not(&self, to: &str, from: &str, body: &str, num_media: usize) -> Option<RefusalTemplate> {
        let replies = self.replies.iter().filter(|reply| !reply.by_twilio).count();
        match () {
            () if replies >= MAX_REPLIES => Some(errors::TWIML_REPLIES),
            () if to == from => Some(errors::TO_IS_FROM),
            // The sender has a phone, even if its number fits no numbering plan.
            () if to != self.phone() && existing(to).is_none() => Some(errors::TWIML_TO),
            () if !may_send_from(&self.twilio.account(), from) => Some(errors::TWIML_FROM),
            () if body.is_empty() && num_media == 0 || is_too_long(body) => Some(errors::TWIML_BODY),
            () if num_media > MAX_MEDIA => Some(errors::TOO_MANY_MEDIA),
            () if self.twilio.has_opted_out(from, to) => Some(errors::OPTED_OUT),
            () => None,
        }
    }

    fn reply_from(&self, from: &str, to: &str, body: &str) -> Message {
        let account_sid = &self.inbound.account_sid;
        Message::new(account_sid, Direction::OutboundReply, Some(from), to, body, self.twilio.now())
    }

    fn send(&mut self, mut reply: Message, too_large: bool) -> Message {
        reply.plan = self.twilio.plan_delivery(&reply.to).0;
        if too_large {
            reply.plan.error_code = Some(errors::MEDIA_TOO_LARGE);
        }
        let reply = self.twilio.add_message(reply);
        self.replies.push(reply.clone());
        self.twilio.deliver(reply.clone());
        reply
    }

    /// <https://www.twilio.com/docs/messaging/guides/webhook-request>
    fn parameters(&self) -> Vec<(String, String)> {
        let message = &self.inbound;
        let (from, to) = (self.phone(), &*message.to);
        let num_media = message.media.len().to_string();
        let num_segments = message.num_segments().to_string();
        let (from_country, to_country) = (country(from), country(to));
        // Twilio knows the state and city of some numbers; for others these parameters are empty.
        let mut parameters = vec![
            ("ToCountry", &*to_country),
            ("ToState", ""),
            ("ToCity", ""),
            ("ToZip", ""),
            ("FromCountry", &*from_country),
            ("FromState", ""),
            ("FromCity", ""),
            ("FromZip", ""),
            ("SmsMessageSid", &*message.sid),
            ("NumMedia", &*num_media),
            ("SmsSid", &*message.sid),
            ("SmsStatus", "received"),
            ("Body", &*message.body),
            ("To", to),
            ("NumSegments", &*num_segments),
            ("MessageSid", &*message.sid),
            ("AccountSid", &*message.account_sid),
            ("From", from),
            ("ApiVersion", API_VERSION),
        ];
        parameters.extend(message.messaging_service_sid.as_deref().map(|sid| ("MessagingServiceSid", sid)));
        let mut parameters: Vec<(String, String)> =
            parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let path = message.path();
        for (index, media) in message.media.iter().enumerate() {
            let url = format!("{}{}", self.twilio.api_url(), media.path(&path));
            parameters.push((format!("MediaUrl{index}"), url));
            parameters.push((format!("MediaContentType{index}"), media.content_type().to_owned()));
        }
        parameters
    }
}

/// A document, or why there is none.
struct Fetched {
    /// Where it comes from, after redirects.
    url: String,
    /// The status and the body of the response, if there was one.
    answer: Option<(u16, String)>,
    document: Result<Document, WebhookCallError>,
}

/// The result of the first of several requests. The error may come from a later one, whose URL goes with it.
struct WebhookResult {
    url: String,
    status: Option<u16>,
    twiml: Option<String>,
    error: Option<(String, WebhookCallError)>,
}

impl WebhookResult {
    /// Keeps the first error. One that ends the TwiML takes the place of a warning.
    fn report(&mut self, url: &str, error: WebhookCallError) {
        if self.error.as_ref().is_none_or(|(_, known)| known.is_warning() && !error.is_warning()) {
            self.error = Some((url.to_owned(), error));
        }
    }
}

/// The country of a number, as far as it can be derived.
fn country(number: &str) -> String {
    let region = PhoneNumber::parse(number).ok().and_then(|number| number.region());
    match region {
        Some(region) => region.to_string(),
        // A number of no region. Such phones are played in the country of the magic numbers.
        None if number.starts_with("+1") => "US".to_owned(),
        None => String::new(),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
