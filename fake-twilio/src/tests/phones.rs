//! The test API: phones and faults over HTTP.

use super::*;

async fn json(method: &str, server: &Server, path: &str, body: Value) -> (u16, Value) {
    let request = server.request(method, path).header("content-type", "application/json").body(body.to_string());
    answer(request).await
}

fn phone(query: &str) -> String {
    format!("/phones/{PHONE}/messages{query}")
}

#[tokio::test]
async fn a_phone_waits_for_its_message() {
    let server = Server::start_at(AT_ONCE).await;
    let request = server.request("GET", &phone("?wait=60s")).send();
    let (response, sid) = tokio::join!(request, server.send("Your code is 493027"));
    let page: Value = serde_json::from_str(&response.unwrap().text().await.unwrap()).unwrap();
    let message = &page["messages"][0];
    assert_eq!((&message["sid"], &message["body"]), (&json!(sid), &json!("Your code is 493027")));
    assert_eq!((&message["direction"], &message["status"]), (&json!("received"), &json!("delivered")));
    let (_, page) = answer(server.request("GET", &phone(&format!("?after={sid}")))).await;
    assert_eq!(page, json!({"messages": []}));
}

#[tokio::test]
async fn a_phone_texts_the_app_and_sees_its_reply() {
    let mut app = App::saying("<Response><Message>Hi</Message></Response>").await;
    let server = Server::start_for(&app).await;
    let (status, sent) = json("POST", &server, &phone(""), json!({"body": "Hello"})).await;
    assert_eq!((status, &sent["message"]["to"], &sent["webhook"]["status"]), (201, &json!(OURS), &json!(200)));
    assert_eq!(sent["replies"][0]["body"], "Hi");
    assert_eq!(app.next().await.form(&app).text("Body"), Ok(Some("Hello")));
    let (_, page) = answer(server.request("GET", &phone("?direction=all"))).await;
    assert_eq!(bodies(&page), ["Hello", "Hi"]);
}

#[tokio::test]
async fn a_fault_is_set_and_everything_reset_over_http() {
    let server = Server::start_at(AT_ONCE).await;
    let (status, fault) = json("POST", &server, "/faults", json!({"kind": "http_500"})).await;
    assert_eq!((status, &fault["kind"]), (201, &json!("http_500")));
    assert_eq!(server.post(&changed(&[])).await.0, 500);
    let remove = || server.request("DELETE", &format!("/faults/{}", fault["id"])).send();
    assert_eq!(
        (remove().await.unwrap().status(), remove().await.unwrap().status().as_u16()),
        (StatusCode::NO_CONTENT, 404)
    );
    server.send("Kept").await;
    assert_eq!(server.request("DELETE", "/phones").send().await.unwrap().status(), 204);
    assert!(server.twilio.messages().is_empty());
}

#[tokio::test]
async fn requests_that_cannot_be_carried_out_say_what_to_do() {
    let server = Server::start().await;
    for (path, body, expected) in [
        ("/phones/4155550123/messages", json!({"body": "Hi"}), "must be in E.164"),
        (&phone(""), json!({"text": "Hi"}), "unknown field `text`"),
        (&phone(""), json!({"media": ["https://example.com/a.png"]}), "data URL"),
        ("/faults", json!({"kind": "time_out"}), "timeout, http_500"),
    ] {
        let (status, error) = json("POST", &server, path, body).await;
        assert_eq!(status, 400, "{error}");
        assert!(error["error"].as_str().unwrap().contains(expected), "{error}");
    }
    let form = server.request("POST", &phone("")).form(&[("body", "Hi")]);
    assert_eq!(answer(form).await.0, 415, "which a page of another host could send");
    for query in ["?wait=2m", "?wait=soon", "?direction=up", "?after=SM1", "?since=1"] {
        assert_eq!(answer(server.request("GET", &phone(query))).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn only_this_machine_is_answered() {
    let server = Server::start().await;
    let get = |name: &'static str, value: &'static str| server.request("GET", "/faults").header(name, value).send();
    for (name, value, expected) in [
        ("host", "localhost:8080", 200),
        ("host", "example.com", 421),
        ("host", "127.0.0.1.example.com", 421),
        ("origin", "http://127.0.0.1:3000", 200),
        ("origin", "https://example.com", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
    ] {
        assert_eq!(get(name, value).await.unwrap().status(), expected, "{name}: {value}");
    }
}
