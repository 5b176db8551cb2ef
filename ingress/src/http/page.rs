//! Lists: the newest first, a page at a time, with an opaque cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::http::Problem;

/// Items on one page, unless the query says otherwise.
const PAGE_ITEMS: i64 = 20;
/// Most items on one page.
const PAGE_ITEMS_MAX: i64 = 200;

/// The answer of every list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` items, of rows that were read with a limit of one more: the extra row shows
    /// that more follow.
    pub fn of_rows(mut rows: Vec<T>, limit: i64, id: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows
            .last()
            .filter(|_| more)
            .map(|last| URL_SAFE_NO_PAD.encode(id(last).to_be_bytes()));
        Self {
            items: rows,
            next_cursor,
        }
    }

    /// The same page with other items.
    pub fn map<U>(self, items: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(items).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// How many items a page may have for which a client asked for so many, or for none in particular.
///
/// # Errors
/// 422 when it is not within 1 to 200.
pub fn limit_of(asked: Option<i64>, otherwise: i64) -> Result<i64, Problem> {
    let limit = asked.unwrap_or(otherwise);
    match (1..=PAGE_ITEMS_MAX).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::invalid_request("limit is a number from 1 to 200")),
    }
}

/// The query of every list of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 200; 20 when not given.
    pub limit: Option<i64>,
    /// How far the projection must have come before it is read; see [`crate::gateway::consistency`].
    pub consistency_token: Option<String>,
}

impl PageQuery {
    /// How many items the page may have.
    ///
    /// # Errors
    /// 422 when it is not within 1 to 200.
    pub fn limit(&self) -> Result<i64, Problem> {
        limit_of(self.limit, PAGE_ITEMS)
    }

    /// Items with a lower id than this are on the page.
    ///
    /// # Errors
    /// 422 when the cursor is not one that a list returned.
    pub fn before(&self) -> Result<i64, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(i64::MAX);
        };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(i64::from_be_bytes)
            .ok_or_else(|| Problem::invalid_request("cursor is not a next_cursor that this list returned"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page() {
        let page = Page::of_rows((1..=21).rev().collect(), 20, |id| *id);
        assert_eq!(page.items.len(), 20);
        let query = PageQuery {
            cursor: page.next_cursor,
            ..PageQuery::default()
        };
        assert_eq!(query.before().unwrap(), 2);
        assert_eq!(Page::of_rows((1..=20).rev().collect(), 20, |id| *id).next_cursor, None);
        assert_eq!(PageQuery::default().before().unwrap(), i64::MAX);
        let query = PageQuery {
            cursor: Some("nonsense".to_owned()),
            ..PageQuery::default()
        };
        assert_eq!(query.before().unwrap_err().status().as_u16(), 422);
    }

    #[test]
    fn a_page_has_as_many_items_as_the_client_asks_for_within_reason() {
        let limit = |limit| {
            let query = PageQuery {
                limit,
                ..PageQuery::default()
            };
            query.limit().map_err(|problem| problem.status().as_u16())
        };
        for (asked, given) in [
            (None, Ok(20)),
            (Some(1), Ok(1)),
            (Some(200), Ok(200)),
            (Some(0), Err(422)),
            (Some(201), Err(422)),
            (Some(-5), Err(422)),
        ] {
            assert_eq!(limit(asked), given, "{asked:?}");
        }
        assert_eq!(Page::of_rows(vec![3, 2], 1, |id| *id).items, [3]);
        let other = |asked| limit_of(asked, 100).map_err(|problem| problem.status().as_u16());
        assert_eq!(
            (other(None), other(Some(5)), other(Some(201))),
            (Ok(100), Ok(5), Err(422))
        );
    }
}
