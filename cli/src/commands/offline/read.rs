//! `get`, `ls` and `status` of a stopped node.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use starling_api::document::{Document, DocumentItem};
use starling_api::space::Space;
use starling_api::status::StoreStatus;
use starling_api::{ExitCode as Exit, Heads, Position};
use starling_crdt::document::Pointer;
use starling_crdt::id::{ChangeHash, DocumentName};
use starling_crdt::store::tables::DocumentRecord;
use starling_crdt::view::ReadFault;
use starling_node::inspect::Inspector;

use super::stopped::{StoppedNode, damaged, time};
use super::{id, store_path};
use crate::args::Global;
use crate::commands::get::{self, GetArgs};
use crate::commands::ls::{LsArgs, Printer};
use crate::commands::status;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Documents read at once in a listing.
const PAGE_ITEMS: usize = 1_000;

/// What a stopped node's directory says. The shape is that of a running node's status as far as it goes.
#[derive(Serialize)]
pub(crate) struct StoppedStatus {
    /// Always false: tells it from a running node's.
    pub(crate) running: bool,
    /// Version of this program.
    pub(crate) version: &'static str,
    /// Public key, hex; absent before the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// libp2p's name for the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer_id: Option<String>,
    /// The spaces it holds.
    pub(crate) spaces: Vec<Space>,
    /// Figures of the store.
    pub(crate) store: StoreStatus,
}

/// `starling get` on a stopped node.
pub(crate) fn get(global: &Global, directory: &Path, args: &GetArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let name = name_of(&args.doc)?;
    let pointer = args.pointer.as_deref().map(str::parse::<Pointer>).transpose();
    let pointer = pointer.map_err(|error| {
        Failure::new(Exit::Usage, "bad-pointer", "not a usable pointer").caused_by(&error)
    })?;
    let mut inspector = Inspector::new(&node.reader, space, BTreeMap::new());
    let read = inspector.read(&name, args.at.as_deref(), pointer.as_ref());
    for (name, poison) in inspector.take_unbuilt() {
        hint(&format!("{} changes of {name} could not be applied and are not shown", poison.len()));
    }
    let (value, heads) = read.map_err(|problem| Failure::from(*problem))?;
    let value = serde_json::from_str(&value.to_text())
        .map_err(|error| Failure::failed("the value is no JSON").caused_by(&error))?;
    let heads = printable(&heads)?;
    get::print(args, &Document { value, heads, etag: None }, out)?;
    Ok(Exit::Done)
}

/// `starling ls` on a stopped node.
pub(crate) fn ls(global: &Global, directory: &Path, args: &LsArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let mut printer = Printer::new(args);
    let (mut after, mut left) = (None::<String>, args.limit.unwrap_or(u64::MAX));
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
        let page = node.reader.list(space, prefix, after.as_deref(), wanted, args.deleted).map_err(fault)?;
        left = left.saturating_sub(page.documents.len() as u64);
        let items = page.documents.into_iter().map(|(name, record)| item(&name, &record));
        printer.page(items.collect::<Result<_, _>>()?, out)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// `starling status` on a stopped node.
pub(crate) fn status(directory: &Path, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let identity = id::known(directory)?;
    let bytes = store_path(directory)
        .metadata()
        .map_err(|error| Failure::failed("the store's size is not known").caused_by(&error))?;
    let status = StoppedStatus {
        running: false,
        version: env!("CARGO_PKG_VERSION"),
        key: identity.map(|key| key.to_string()),
        peer_id: identity.map(|key| id::peer_id(&key)),
        spaces: node.reports(identity)?,
        store: StoreStatus {
            bytes: bytes.len(),
            room: None,
            grown: None,
            position: Position(node.position.clone()),
        },
    };
    status::print_stopped(&status, out)?;
    Ok(Exit::Done)
}

pub(super) fn open(directory: &Path) -> Result<StoppedNode, Failure> {
    let node = StoppedNode::open(directory)?;
    hint("no node runs here; this is what its store holds");
    Ok(node)
}

fn item(name: &DocumentName, record: &DocumentRecord) -> Result<DocumentItem, Failure> {
    Ok(DocumentItem {
        name: name.as_str().to_owned(),
        heads: printable(&record.heads)?,
        changes: record.changes,
        deleted: record.deleted,
        modified: time(record.time),
        author: Some(record.author.to_string()),
    })
}

/// The name of a document, as the core knows it.
pub(super) fn name_of(text: &str) -> Result<DocumentName, Failure> {
    DocumentName::new(text).map_err(|error| {
        Failure::new(Exit::Usage, "bad-document-name", "not a document name").caused_by(&error)
    })
}

fn printable(heads: &[ChangeHash]) -> Result<Heads, Failure> {
    Heads::try_from(heads.iter().map(ToString::to_string).collect::<Vec<_>>())
        .map_err(|error| Failure::failed("the document has too many heads to print").caused_by(&error))
}

pub(super) fn fault(fault: ReadFault) -> Failure {
    match fault {
        ReadFault::UnknownDocument(name) => unknown_document(&name),
        ReadFault::UnknownSpace(_) => {
            Failure::new(Exit::NotFound, "unknown-space", "the stopped node holds no such space")
        }
        ReadFault::Store(error) => damaged(error),
    }
}

fn unknown_document(name: &DocumentName) -> Failure {
    Failure::new(Exit::NotFound, "unknown-document", "no such document")
        .because(format!("{name} does not exist here, or is deleted"))
}
