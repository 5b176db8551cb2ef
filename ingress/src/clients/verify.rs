//! `/api/v1/clients/verify`: the link of a verification mail.
//!
//! Mail scanners open links, so opening one changes nothing: it shows a page whose button sends the token
//! back. Programs send it as JSON.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokerx_identity::links::{self, LinkError, VERIFY_EMAIL, VERIFY_REMINDER};
use brokerx_topics::service::clock::now_unix_seconds;
use serde::Deserialize;
use serde_json::json;

use super::registrations::{Activation, Outlook, activate, look};
use crate::gateway::RequestContext;
use crate::http::{Body, Html, Problem, Query};
use crate::orders::REPLAYED;
use crate::outbox;
use crate::state::{App, Shared};

/// How long the answer waits for the new status to reach the log, so that whatever the client sends next
/// comes after it.
const RELAY_LIMIT: Duration = Duration::from_secs(2);

/// The query of the link, and the body of its use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    token: String,
}

/// Shows what the link is for; changes nothing.
pub async fn show(State(app): State<Shared>, query: Result<Query<Link>, Problem>) -> Response {
    let shown = async {
        let Query(Link { token }) = query?;
        match look(&app.database, mail_of(&app, &token)?).await? {
            Outlook::Open(name) => Ok(button(&token, &name)),
            Outlook::Settled(Activation::Never) => Err(ended()),
            Outlook::Settled(_) => Ok(already()),
        }
    };
    shown.await.unwrap_or_else(page_of).into_response()
}

/// How the token was sent, which is how the answer looks.
pub enum Sent {
    /// By the page's button.
    Button(Result<Link, Problem>),
    /// By a program.
    Program(Link),
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_form(request.headers()) {
            return Body::from_request(request, state)
                .await
                .map(|Body(link)| Self::Program(link));
        }
        let link = Form::from_request(request, state).await;
        let problem = |rejection: FormRejection| Problem::invalid_request(rejection.body_text());
        Ok(Self::Button(link.map(|Form(link)| link).map_err(problem)))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    content_type.is_some_and(|value| value.starts_with(b"application/x-www-form-urlencoded"))
}

/// Makes the client active; again, it says that the client is.
pub async fn verify(State(app): State<Shared>, context: RequestContext, sent: Sent) -> Result<Response, Problem> {
    match sent {
        Sent::Program(link) => {
            let is_new = is_new(&app, &context, &link).await?;
            let mut response = Json(json!({ "status": "active" })).into_response();
            if !is_new {
                response.headers_mut().extend([REPLAYED]);
            }
            Ok(response)
        }
        Sent::Button(link) => {
            let done = async { is_new(&app, &context, &link?).await };
            let page = match done.await {
                Ok(true) => Html::new(StatusCode::OK, "Your e-mail address is confirmed").text("You can log in now."),
                Ok(false) => already(),
                Err(problem) => page_of(problem),
            };
            Ok(page.into_response())
        }
    }
}

/// Uses a link; false when the client was active already.
async fn is_new(app: &App, context: &RequestContext, link: &Link) -> Result<bool, Problem> {
    let mail_id = mail_of(app, &link.token)?;
    match activate(&app.database, mail_id, context.correlation_id()).await? {
        Activation::Now(event_id) => {
            outbox::relayed(&app.database, event_id, RELAY_LIMIT).await;
            Ok(true)
        }
        Activation::Before => Ok(false),
        Activation::Never => Err(ended()),
    }
}

fn mail_of(app: &App, token: &str) -> Result<i64, Problem> {
    let purposes = [VERIFY_EMAIL, VERIFY_REMINDER];
    links::verify(&app.options.mail_key, token, &purposes, now_unix_seconds()).map_err(|error| match error {
        LinkError::Invalid => {
            Problem::bad_request("INVALID_LINK", "the link is not one of ours, or not the whole of it")
        }
        LinkError::Expired => gone(
            "LINK_EXPIRED",
            "the link has expired; use that of a newer mail, or register again",
        ),
    })
}

fn ended() -> Problem {
    gone(
        "LINK_ENDED",
        "the link of a newer mail has taken its place, or the registration has ended and has to be made again",
    )
}

fn gone(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::GONE, code, detail)
}

fn button(token: &str, name: &str) -> Html {
    Html::new(StatusCode::OK, "Confirm your e-mail address")
        .text(&format!(
            "Press the button if it was you who registered with BrokerX as {name}. \
             If it was not you, close this page: nothing happens."
        ))
        .button("verify", "token", token, "Confirm")
}

fn already() -> Html {
    Html::new(StatusCode::OK, "Your e-mail address was confirmed already").text("You can log in.")
}

fn page_of(problem: Problem) -> Html {
    let page = Html::new(problem.status(), "This did not work").text(&format!("Sorry: {}.", problem.detail()));
    match problem.retry_after_seconds() {
        Some(seconds) => page.text("Please try again in a moment.").retry_after(seconds),
        None => page,
    }
}
