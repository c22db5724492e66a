//! What the nodes of a mesh show.

use starling_crdt::id::{ChangeHash, DocumentName, SpaceId};
use starling_crdt::replica::{LocalRequest, MemberReport, Reply};

use super::Mesh;

impl Mesh {
    /// A document as a node shows it: JSON text and heads; nothing when it does not exist.
    pub fn document(&self, index: usize, space: SpaceId, name: &str) -> Option<(String, Vec<ChangeHash>)> {
        let name = DocumentName::new(name).unwrap();
        let known = self.nodes[index].reader.document(space, &name).ok()?;
        if known.deleted {
            return None;
        }
        let read = self.nodes[index].reader.view(space, &name, |view, _| {
            (view.document().read(None, None).unwrap().to_text(), view.document().heads())
        });
        let (read, poison) = read.unwrap();
        assert!(poison.is_empty(), "{poison:?}");
        Some(read)
    }

    /// Everything a node shows of a space.
    pub fn contents(&self, index: usize, space: SpaceId) -> Vec<(String, String, Vec<ChangeHash>)> {
        let page = self.nodes[index].reader.list(space, "", None, 100_000, false).unwrap();
        page.documents
            .into_iter()
            .map(|(name, _)| {
                let (json, heads) = self.document(index, space, name.as_str()).unwrap();
                (name.to_string(), json, heads)
            })
            .collect()
    }

    pub fn assert_converged(&self, space: SpaceId) {
        let first = self.contents(0, space);
        for index in 1..self.nodes.len() {
            assert_eq!(self.contents(index, space), first, "node {index} differs from node 0");
        }
    }

    /// What a node says of how another stands.
    pub fn sighting(&mut self, index: usize, space: SpaceId, other: usize) -> MemberReport {
        let key = self.nodes[other].key;
        match self.request(index, LocalRequest::Members { space }) {
            Ok(Reply::Members(members)) => {
                members.into_iter().find(|report| report.member.key == key).expect("a member")
            }
            other => panic!("{other:?}"),
        }
    }
}
