//! `GET /api/v1/me`.

use axum::Json;
use axum::extract::State;
use brokerx_database::row;
use serde::Serialize;

use crate::gateway::Caller;
use crate::http::Problem;
use crate::state::Shared;

row! {
    /// Who the caller is.
    #[derive(Debug, Serialize)]
    pub struct Me {
        client_id: String,
        account_id: Option<String>,
        email: String,
        name: String,
        role: String,
        status: String,
    }
}

/// The caller's own data.
pub async fn me(State(app): State<Shared>, caller: Caller) -> Result<Json<Me>, Problem> {
    let me: Option<Me> = sqlx::query_as(
        "SELECT client_id::text AS client_id, account_id::text AS account_id, email, name, role, status
         FROM clients WHERE client_id = $1::uuid",
    )
    .bind(&caller.client_id)
    .fetch_optional(&app.database)
    .await?;
    me.map(Json)
        .ok_or_else(|| Problem::unauthenticated("there is no such client any more"))
}
