//! Every document of a listing, page by page.
//!
//! Promises: at most one page in memory. Leaves out: a snapshot; documents written meanwhile may or
//! may not be among them.

use starling_api::Client;
use starling_api::client::ClientError;
use starling_api::document::{DocumentItem, ListQuery};

/// Documents asked for at once.
const PAGE_ITEMS: u32 = 1_000;

/// A walk through a listing.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    space: &'a str,
    query: ListQuery,
    left: Option<u64>,
    ended: bool,
}

impl<'a> Pages<'a> {
    /// All documents whose name starts with the prefix, at most `limit`, deleted ones only if asked for.
    pub(crate) fn new(
        client: &'a Client,
        space: &'a str,
        prefix: Option<&str>,
        deleted: bool,
        limit: Option<u64>,
    ) -> Self {
        let query = ListQuery { prefix: prefix.map(str::to_owned), after: None, limit: None, deleted };
        Self { client, space, query, left: limit, ended: limit == Some(0) }
    }

    /// The next page; nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<DocumentItem>>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        let wanted =
            self.left.map_or(PAGE_ITEMS, |left| u32::try_from(left).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS));
        self.query.limit = Some(wanted);
        let mut page = self.client.documents(self.space, &self.query).await?;
        page.items.truncate(wanted as usize);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(page.items.len() as u64);
        }
        self.ended = page.next.is_none() || self.left == Some(0);
        self.query.after = page.next;
        Ok(Some(page.items))
    }
}
