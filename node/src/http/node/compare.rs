//! Comparisons, each of which ends when nobody waits for it any more.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use starling_crdt::{
    id::{AuthorKey, DocumentName, SpaceId},
    replica::{CompareId, Compared, LocalRequest, Reply},
};

use super::{super::answer::Refused, Node, unexpected};
use crate::handle::NodeHandle;

/// Numbers comparisons of this process.
static COMPARISONS: AtomicU64 = AtomicU64::new(0);

/// Stops a comparison when it is dropped: its client went away, or it has ended.
struct Wanted {
    handle: NodeHandle,
    id: CompareId,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        // A node too busy to hear of it ends the comparison when its time is over.
        let _ = self.handle.submit(LocalRequest::StopComparing { id: self.id });
    }
}

impl Node {
    /// Compares with a member over the connection that stands with it.
    pub(in super::super) async fn compare(
        &self,
        space: SpaceId,
        document: Option<DocumentName>,
        peer: AuthorKey,
        timeout: Duration,
    ) -> Result<Compared, Refused> {
        let id = CompareId(COMPARISONS.fetch_add(1, Ordering::Relaxed));
        let _wanted = Wanted { handle: self.handle.clone(), id };
        match self.ask(LocalRequest::Compare { id, space, document, peer, timeout }).await? {
            Reply::Compared(compared) => Ok(compared),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether this node knows a document, deleted ones included.
    pub(in super::super) async fn known(&self, space: SpaceId, name: DocumentName) -> Result<(), Refused> {
        self.aside(move |reader| reader.document(space, &name).map(drop)).await??;
        Ok(())
    }
}
