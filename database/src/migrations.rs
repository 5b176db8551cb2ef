//! Migrations as part of the program.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};

/// A migrator of the files with these names in the folder `migrations` of the crate that asks. A file
/// that is not there is an error of the compiler; one that is not named is found by
/// `tests/structure`.
#[macro_export]
macro_rules! migrations {
    ($($file:literal),+ $(,)?) => {
        $crate::migrator(&[
            $( ($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $file))) ),+
        ])
    };
}

/// A migrator of these files, each by its name and its text. A name is read as `sqlx::migrate!` reads it,
/// `0001_what_it_does.sql`, and means the same to a database that was migrated by it.
///
/// # Panics
/// When a name has another form.
pub fn migrator(files: &[(&str, &'static str)]) -> Migrator {
    let migration = |(name, sql): &(&str, &'static str)| {
        let (version, rest) = name.split_once('_').expect("a name is VERSION_DESCRIPTION.sql");
        let kind = MigrationType::from_filename(rest);
        let description = rest.trim_end_matches(kind.suffix()).replace('_', " ");
        let version = version.parse().expect("a version is a number");
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}

/// Whether the database has all of these migrations, as they are here. `table` notes what was done; it is
/// only read, so that a role which may not migrate can ask. A table that is not there, or may not be read,
/// has none.
///
/// # Errors
/// When the database cannot be reached.
pub async fn are_applied(
    migrator: &Migrator,
    table: &'static str,
    connection: &mut PgConnection,
) -> sqlx::Result<bool> {
    let query = format!("SELECT version, checksum FROM {table} WHERE success");
    // The name of the table stands in the program.
    let rows = sqlx::query_as(AssertSqlSafe(query)).fetch_all(connection).await;
    let done: Vec<(i64, Vec<u8>)> = match rows {
        Ok(done) => done,
        Err(sqlx::Error::Database(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let is_done = |it: &Migration| {
        done.iter()
            .any(|(version, sum)| *version == it.version && *sum == *it.checksum)
    };
    Ok(migrator.migrations.iter().all(is_done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_and_its_text() {
        let migrator = migrator(&[("0002_b.sql", "SELECT 2"), ("0001_the_first_one.sql", "SELECT 1")]);
        let [first, second] = &migrator.migrations[..] else {
            panic!("two migrations, not {:?}", migrator.migrations);
        };
        assert_eq!((first.version, &*first.description), (1, "the first one"));
        assert_eq!((second.version, &*second.description), (2, "b"));
        assert_eq!(first.migration_type, MigrationType::Simple);
        // SHA-384 of the text: what sqlx compares with the database.
        assert_eq!(first.checksum.len(), 48);
        assert_ne!(first.checksum, second.checksum);
    }
}
