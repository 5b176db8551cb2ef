//! Lists: the newest first, a page at a time, with an opaque cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::http::Problem;

/// Items on one page.
pub const PAGE_ITEMS: i64 = 20;

/// The answer of every list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows that were read with a limit of [`PAGE_ITEMS`] + 1: the extra row shows that more follow.
    pub fn of_rows(mut rows: Vec<T>, id: impl Fn(&T) -> i64) -> Self {
        let more = rows.len() > PAGE_ITEMS as usize;
        rows.truncate(PAGE_ITEMS as usize);
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

/// The query of every list of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// How far the projection must have come before it is read; see [`crate::gateway::consistency`].
    pub consistency_token: Option<String>,
}

impl PageQuery {
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
            .ok_or_else(|| Problem::invalid_request("cursor is not one that a list returned"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page() {
        let page = Page::of_rows((1..=21).rev().collect(), |id| *id);
        assert_eq!(page.items.len(), 20);
        let query = PageQuery {
            cursor: page.next_cursor,
            consistency_token: None,
        };
        assert_eq!(query.before().unwrap(), 2);
        assert_eq!(Page::of_rows((1..=20).rev().collect(), |id| *id).next_cursor, None);
        assert_eq!(PageQuery::default().before().unwrap(), i64::MAX);
        let query = PageQuery {
            cursor: Some("nonsense".to_owned()),
            consistency_token: None,
        };
        assert_eq!(query.before().unwrap_err().status().as_u16(), 422);
    }
}
