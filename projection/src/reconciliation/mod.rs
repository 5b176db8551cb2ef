//! Does everything add up? Pure SQL over the projection, in one consistent snapshot of it.
//!
//! Each check computes the same number in two independent ways and lists where they differ. The
//! account machine writes postings as well as balances, and the matcher writes the trades. So a
//! difference means that money or shares were created or lost, or that the projection is not what the
//! logs say.
//!
//! Some checks span accounts or topics, whose partitions are projected independently. While trading
//! goes on, such a check finds whatever is on its way between two partitions ([`Check::in_flight`]);
//! it must find nothing only once everything is projected.

use sqlx::postgres::PgRow;
use sqlx::{Acquire, PgPool, Row};

/// The most differences that a check lists; it counts all of them.
const EXAMPLES_MAX: i64 = 10;

/// The outcome of all checks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Whether no check found a difference.
    pub consistent: bool,
    /// Whether trading in progress can explain all differences that were found.
    pub consistent_but_for_flight: bool,
    /// The checks, in a fixed order.
    pub checks: Vec<Check>,
    /// How far each log was projected when it was checked.
    pub positions: Vec<Position>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Its name, stable.
    pub name: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// Whether trading in progress can explain differences.
    pub in_flight: bool,
    /// How many differences there are.
    pub differences: i64,
    /// The first of the differences.
    pub examples: Vec<Difference>,
}

/// Two numbers that should be equal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// What they belong to.
    pub subject: String,
    /// What the number should be.
    pub expected: String,
    /// What the number is.
    pub actual: String,
}

/// How far a log was projected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset.
    pub position: i64,
}

/// The definition of a check: its SQL yields `subject`, `expected` and `actual` of each difference.
struct Rule {
    name: &'static str,
    rule: &'static str,
    in_flight: bool,
    sql: &'static str,
}

macro_rules! rule {
    ($name:literal, $rule:literal, in_flight: $in_flight:literal) => {
        Rule {
            name: $name,
            rule: $rule,
            in_flight: $in_flight,
            sql: concat!(
                "WITH differences (subject, expected, actual) AS (",
                include_str!(concat!($name, ".sql")),
                ") SELECT subject::text, expected::text, actual::text, count(*) OVER () AS differences \
                 FROM differences ORDER BY subject LIMIT $1"
            ),
        }
    };
}

const RULES: &[Rule] = &[
    rule!("events_balance", "the postings of each event sum to zero per asset", in_flight: false),
    rule!("ledger_balances", "all postings sum to zero per asset", in_flight: false),
    rule!("cash", "the cash of each account is the sum of its postings", in_flight: false),
    rule!("shares", "each position is the sum of its postings", in_flight: false),
    rule!("reserved_cash", "the reserved cash of each account is what its open orders and pending withdrawals hold", in_flight: false),
    rule!("reserved_shares", "the reserved shares of each position are what its open orders hold", in_flight: false),
    rule!("fills", "each order's filled quantity, notional and fees are those of its executions", in_flight: false),
    rule!("fees", "fees earned are the fees of the executions", in_flight: false),
    rule!("event_numbers", "each account's events are dense from 1", in_flight: false),
    rule!("set_aside", "no event contradicts what is projected, and no row of another record is refused", in_flight: false),
    rule!("clearing", "the clearing account sums to zero per asset", in_flight: true),
    rule!("trades", "each trade has exactly its two executions, and each execution its trade", in_flight: true),
];

/// Makes all checks in one read-only snapshot.
///
/// # Errors
/// When PostgreSQL cannot be reached or the schema does not exist yet.
pub async fn report(pool: &PgPool) -> Result<Report, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut snapshot = connection.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut *snapshot)
        .await?;
    let mut checks = Vec::with_capacity(RULES.len());
    for Rule {
        name,
        rule,
        in_flight,
        sql,
    } in RULES
    {
        let rows = sqlx::query(*sql).bind(EXAMPLES_MAX).fetch_all(&mut *snapshot).await?;
        checks.push(Check {
            name,
            rule,
            in_flight: *in_flight,
            differences: rows.first().map_or(Ok(0), |row| row.try_get("differences"))?,
            examples: rows.iter().map(difference).collect::<Result<_, _>>()?,
        });
    }
    let positions: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT topic, partition, position FROM projection.log_positions ORDER BY topic, partition")
            .fetch_all(&mut *snapshot)
            .await?;
    snapshot.commit().await?;
    Ok(Report {
        consistent: checks.iter().all(|check| check.differences == 0),
        consistent_but_for_flight: checks.iter().all(|check| check.in_flight || check.differences == 0),
        checks,
        positions: positions
            .into_iter()
            .map(|(topic, partition, position)| Position {
                topic,
                partition,
                position,
            })
            .collect(),
    })
}

fn difference(row: &PgRow) -> Result<Difference, sqlx::Error> {
    let text = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(column)?.unwrap_or_default());
    Ok(Difference {
        subject: text("subject")?,
        expected: text("expected")?,
        actual: text("actual")?,
    })
}
