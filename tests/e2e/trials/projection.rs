//! The projection can be dropped and folded again from the topics.

use anyhow::ensure;
use brokerx_client::wait_until_quiet;
use brokerx_e2e::fixture::Fixture;
use sqlx::Row;

/// Tables whose rows come from the topics, with what identifies a row.
const TABLES: [&str; 10] = [
    "accounts",
    "positions",
    "orders",
    "executions",
    "payments",
    "transfers",
    "account_events",
    "ledger_entries",
    "trades",
    "candles",
];

/// A hash over all rows of each table. The column `closed` of candles is left out: the clock may close one
/// while the projection is folded again.
async fn hashes(fixture: &Fixture) -> anyhow::Result<Vec<(String, i64, String)>> {
    let mut hashes = Vec::new();
    for table in TABLES {
        let query = format!(
            "SELECT count(*) AS rows, coalesce(md5(string_agg(row, '' ORDER BY row)), '') AS hash FROM (SELECT md5((to_jsonb(t) - 'closed')::text) AS row FROM projection.{table} t) AS hashed"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_one(&fixture.database)
            .await?;
        hashes.push((table.to_owned(), row.try_get("rows")?, row.try_get("hash")?));
    }
    Ok(hashes)
}

pub async fn the_refolded_projection_has_the_same_rows(fixture: &Fixture) -> anyhow::Result<()> {
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    let before = hashes(fixture).await?;
    fixture.system().process("settlement").stop();
    // Only the owner of the tables can drop them.
    let mut rebuild = fixture
        .system()
        .command_as_owner("brokerx-settlement", &["project", "--rebuild"]);
    let output = rebuild.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = hashes(fixture).await?;
    ensure!(before == after, "before {before:?}\nafter {after:?}");
    ensure!(
        before.iter().all(|(_, rows, _)| *rows > 0),
        "an empty table proves nothing: {before:?}"
    );
    let mut system = fixture.system();
    system.restart("settlement")?;
    Ok(())
}
