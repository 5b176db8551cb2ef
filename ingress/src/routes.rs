//! Every route of the API: one table, which builds the router and is compared with the OpenAPI document.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::gateway::{cors_layer, gateway};
use crate::http::Problem;
use crate::state::Shared;
use crate::{admin, clients, market, orders, payments, portfolio, sessions};

/// A router that remembers its routes, so that they can be listed.
struct Routes {
    router: Router<Shared>,
    listed: Vec<(&'static str, &'static str)>,
}

impl Routes {
    fn add(mut self, method: &'static str, path: &'static str, handler: MethodRouter<Shared>) -> Self {
        self.listed.push((method, path));
        self.router = self.router.route(path, handler);
        self
    }
    fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add("get", path, get(handler))
    }
    fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add("post", path, post(handler))
    }
    fn put<T: 'static>(self, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add("put", path, put(handler))
    }
    fn delete<T: 'static>(self, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add("delete", path, delete(handler))
    }
}

fn routes() -> Routes {
    Routes {
        router: Router::new(),
        listed: Vec::new(),
    }
    .post("/api/v1/clients/register", clients::register)
    .get("/api/v1/clients/verify", clients::show_link)
    .post("/api/v1/clients/verify", clients::verify)
    .get("/api/v1/me", clients::me)
    .post("/api/v1/auth/login", sessions::login)
    .post("/api/v1/auth/logout", sessions::logout)
    .post("/api/v1/deposits", payments::deposit)
    .get("/api/v1/deposits", payments::deposits)
    .post("/api/v1/withdrawals", payments::withdraw)
    .get("/api/v1/withdrawals", payments::withdrawals)
    .get("/api/v1/portfolio", portfolio::portfolio)
    .post("/api/v1/orders", orders::place)
    .get("/api/v1/orders", orders::list)
    .get("/api/v1/orders/{id}", orders::by_id)
    .delete("/api/v1/orders/{id}", orders::delete)
    .get("/api/v1/orders/by-client-id/{client_order_id}", orders::by_client_id)
    .post("/api/v1/orders/cancel-all", orders::cancel_all)
    .post("/api/v1/orders/{id}/cancel", orders::cancel)
    .post("/api/v1/orders/{id}/replace", orders::replace)
    .get("/api/v1/instruments", market::instruments)
    .get("/api/v1/market/{symbol}/quote", market::quote)
    .get("/api/v1/market/{symbol}/book", market::book)
    .get("/api/v1/market/{symbol}/trades", market::trades)
    .get("/api/v1/market/{symbol}/candles", market::candles)
    .post("/admin/v1/instruments", admin::list)
    .post("/admin/v1/instruments/{symbol}/halt", admin::halt)
    .post("/admin/v1/instruments/{symbol}/resume", admin::resume)
    .post("/admin/v1/instruments/{symbol}/delist", admin::delist)
    .post("/admin/v1/sessions/open", admin::open_sessions)
    .post("/admin/v1/sessions/close", admin::close_sessions)
    .post("/admin/v1/accounts/{account_id}/transfers", admin::transfer)
    .put("/admin/v1/accounts/{account_id}/limits", admin::set_limits)
    .post("/admin/v1/accounts/{account_id}/adjustments", admin::adjust)
    .post("/admin/v1/accounts/{account_id}/thaw", admin::thaw)
    .post("/admin/v1/accounts/{account_id}/kill", admin::kill)
    .post("/admin/v1/accounts/{account_id}/unkill", admin::unkill)
    .post("/admin/v1/clients/{client_id}/suspend", admin::suspend)
    .post("/admin/v1/clients/{client_id}/reinstate", admin::reinstate)
    .get("/admin/v1/reconciliation", admin::reconciliation)
}

/// Method (lower case) and path of every route of the API.
pub fn list() -> Vec<(&'static str, &'static str)> {
    routes().listed
}

/// The API: its routes with the gateway and the other layers around them.
pub fn router(app: Shared) -> Router {
    let options = &app.options;
    let cors = (!options.cors_origins.is_empty()).then(|| cors_layer(&options.cors_origins));
    let mut router = routes()
        .router
        .fallback(|| async { Problem::not_found("there is nothing under this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path does not take this method",
            )
        })
        .layer(DefaultBodyLimit::max(options.body_bytes_max))
        .layer(from_fn_with_state(Arc::clone(&app), gateway));
    if let Some(cors) = cors {
        router = router.layer(cors);
    }
    router.with_state(app)
}
