//! The few pages for people: plain HTML without scripts, styles or pictures.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Nothing may be loaded or run, and a form leads only back here.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");

/// A page. As the extension of a response it says that its body is there already: no problem takes its place.
#[derive(Clone, Debug)]
pub struct Html {
    status: StatusCode,
    title: String,
    body: String,
    retry_after_seconds: Option<u64>,
}

impl Html {
    /// A page with a heading.
    pub fn new(status: StatusCode, title: &str) -> Self {
        Self {
            status,
            title: escaped(title),
            body: String::new(),
            retry_after_seconds: None,
        }
    }

    /// The page with one more paragraph.
    pub fn text(mut self, text: &str) -> Self {
        self.body += &format!("<p>{}</p>\n", escaped(text));
        self
    }

    /// The page with a button that sends one field to `action`.
    pub fn button(mut self, action: &str, field: &str, value: &str, label: &str) -> Self {
        let [action, field, value, label] = [action, field, value, label].map(escaped);
        self.body += &format!(
            "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"{field}\" value=\"{value}\">\
             <button>{label}</button></form>\n"
        );
        self
    }

    /// The page with the time after which a try may succeed, seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let Self {
            status, title, body, ..
        } = &self;
        let text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
             <body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
        );
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        let mut response = (*status, headers, text).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_can_become_markup() {
        let page = Html::new(StatusCode::OK, "<a>")
            .text("&lt;")
            .button("x", "y", "\"><script>'", "b");
        assert_eq!(page.title, "&lt;a&gt;");
        assert!(page.body.contains("<p>&amp;lt;</p>"), "{}", page.body);
        assert!(
            page.body.contains("value=\"&quot;&gt;&lt;script&gt;&#39;\""),
            "{}",
            page.body
        );
    }
}
