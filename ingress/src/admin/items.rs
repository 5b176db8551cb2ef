//! One request about many things: each has an outcome of its own, and the status says whether all were done.
//!
//! As long as the outcome of one is missing and none was refused, the whole is pending. It ends with the last
//! outcome: done, or partly done. Should one be forgotten before it came, the whole stays pending, unless another was
//! refused: then it is partly done in any case.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokerx_schemas::Symbol;
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::acted::{Acted, LaterAnswer};
use crate::http::Problem;
use crate::orders::REPLAYED;

/// Commands that are on their way at once.
const SIDE_BY_SIDE: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Pending,
    Done,
    Refused,
}

#[derive(Clone, Debug)]
struct Item {
    symbol: Symbol,
    progress: Progress,
    /// `done`, `pending` or the code of the refusal.
    outcome: String,
    replayed: bool,
}

/// The outcomes so far; its clones share them.
#[derive(Clone)]
pub(super) struct Items(Arc<Mutex<Vec<Item>>>);

impl Items {
    /// These, of which none has an outcome yet.
    pub(super) fn new(symbols: &[Symbol]) -> Self {
        let pending = |&symbol| Item {
            symbol,
            progress: Progress::Pending,
            outcome: "pending".to_owned(),
            replayed: false,
        };
        Self(Arc::new(Mutex::new(symbols.iter().map(pending).collect())))
    }

    /// Does something for each, many side by side, and keeps what came of it. What comes later of the whole has
    /// come once it has of each.
    pub(super) async fn each<F>(&self, act: impl Fn(Symbol) -> F) -> Acted
    where
        F: Future<Output = Result<Acted, Problem>> + Send,
    {
        let symbols: Vec<Symbol> = self.lock().iter().map(|item| item.symbol).collect();
        let all = stream::iter(symbols.into_iter().enumerate());
        let acting = all.map(|(index, symbol)| {
            let acted = act(symbol);
            async move {
                let (outcome, later) = match acted.await {
                    Ok(Acted { response, later }) => (Ok(response), later),
                    Err(problem) => (Err(problem), None),
                };
                self.lock()[index].take(&outcome);
                later.map(|later| (index, later))
            }
        });
        let ended = acting.buffer_unordered(SIDE_BY_SIDE);
        let missing: Vec<_> = ended.filter_map(std::future::ready).collect().await;
        Acted {
            response: self.answer(),
            later: self.clone().once_all_have(missing),
        }
    }

    /// The answer once those that are missing have come, too.
    fn once_all_have(self, missing: Vec<(usize, LaterAnswer)>) -> Option<LaterAnswer> {
        if missing.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for (index, later) in missing {
                if let Some(outcome) = later.await {
                    self.lock()[index].take(&outcome);
                }
            }
            Some(Ok(self.answer()))
        }))
    }

    /// 200 when all are done, 202 while the rest may still be, 207 when one was refused.
    pub(super) fn answer(&self) -> Response {
        #[derive(Serialize)]
        struct Body {
            symbol: String,
            outcome: String,
        }
        let items = self.lock();
        let any = |progress| items.iter().any(|item| item.progress == progress);
        let status = if any(Progress::Refused) {
            StatusCode::MULTI_STATUS
        } else if any(Progress::Pending) {
            StatusCode::ACCEPTED
        } else {
            StatusCode::OK
        };
        let body: Vec<Body> = items
            .iter()
            .map(|item| Body {
                symbol: item.symbol.to_string(),
                outcome: item.outcome.clone(),
            })
            .collect();
        let mut response = (status, Json(serde_json::json!({ "items": body }))).into_response();
        if !items.is_empty() && items.iter().all(|item| item.replayed) {
            response.headers_mut().extend([REPLAYED]);
        }
        response
    }

    /// The list is intact even after a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, Vec<Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    fn take(&mut self, outcome: &Result<Response, Problem>) {
        match outcome {
            Ok(response) if response.status() == StatusCode::ACCEPTED => {}
            Ok(response) => {
                self.progress = Progress::Done;
                self.outcome = "done".to_owned();
                self.replayed = response.headers().contains_key(REPLAYED.0);
            }
            Err(problem) => {
                self.progress = Progress::Refused;
                problem.code().clone_into(&mut self.outcome);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::orders::late;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(name).unwrap()).collect()
    }

    #[tokio::test]
    async fn the_status_says_whether_all_were_done() {
        let done = |replayed: bool| {
            let mut response = StatusCode::OK.into_response();
            if replayed {
                response.headers_mut().extend([REPLAYED]);
            }
            Ok(response)
        };
        let answer = async |act: &dyn Fn(&str) -> Result<Response, Problem>| {
            let items = Items::new(&symbols(&["A", "B"]));
            let one = |symbol: Symbol| std::future::ready(act(&symbol.to_string()).map(Acted::from));
            let response = items.each(one).await.response;
            let replayed = response.headers().contains_key(REPLAYED.0);
            (response.status().as_u16(), replayed)
        };
        let halted = || Err(Problem::not_found("gone"));
        assert_eq!(answer(&|_| done(false)).await, (200, false));
        assert_eq!(answer(&|_| done(true)).await, (200, true));
        assert_eq!(answer(&|symbol| done(symbol == "A")).await, (200, false));
        assert_eq!(
            answer(&|symbol| if symbol == "A" { done(false) } else { halted() }).await,
            (207, false)
        );
        assert_eq!(
            answer(&|symbol| if symbol == "A" { done(false) } else { Ok(late("/x")) }).await,
            (202, false)
        );
        assert_eq!(
            answer(&|symbol| if symbol == "A" { halted() } else { Ok(late("/x")) }).await,
            (207, false)
        );
    }

    #[tokio::test]
    async fn the_whole_ends_when_the_last_outcome_has_come() {
        let done = || StatusCode::OK.into_response();
        let refused = || Err(Problem::not_found("gone"));
        // What came of A, then of B, each later; none when it was forgotten.
        type Later = Option<Result<Response, Problem>>;
        let end = async |a: Later, b: Later| {
            let laters = Mutex::new(vec![b, a]);
            let items = Items::new(&symbols(&["A", "B"]));
            let acted = items
                .each(|_| {
                    let later = laters.lock().unwrap().pop().unwrap();
                    std::future::ready(Ok(Acted {
                        response: late("/x"),
                        later: Some(Box::pin(std::future::ready(later))),
                    }))
                })
                .await;
            assert_eq!(
                acted.response.status(),
                StatusCode::ACCEPTED,
                "until then it is pending"
            );
            acted.later.unwrap().await.unwrap().unwrap().status().as_u16()
        };
        assert_eq!(end(Some(Ok(done())), Some(Ok(done()))).await, 200);
        assert_eq!(end(Some(Ok(done())), Some(refused())).await, 207);
        assert_eq!(end(Some(Ok(done())), None).await, 202, "nobody knows of B");
        assert_eq!(end(None, Some(refused())).await, 207);
        let decided = Items::new(&symbols(&["A"]));
        let acted = decided.each(|_| std::future::ready(Ok(done().into()))).await;
        assert!(acted.later.is_none(), "nothing is missing");
    }

    #[tokio::test]
    async fn nothing_waits_for_what_stands_before_it() {
        let items = Items::new(&symbols(&["A", "B"]));
        let both = tokio::sync::Barrier::new(2);
        let one = |_| async {
            both.wait().await;
            Ok(StatusCode::OK.into_response().into())
        };
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, items.each(one))
            .await
            .expect("side by side");
        assert_eq!(items.answer().status(), StatusCode::OK);
    }
}
