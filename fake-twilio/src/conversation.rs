//! What follows from a text: who is told of it, and what is done with the answer.
//!
//! A conversation of documents: each answer is carried out verb by verb until one leads to another document. What was sent by
//! then is sent, whatever becomes of the rest.

use crate::errors::{self, Refusal, TwilioError};
use crate::exchanges::{Between, Outcome, Telling};
use crate::faults::{Kind, Place};
use crate::keywords::Keyword;
use crate::limits::{API_VERSION, MAX_MEDIA};
use crate::media_download::Collected;
use crate::message::{Direction, Message};
use crate::number::OurNumber;
use crate::parameters::as_object;
use crate::store::ledger::Entry;
use crate::twilio::FakeTwilio;
use crate::twiml::{self, Document, Outgoing, Verb};
use crate::validation::{can_exist, is_too_long, is_url, may_send_from};
use crate::webhook::{Call, WebhookError};
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;
use shared::phone::number::PhoneNumber;

/// How many documents one may lead to.
const MAX_REDIRECTS: usize = 10;
/// How many messages may answer one. <https://www.twilio.com/docs/api/errors/14109>
const MAX_REPLIES: usize = 10;

/// What came of a text.
#[derive(Clone, Debug)]
pub struct Texted {
    /// The text itself, as Twilio keeps it.
    pub message: Message,
    /// Who was told of it, and what the answer was.
    pub webhook: WebhookCall,
    /// What the phone gets back.
    pub replies: Vec<Message>,
}

/// How somebody was told of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookCall {
    /// Whom; empty if there is nobody.
    pub url: String,
    /// With which status it was answered; none if there was no answer.
    pub status: Option<u16>,
    /// What the answer says is to be done.
    pub twiml: Option<String>,
    /// What went wrong.
    #[serde(serialize_with = "as_sentence")]
    pub error: Option<WebhookError>,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_sentence<S: serde::Serializer>(error: &Option<WebhookError>, serializer: S) -> Result<S::Ok, S::Error> {
    match error {
        Some(error) => serializer.collect_str(error),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn nobody(error: WebhookError) -> WebhookCall {
    WebhookCall { url: String::new(), status: None, twiml: None, error: Some(error) }
}

/// What follows from one inbound message. It comes to an end, so it may keep Twilio alive until then.
pub(crate) struct Conversation {
    twilio: FakeTwilio,
    pub(crate) inbound: Message,
    replies: Vec<Message>,
}

impl Conversation {
    pub(crate) fn about(twilio: FakeTwilio, inbound: Message) -> Self {
        Self { twilio, inbound, replies: Vec::new() }
    }

    fn phone(&self) -> &str {
        self.inbound.phone()
    }

    /// Twilio's own answer comes first, and comes even to a phone that wants no more messages.
    pub(crate) fn answer_keyword(&mut self) {
        let Some(keyword) = Keyword::of(&self.inbound.body) else { return };
        let (ours, phone) = (self.inbound.to.clone(), self.phone().to_owned());
        let was_opted_out = self.twilio.has_opted_out(&*ours, &phone);
        match keyword {
            Keyword::Stop if was_opted_out => return,
            Keyword::Stop => drop(self.twilio.change(Entry::OptedOut { ours, phone })),
            Keyword::Start => drop(self.twilio.change(Entry::OptedIn { ours, phone })),
            Keyword::Help => {}
        }
        let mut answer = self.reply_from(&self.inbound.to, self.phone(), keyword.answer());
        answer.by_twilio = true;
        self.send(answer, false);
    }

    /// Tells whoever is to be told, and carries out the answer.
    pub(crate) async fn hold(mut self) -> Texted {
        let webhook = self.tell().await;
        self.twilio.told(&self.inbound);
        // As it is now, unless it was forgotten.
        let message = self.twilio.message(&self.inbound.sid).unwrap_or(self.inbound);
        Texted { message, webhook, replies: self.replies }
    }

    /// Tells the number's webhook, or its fallback.
    async fn tell(&mut self) -> WebhookCall {
        let number = self.twilio.numbers().into_iter().find(|number| number.is(&self.inbound.to));
        let Some((method, url)) = number.as_ref().and_then(OurNumber::webhook) else {
            return nobody(WebhookError::NoUrl);
        };
        // Listens before it may have to wait, so that it misses nobody.
        let mut answered = self.twilio.answered().subscribe();
        let fault = self.twilio.faults().take(Place::Webhook, Some(self.phone()));
        if fault == Some(Kind::OutOfOrderWebhook) {
            let phone = self.phone().to_owned();
            let other = async { while answered.recv().await.is_ok_and(|other| other != phone) {} };
            // In vain if there is no other message.
            let _ = tokio::time::timeout(self.twilio.limits().held, other).await;
        }
        let mut call = Call::new(method, url, self.parameters());
        call.forged = fault == Some(Kind::ForgedSignature);
        let mut webhook = self.carry_out(call.clone(), fault).await;
        if fault == Some(Kind::DuplicateWebhook) {
            // Twilio can't know that it is a repetition, so it does again what the answer says.
            let replies = std::mem::take(&mut self.replies);
            self.carry_out(call, fault).await;
            self.replies.splice(..0, replies);
        }
        let failed = webhook.error.as_ref().and_then(|(url, error)| Some((url.clone(), error.code()?)));
        let is_fatal = !matches!(webhook.error, Some((_, WebhookError::Schema(_))));
        if let (Some((error_url, code)), true, Some((method, url))) =
            (failed, is_fatal, number.as_ref().and_then(OurNumber::fallback))
        {
            let mut parameters = self.parameters();
            parameters.push(("ErrorCode".to_owned(), code.to_string()));
            parameters.push(("ErrorUrl".to_owned(), error_url));
            webhook = self.carry_out(Call::new(method, url, parameters), None).await;
        }
        let _ = self.twilio.answered().send(self.phone().to_owned());
        let Told { url, status, twiml, error } = webhook;
        WebhookCall { url, status, twiml, error: error.map(|(_, error)| error) }
    }

    /// Asks for a document and does what it says, and what those say that it leads to.
    async fn carry_out(&mut self, call: Call, fault: Option<Kind>) -> Told {
        let mut told = Told { url: call.url.clone(), status: None, twiml: None, error: None };
        let mut next = Some((call, fault));
        for documents in 0.. {
            let Some((call, fault)) = next.take() else { break };
            if documents > MAX_REDIRECTS {
                told.error.get_or_insert((call.url, WebhookError::TooManyDocuments(MAX_REDIRECTS)));
                break;
            }
            let (answer, document) = self.ask(&call, fault).await;
            if documents == 0
                && let Some((status, text)) = answer
            {
                told.status = Some(status);
                told.twiml = Some(text).filter(|text| !text.is_empty());
            }
            let is_kept = self.twilio.has(&self.inbound.sid);
            match document.and_then(|document| if is_kept { Ok(document) } else { Err(WebhookError::Ended) }) {
                Ok(document) => {
                    if !document.warnings.is_empty() {
                        let warning = WebhookError::Schema(document.warnings.join("; "));
                        told.error.get_or_insert((call.url.clone(), warning));
                    }
                    next = self.run(&call.url, document).await.map(|call| (call, None));
                }
                Err(error) => drop(told.error.get_or_insert((call.url, error))),
            }
        }
        told
    }

    /// Makes a call and reads the answer, and tells of both.
    async fn ask(&self, call: &Call, fault: Option<Kind>) -> (Option<(u16, String)>, Result<Document, WebhookError>) {
        let answer = self.twilio.call(call).await;
        let (mut outcome, response) = match &answer {
            Ok(answer) => (answer.outcome(), answer.told()),
            Err(WebhookError::Outside { .. }) => (Outcome::Refused, Value::Null),
            Err(_) => (Outcome::Failed, Value::Null),
        };
        let seen = answer.as_ref().ok().map(|answer| (answer.status, answer.text()));
        let document = answer.and_then(|answer| {
            if answer.is_success() {
                return twiml::read(&answer.content_type, &answer.body);
            }
            Err(WebhookError::Status { url: call.url.clone(), status: answer.status })
        });
        let what = match &document {
            Ok(document) if document.verbs.is_empty() => "no reply".to_owned(),
            Ok(document) => format!("{} in TwiML", plural(document.verbs.len(), "verb")),
            Err(error) => {
                outcome = if outcome == Outcome::Ok { Outcome::Failed } else { outcome };
                error.to_string()
            }
        };
        let status = seen.as_ref().map_or(String::new(), |(status, _)| format!("{status}, "));
        self.twilio.feed().happened(Telling {
            between: Between::Webhook,
            title: &call.title(),
            summary: status + &what + &call.hint(),
            outcome,
            number: Some(self.phone().to_owned()),
            request: as_object(call.parameters.iter().map(|(name, value)| (&**name, &**value))),
            response,
            fault: fault.map(Kind::as_str),
        });
        (seen, document)
    }

    /// Does what a document says; the call that it leads to, if any. The verbs behind that are never reached.
    async fn run(&mut self, url: &str, document: Document) -> Option<Call> {
        for verb in document.verbs {
            match verb {
                Verb::Redirect { url: target, method } => {
                    return Some(Call::new(method, resolve(url, &target), self.parameters()));
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
                        return Some(Call::new(method, resolve(url, &action), parameters));
                    }
                }
            }
        }
        None
    }

    /// Sends what a document says, or tells why not.
    async fn reply(&mut self, url: &str, outgoing: Outgoing) -> Option<Message> {
        let Outgoing { to, from, body, media, status_callback, .. } = outgoing;
        let to = to.unwrap_or_else(|| self.phone().to_owned());
        let from = from.unwrap_or_else(|| self.inbound.to.clone());
        if let Some(error) = self.why_not(&to, &from, &body, media.len()) {
            self.twilio.tell_unsent(&to, &body, error.in_short());
            return None;
        }
        let urls: Vec<String> = media.iter().map(|media| resolve(url, media)).collect();
        if let Some(url) = urls.iter().find(|url| !is_url(url)) {
            let Refusal { code, message, .. } = errors::MEDIA_URL.about(&[url]);
            self.twilio.tell_unsent(&to, &body, format!("{code}: {message}"));
            return None;
        }
        let Collected { media, too_large } = self.twilio.collect(urls, &to).await;
        let mut reply = self.reply_from(&from, &to, &body).with_media(media);
        match status_callback.map(|target| resolve(url, &target)) {
            Some(target) if is_url(&target) => reply.parameters.push(("StatusCallback".to_owned(), target)),
            Some(_) => self.twilio.tell_unsent(&to, &body, errors::TWIML_STATUS_CALLBACK.in_short() + ", sent without"),
            None => {}
        }
        Some(self.send(reply, too_large))
    }

    /// Why Twilio would not send this. It says so in its debugger only, for nobody is there to be answered.
    fn why_not(&self, to: &str, from: &str, body: &str, num_media: usize) -> Option<TwilioError> {
        let replies = self.replies.iter().filter(|reply| !reply.by_twilio).count();
        match () {
            () if replies >= MAX_REPLIES => Some(errors::TWIML_REPLIES),
            () if to == from => Some(errors::TO_IS_FROM),
            // Whoever texted us has a number, whatever its digits say.
            () if to != self.phone() && !can_exist(to) => Some(errors::TWIML_TO),
            () if !may_send_from(&self.twilio.account(), from) => Some(errors::TWIML_FROM),
            () if body.is_empty() && num_media == 0 => Some(errors::TWIML_BODY),
            () if is_too_long(body) => Some(errors::BODY_TOO_LONG),
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
        reply.fate = self.twilio.decide(&reply.to).0;
        if too_large {
            reply.fate.error_code = Some(errors::MEDIA_TOO_LARGE);
        }
        let reply = self.twilio.take(reply);
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
        // Where a number is from Twilio knows of some numbers, beyond the country; of the others it sends these empty.
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
            let url = format!("{}{}", self.twilio.origin(), media.path(&path));
            parameters.push((format!("MediaUrl{index}"), url));
            parameters.push((format!("MediaContentType{index}"), media.content_type().to_owned()));
        }
        parameters
    }
}

/// How the first call of several went; the error may be of a later one, and names its URL.
struct Told {
    url: String,
    status: Option<u16>,
    twiml: Option<String>,
    error: Option<(String, WebhookError)>,
}

/// A URL in a document. A relative one is relative to the document's; an absolute one stays byte for byte, as it is signed.
fn resolve(base: &str, target: &str) -> String {
    match Url::parse(base) {
        Ok(base) if Url::parse(target).is_err() => base.join(target).map_or_else(|_| target.to_owned(), String::from),
        _ => target.to_owned(),
    }
}

/// The country of a number, as far as its digits tell.
fn country(number: &str) -> String {
    let region = PhoneNumber::parse(number).ok().and_then(|number| number.region());
    match region {
        Some(region) => region.to_string(),
        // Twilio's magic numbers have an area code that nobody has.
        None if number.starts_with("+1") => "US".to_owned(),
        None => String::new(),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
