//! Writing what PostgreSQL takes, and finding, by halves, what it refuses for good.

use sqlx::{Connection, PgConnection};

/// Rows that belong together, to be written in parts.
pub(super) trait Parted {
    type Row: Sync;

    /// Writes a part in a transaction of its own. On an error nothing of it stays, neither there nor here.
    fn write(
        &mut self,
        connection: &mut PgConnection,
        part: &[Self::Row],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Sets aside a row that is refused for good; those behind it are still to come.
    fn set_aside(
        &mut self,
        connection: &mut PgConnection,
        row: &Self::Row,
        reason: String,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Writes the rows in their order, but those that are refused for good, which are set aside.
pub(super) async fn write_by_halves<P: Parted>(
    transaction: &mut PgConnection,
    rows: &[P::Row],
    parted: &mut P,
) -> sqlx::Result<()> {
    // The next part is the last.
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        let mut by_itself = transaction.begin().await?;
        match parted.write(&mut by_itself, part).await {
            Ok(()) => by_itself.commit().await?,
            Err(error) if is_refused_for_good(&error) => {
                by_itself.rollback().await?;
                if let [row] = part {
                    parted.set_aside(transaction, row, error.to_string()).await?;
                } else {
                    let (first, rest) = part.split_at(part.len() / 2);
                    parts.extend([rest, first]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether PostgreSQL refuses the rows themselves, whenever they come: class 22, data exception; 23, integrity
/// constraint violation; 54, program limit exceeded, as a text that is too long for an index. All else, a
/// connection that breaks, a full disk, a deadlock, may be over the next time.
pub(super) fn is_refused_for_good(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| is_of_the_rows(&code))
}

fn is_of_the_rows(code: &str) -> bool {
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_over_the_next_time_is_no_refusal() {
        for code in ["22001", "22021", "22P05", "23505", "23514", "54000"] {
            assert!(is_of_the_rows(code), "{code}");
        }
        for code in [
            "08006", "25P02", "40001", "40P01", "42501", "42P01", "53100", "53300", "55P03", "57014", "57P01", "58030",
        ] {
            assert!(!is_of_the_rows(code), "{code}");
        }
        assert!(!is_refused_for_good(&sqlx::Error::PoolTimedOut));
    }
}
