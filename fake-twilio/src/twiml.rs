//! TwiML, as leniently as Twilio parses it: unknown elements and attributes give a warning and are skipped; only what
//! can't be parsed as TwiML is an error.

use crate::webhook::WebhookCallError;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use reqwest::Method;

/// The content of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) verbs: Vec<Verb>,
    /// What was skipped.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Send a message.
    Message(Box<Outgoing>),
    /// Fetch another document. Later verbs are not reached.
    Redirect { url: String, method: Method },
}

/// `<Message>`
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) to: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) body: String,
    pub(crate) media: Vec<String>,
    pub(crate) status_callback: Option<String>,
    /// Called as soon as the message is created. Its response replaces the rest of the document.
    pub(crate) action: Option<String>,
    pub(crate) method: Method,
}

/// Parses a response. An empty body is an empty document, whatever its type.
pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<Document, WebhookCallError> {
    if body.trim_ascii().is_empty() {
        return Ok(Document::default());
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let not_utf8 = |_| invalid("invalid UTF-8");
    match media_type.as_str() {
        "text/xml" | "application/xml" | "text/html" => parse(str::from_utf8(body).map_err(not_utf8)?),
        "text/plain" => {
            let body = str::from_utf8(body).map_err(not_utf8)?.trim().to_owned();
            Ok(Document {
                verbs: vec![Verb::Message(Box::new(Outgoing { body, ..Outgoing::default() }))],
                warnings: vec![],
            })
        }
        _ => Err(WebhookCallError::ContentType(content_type.to_owned())),
    }
}

/// The position in the document.
enum ParserState {
    Outside,
    Response,
    Message(Box<Outgoing>),
    Body(Box<Outgoing>),
    Media(Box<Outgoing>, String),
    Redirect(String, Method),
    /// In a skipped element, at this depth.
    Ignored(Box<ParserState>, usize),
}

fn invalid(reason: impl ToString) -> WebhookCallError {
    WebhookCallError::Parse(reason.to_string())
}

fn parse(text: &str) -> Result<Document, WebhookCallError> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    reader.config_mut().expand_empty_elements = true;
    let mut document = Document::default();
    let (mut state, mut ended) = (ParserState::Outside, false);
    loop {
        let event = reader.read_event().map_err(invalid)?;
        state = match (event, state) {
            (Event::Eof, ParserState::Outside) if ended => return Ok(document),
            (Event::Eof, _) => return Err(invalid("missing </Response>")),
            // TwiML needs no DOCTYPE, and entities must not be resolved.
            (Event::DocType(_), _) => return Err(invalid("a DOCTYPE is not allowed")),
            (Event::Start(_), ParserState::Outside) if ended => return Err(invalid("an element after </Response>")),
            (Event::Start(element), outer) => start(&element, outer, &mut document)?,
            (Event::End(_), inner) => {
                ended |= matches!(inner, ParserState::Response);
                end(inner, &mut document)
            }
            (event, here) => content(&text_of(&event)?, here, &mut document)?,
        };
    }
}

/// The text of an event; empty for comments and processing instructions.
fn text_of(event: &Event<'_>) -> Result<String, WebhookCallError> {
    match event {
        Event::Text(text) => Ok(text.xml10_content().into_owned()),
        Event::CData(text) => Ok(text.xml10_content().into_owned()),
        Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(invalid)? {
            Some(character) => Ok(character.to_string()),
            None => resolve_predefined_entity(reference)
                .map(str::to_owned)
                .ok_or_else(|| invalid(format!("unknown entity &{};", &**reference))),
        },
        _ => Ok(String::new()),
    }
}

/// The state after a start tag.
fn start(
    element: &BytesStart<'_>,
    outer: ParserState,
    document: &mut Document,
) -> Result<ParserState, WebhookCallError> {
    match outer {
        ParserState::Outside if element.name().as_ref() == "Response" => {
            attributes(element, document, [])?;
            Ok(ParserState::Response)
        }
        ParserState::Outside => Err(invalid("the root element must be <Response>")),
        ParserState::Response => verb(element, document),
        ParserState::Message(message) => Ok(match element.name().as_ref() {
            "Body" => ParserState::Body(message),
            "Media" => ParserState::Media(message, String::new()),
            _ => ignored(element, "Message", ParserState::Message(message), document),
        }),
        ParserState::Ignored(outer, depth) => Ok(ParserState::Ignored(outer, depth + 1)),
        outer => Ok(ignored(element, outer.name(), outer, document)),
    }
}

/// The state after an end tag. A verb that ends is added to the document.
fn end(inner: ParserState, document: &mut Document) -> ParserState {
    match inner {
        ParserState::Ignored(outer, 0) => *outer,
        ParserState::Ignored(outer, depth) => ParserState::Ignored(outer, depth - 1),
        ParserState::Body(message) => ParserState::Message(message),
        ParserState::Media(mut message, url) => {
            message.media.push(url.trim().to_owned());
            ParserState::Message(message)
        }
        ParserState::Message(mut message) => {
            message.body = message.body.trim().into();
            document.verbs.push(Verb::Message(message));
            ParserState::Response
        }
        ParserState::Redirect(url, method) => {
            document.verbs.push(Verb::Redirect { url: url.trim().to_owned(), method });
            ParserState::Response
        }
        ParserState::Response | ParserState::Outside => ParserState::Outside,
    }
}

/// The state after text.
fn content(text: &str, mut here: ParserState, document: &mut Document) -> Result<ParserState, WebhookCallError> {
    match &mut here {
        ParserState::Message(message) | ParserState::Body(message) => message.body.push_str(text),
        ParserState::Media(_, url) | ParserState::Redirect(url, _) => url.push_str(text),
        ParserState::Outside if !text.trim().is_empty() => return Err(invalid("text outside <Response>")),
        ParserState::Response if !text.trim().is_empty() => {
            document.warnings.push("text directly in <Response>".to_owned());
        }
        _ => {}
    }
    Ok(here)
}

impl ParserState {
    const fn name(&self) -> &'static str {
        match self {
            Self::Body(_) => "Body",
            Self::Media(..) => "Media",
            Self::Redirect(..) => "Redirect",
            _ => "Response",
        }
    }
}

fn ignored(element: &BytesStart<'_>, parent: &str, outer: ParserState, document: &mut Document) -> ParserState {
    document.warnings.push(format!("<{}> in <{parent}>", element.name().as_ref()));
    ParserState::Ignored(Box::new(outer), 0)
}

/// An element directly in `<Response>`.
fn verb(element: &BytesStart<'_>, document: &mut Document) -> Result<ParserState, WebhookCallError> {
    match element.name().as_ref() {
        "Message" => {
            let [to, from, action, method, status_callback] =
                attributes(element, document, ["to", "from", "action", "method", "statusCallback"])?;
            let method = method_of(method, document);
            Ok(ParserState::Message(Box::new(Outgoing {
                to,
                from,
                status_callback,
                action,
                method,
                ..Outgoing::default()
            })))
        }
        "Redirect" => {
            let [method] = attributes(element, document, ["method"])?;
            Ok(ParserState::Redirect(String::new(), method_of(method, document)))
        }
        _ => Ok(ignored(element, "Response", ParserState::Response, document)),
    }
}

/// The values of these attributes. Others are skipped.
fn attributes<const N: usize>(
    element: &BytesStart<'_>,
    document: &mut Document,
    names: [&str; N],
) -> Result<[Option<String>; N], WebhookCallError> {
    let mut values = [const { None }; N];
    for attribute in element.attributes() {
        let attribute = attribute.map_err(invalid)?;
        let name = attribute.key.as_ref();
        match names.iter().position(|known| *known == name) {
            Some(index) => {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                let value = value.map_err(invalid)?;
                if let Some(slot) = values.get_mut(index) {
                    *slot = Some(value.into_owned()).filter(|value| !value.is_empty());
                }
            }
            None if name.starts_with("xml") => {}
            None => document.warnings.push(format!("the attribute {name} of <{}>", element.name().as_ref())),
        }
    }
    Ok(values)
}

/// POST is the default, also for unknown methods.
fn method_of(method: Option<String>, document: &mut Document) -> Method {
    match method.map(|method| method.to_ascii_uppercase()).as_deref() {
        Some("GET") => Method::GET,
        None | Some("POST") => Method::POST,
        Some(other) => {
            document.warnings.push(format!("the method {other:?}"));
            Method::POST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Outgoing {
        Outgoing { body: body.to_owned(), method: Method::POST, ..Outgoing::default() }
    }

    fn verbs(verbs: Vec<Verb>) -> Document {
        Document { verbs, warnings: vec![] }
    }

    fn one(outgoing: Outgoing) -> Document {
        verbs(vec![Verb::Message(Box::new(outgoing))])
    }

    #[test]
    fn twiml_is_read_as_twilio_reads_it() {
        let to_url = |url: &str, method| Verb::Redirect { url: url.to_owned(), method };
        let full = Outgoing {
            to: Some("+14155550124".to_owned()),
            from: Some("+14155550100".to_owned()),
            body: "Hi".to_owned(),
            media: vec!["https://example.com/a.png?a=1&b=2".to_owned(), "b.png".to_owned()],
            status_callback: Some("/status".to_owned()),
            action: Some("/next".to_owned()),
            method: Method::GET,
        };
        for (twiml, expected) in [
            ("<Response/>", verbs(vec![])),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response></Response>\n", verbs(vec![])),
            ("\u{feff}<Response><!-- nothing --></Response><!-- at all -->", verbs(vec![])),
            ("<Response><Message>Hi</Message></Response>", one(message("Hi"))),
            ("<Response>\n <Message>\n  Hi there\n </Message>\n</Response>", one(message("Hi there"))),
            ("<Response><Message><Body>Hi</Body></Message></Response>", one(message("Hi"))),
            ("<Response><Message>a &amp; b &lt;&#99;&#x64;&gt;</Message></Response>", one(message("a & b <cd>"))),
            ("<Response><Message><![CDATA[<b> & ]]>c</Message></Response>", one(message("<b> & c"))),
            ("<Response><Message>a<!-- -->b<?pi?>c</Message></Response>", one(message("abc"))),
            ("<Response><Message>Grüße 👋</Message></Response>", one(message("Grüße 👋"))),
            ("<Response xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"/>", verbs(vec![])),
            (
                "<Response><Message to='+14155550124' from=\"+14155550100\" statusCallback='/status' action='/next' method='get'>\
                 <Body>Hi</Body><Media>https://example.com/a.png?a=1&amp;b=2</Media><Media> b.png </Media></Message></Response>",
                one(full),
            ),
            (
                "<Response><Message>1</Message><Redirect>../other</Redirect><Message>2</Message></Response>",
                verbs(vec![
                    Verb::Message(Box::new(message("1"))),
                    to_url("../other", Method::POST),
                    Verb::Message(Box::new(message("2"))),
                ]),
            ),
            (
                "<Response><Redirect method='GET'>/a?b&amp;c</Redirect></Response>",
                verbs(vec![to_url("/a?b&c", Method::GET)]),
            ),
        ] {
            assert_eq!(read("text/xml; charset=utf-8", twiml.as_bytes()), Ok(expected), "{twiml}");
        }
    }

    #[test]
    fn what_messaging_has_no_use_for_is_warned_of_and_the_rest_is_done() {
        for (twiml, warnings, sent) in [
            ("<Response><Say>Hi <b>you</b></Say><Message>a</Message></Response>", vec!["<Say> in <Response>"], 1),
            ("<Response><message>a</message></Response>", vec!["<message> in <Response>"], 0),
            ("<Response><Message>a<Emoji><x/></Emoji></Message></Response>", vec!["<Emoji> in <Message>"], 1),
            ("<Response><Message colour='red'>a</Message></Response>", vec!["the attribute colour of <Message>"], 1),
            ("<Response><Message method='PUT'>a</Message></Response>", vec!["the method \"PUT\""], 1),
            ("<Response>Hi<Message>a</Message></Response>", vec!["text directly in <Response>"], 1),
            ("<Response><Message><Body>a<i>b</i></Body></Message></Response>", vec!["<i> in <Body>"], 1),
        ] {
            let document = read("application/xml", twiml.as_bytes()).unwrap();
            assert_eq!(
                (document.warnings, document.verbs.len()),
                (warnings.iter().map(|&w| w.to_owned()).collect(), sent),
                "{twiml}"
            );
        }
    }

    #[test]
    fn what_is_no_twiml_is_an_error() {
        for twiml in [
            "Hello",
            "<Response>",
            "<Response><Message>a</Response>",
            "<Response><Message>a</Message>",
            "<Response><Message>a</message></Response>",
            "<Response/><Response/>",
            "<Response/>Hello",
            "<Message>a</Message>",
            "<html><body>500</body></html>",
            "<!DOCTYPE html><Response/>",
            "<!DOCTYPE r [<!ENTITY a \"b\">]><Response><Message>&a;</Message></Response>",
            "<Response><Message>&nbsp;</Message></Response>",
            "<Response><Message>&#xD800;</Message></Response>",
            "<Response><Message>fish & chips</Message></Response>",
            "<Response><Message to=1>a</Message></Response>",
            "<Response><Message to='1' to='2'>a</Message></Response>",
            "<Response><!-- </Response>",
        ] {
            let error = read("text/xml", twiml.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Some(12100), "{twiml} {error}");
        }
        assert_eq!(read("text/xml", b"<Response><Message>\xff</Message></Response>").unwrap_err().code(), Some(12100));
    }

    #[test]
    fn the_content_type_decides_how_an_answer_is_read() {
        let twiml = "<Response><Message>a</Message></Response>";
        for (content_type, body, expected) in [
            ("text/xml", twiml, Ok("a")),
            ("application/xml;charset=UTF-8", twiml, Ok("a")),
            ("TEXT/HTML", twiml, Ok("a")),
            ("text/plain; charset=utf-8", " a\n", Ok("a")),
            ("text/plain", twiml, Ok(twiml)),
            ("application/json", "", Ok("")),
            ("", " \n", Ok("")),
            ("application/json", "{}", Err(12300)),
            ("", twiml, Err(12300)),
            ("text/xml+soap", twiml, Err(12300)),
        ] {
            let read = read(content_type, body.as_bytes()).map(|document| match document.verbs.first() {
                Some(Verb::Message(message)) => message.body.clone(),
                _ => String::new(),
            });
            let expected = expected.map(str::to_owned).map_err(Some);
            assert_eq!(read.map_err(|error| error.code()), expected, "{content_type} {body}");
        }
    }
}
