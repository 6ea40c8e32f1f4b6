//! `GET /qr?text=…`: a text as a QR code, for the page. A phone that scans a link to text us opens its messages app.

use axum::Router;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use qrcode::QrCode;
use qrcode::render::svg::Color;
use serde::Deserialize;

/// The least width and height, in pixels.
const SIZE: u32 = 160;

/// The route.
pub fn router() -> Router {
    Router::new().route("/qr", get(async |Query(Request { text }): Query<Request>| picture(&text)))
}

#[derive(Deserialize)]
struct Request {
    text: String,
}

fn picture(text: &str) -> Response {
    match QrCode::new(text) {
        Ok(code) => {
            let svg = code.render::<Color<'_>>().min_dimensions(SIZE, SIZE).build();
            ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")], svg).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("no QR code of this text: {error}")).into_response(),
    }
}
