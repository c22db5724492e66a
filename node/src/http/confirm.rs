//! Waiting until other nodes hold a write that is durable here.
//!
//! Promises: the answer counts only nodes that said so themselves, and names who did not and who was not
//! asked. A write that happened is never answered as if it had not, whatever becomes of the waiting.

use std::time::Duration;

use starling_api::{
    Code,
    document::{Confirmed, WriteQuery},
    duration,
    member::Nodes,
};
use starling_crdt::{
    id::{DocumentName, SpaceId},
    replica,
};

use super::{
    answer::{Refused, refused},
    limits::{CONFIRM_TIME_DEFAULT, WAIT_TIME_MAX},
    report,
    state::Api,
};

/// Who shall hold the write, and how long that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirm {
    nodes: Nodes,
    timeout: Duration,
}

/// What the query asks for.
pub(super) fn asked(query: &WriteQuery) -> Result<Option<Confirm>, Refused> {
    let timeout = query.timeout.as_deref().map(duration::parse).transpose();
    let timeout = timeout.map_err(|error| refused(Code::BadRequest, format!("timeout: {error}")))?;
    let Some(nodes) = &query.confirm else {
        return match timeout {
            None => Ok(None),
            Some(_) => Err(refused(Code::BadRequest, "timeout goes with confirm")),
        };
    };
    let nodes = nodes.parse().map_err(|error| refused(Code::BadRequest, format!("confirm: {error}")))?;
    Ok(Some(Confirm { nodes, timeout: timeout.unwrap_or(CONFIRM_TIME_DEFAULT).min(WAIT_TIME_MAX) }))
}

/// Waits until as many others as asked hold the document as it is here, or the time is over.
pub(super) async fn wait(api: &Api, space: SpaceId, document: DocumentName, confirm: Confirm) -> Confirmed {
    match wait_for(api, space, document, confirm).await {
        Ok(confirmed) => confirmed,
        Err(refused) => Confirmed { problem: Some(*refused.0), ..unconfirmed(confirm.nodes) },
    }
}

fn unconfirmed(asked: Nodes) -> Confirmed {
    Confirmed {
        asked,
        count: 0,
        satisfied: false,
        holders: Vec::new(),
        missing: Vec::new(),
        not_waited_for: Vec::new(),
        problem: None,
    }
}

async fn wait_for(
    api: &Api,
    space: SpaceId,
    document: DocumentName,
    Confirm { nodes, timeout }: Confirm,
) -> Result<Confirmed, Refused> {
    let wanted = match nodes {
        Nodes::All => replica::Nodes::All,
        Nodes::AtLeast(count) => replica::Nodes::Count(usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let waited = api.node.wait(space, Some(document), wanted, timeout).await?;
    let members = api.node.members(space).await?;
    let named = |keys: Vec<_>| keys.into_iter().map(|key| report::holder(key, &members)).collect();
    Ok(Confirmed {
        count: waited.holders.len() as u64,
        satisfied: waited.satisfied,
        holders: named(waited.holders),
        missing: named(waited.missing),
        not_waited_for: named(waited.not_waited_for),
        ..unconfirmed(nodes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(confirm: Option<&str>, timeout: Option<&str>) -> Result<Option<Confirm>, Code> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let query = WriteQuery { confirm: text(confirm), timeout: text(timeout), ..WriteQuery::default() };
        asked(&query).map_err(|refused| refused.0.code)
    }

    #[test]
    fn a_query_says_how_many_and_how_long() {
        let confirm = |nodes, seconds| Ok(Some(Confirm { nodes, timeout: Duration::from_secs(seconds) }));
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("2"), None), confirm(Nodes::AtLeast(2), 5));
        assert_eq!(read(Some("all"), Some("90s")), confirm(Nodes::All, 90));
        assert_eq!(read(Some("all"), Some("9d")), confirm(Nodes::All, WAIT_TIME_MAX.as_secs()));
        for (nodes, timeout) in
            [(Some("most"), None), (Some("-1"), None), (Some("1"), Some("5")), (None, Some("5s"))]
        {
            assert_eq!(read(nodes, timeout), Err(Code::BadRequest), "{nodes:?} {timeout:?}");
        }
    }
}
