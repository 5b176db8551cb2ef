//! Rows as structs.

/// Declares a struct that a query can answer with: each field is the column of its name.
///
/// ```
/// brokerx_database::row! {
///     /// An instrument.
///     #[derive(Debug)]
///     pub struct Instrument {
///         /// Its symbol.
///         pub symbol: String,
///         lot: Option<i64>,
///     }
/// }
/// # fn ask() -> sqlx::query::QueryAs<'static, sqlx::Postgres, Instrument, sqlx::postgres::PgArguments> {
/// sqlx::query_as::<_, Instrument>("SELECT symbol, lot FROM instruments")
/// # }
/// ```
///
/// A query that answers with a column less, or with another type, fails with sqlx's own error, which
/// names the column.
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $( $(#[$field_meta])* $field_visibility $field: $type, )+
        }

        impl<'r> $crate::sqlx::FromRow<'r, $crate::sqlx::postgres::PgRow> for $name {
            fn from_row(row: &'r $crate::sqlx::postgres::PgRow) -> $crate::sqlx::Result<Self> {
                use $crate::sqlx::Row as _;
                Ok(Self { $( $field: row.try_get(stringify!($field))?, )+ })
            }
        }
    };
}
