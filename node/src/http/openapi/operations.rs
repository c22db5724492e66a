//! The table of operations: what each method of each route takes, answers and refuses.

use serde_json::json;
use starling_api::{
    Code,
    compare::{Compare, ComparedList},
    document::{
        AUTOMERGE_MEDIA_TYPE, BatchLine, BatchResult, ConflictList, DocumentList, JSON_PATCH_MEDIA_TYPE,
        ListQuery, MERGE_PATCH_MEDIA_TYPE, Operation as DocumentOperation, ReadQuery, WatchEvent, WatchQuery,
        WriteQuery, Written,
    },
    evidence::{ForksPage, ForksQuery, QuarantinePage, QuarantineQuery},
    keep::{BACKUP_MEDIA_TYPE, Compacted, Verified},
    member::{MemberList, Wait, Waited},
    past::{
        BlamePage, BlameQuery, ConflictsPage, ConflictsQuery, Diff, DiffQuery, HistoryPage, HistoryQuery,
    },
    peer::{AddPeer, BlockPeer, PeerAdded, PeerList},
    route,
    space::{CreateInvite, CreateSpace, Invite, Join, Joined, LeaveQuery, Space, SpaceLeft, SpaceList},
    status::{Health, LogLevel, Status},
};

use super::{Media, Operation, Writer, any};

/// A space must be found first.
const SPACE: &[Code] = &[Code::BadRequest, Code::UnknownSpace, Code::AmbiguousSpace];

/// What a request that goes through the node's inbox may meet.
const INBOX: &[Code] = &[Code::Busy, Code::Stopping, Code::StoreFailed, Code::StorageFull];

/// What a body that is read whole may be.
const BODY: &[Code] = &[Code::BadRequest, Code::BadJson, Code::BodyTooLarge, Code::RequestTimeout];

/// What a document that is read may not be.
const READ: &[Code] = &[Code::BadDocumentName, Code::UnknownDocument, Code::StoreFailed, Code::Busy];

/// What may be wrong with the name of a state of a document: heads, beginnings of heads, or a time.
const STATE: &[Code] = &[Code::BadHeads, Code::AmbiguousHeads, Code::UnknownHeads, Code::BadTime];

/// What any write may meet.
const WRITE: &[Code] = &[
    Code::BadDocumentName,
    Code::BadHeads,
    Code::NotAllowed,
    Code::PreconditionFailed,
    Code::RequestIdReused,
    Code::DocumentExhausted,
    Code::ChangeTooLarge,
    Code::LimitReached,
    Code::SpaceFull,
];

/// What a value or an operation in a document may not be.
const VALUE: &[Code] = &[
    Code::RootNotObject,
    Code::BadValue,
    Code::DocumentTooDeep,
    Code::BadPointer,
    Code::UnknownPointer,
    Code::BadOperation,
];

/// What comes with a document's heads.
const HEADS: &[(&str, &str)] =
    &[("ETag", "Hash of the heads, quoted."), ("Starling-Heads", "The heads, comma separated.")];

/// The one write that has a base.
const PUT: &str = "put_document";

const WRITTEN: &[u16] = &[200, 201, 202];

pub(super) fn write(to: &mut Writer) {
    node(to);
    keeping(to);
    spaces(to);
    documents(to);
    past(to);
    writes(to);
    streams(to);
    peers(to);
}

fn node(to: &mut Writer) {
    let status = to.schema::<Status>();
    let operation = Operation::new("status", "The node, its spaces, its store, what needs a look.")
        .answers(200, "How the node is.", status)
        .refuses(&[INBOX]);
    to.operation(route::STATUS, "get", operation);
    let health = to.schema::<Health>();
    let operation =
        Operation::new("health", "Whether the process lives.").answers(200, "It does.", health.clone());
    to.operation(route::HEALTH, "get", operation);
    let operation = Operation::new("ready", "Whether the node serves.")
        .answers(200, "It does.", health)
        .refuses(&[INBOX]);
    to.operation(route::READY, "get", operation);
    let operation = Operation::new("metrics", "Figures of the node.").answers_as(
        200,
        "OpenMetrics text.",
        Media::Text.name(),
        json!({ "type": "string" }),
    );
    to.operation(route::METRICS, "get", operation);
    let operation =
        Operation::new("openapi", "This document.").answers(200, "OpenAPI 3.1.", json!({ "type": "object" }));
    to.operation(route::OPENAPI, "get", operation);
}

fn keeping(to: &mut Writer) {
    let operation =
        Operation::new("backup", "Everything the node holds but its private key, as of one moment.")
            .answers_as(200, "A backup, which holds the keys of spaces.", BACKUP_MEDIA_TYPE, json!({}))
            .refuses(&[INBOX]);
    to.operation(route::BACKUP, "get", operation);
    let verified = to.schema::<Verified>();
    let operation = Operation::new("verify", "Checks the store against its history.")
        .answers(200, "What was found.", verified)
        .refuses(&[INBOX]);
    to.operation(route::VERIFY, "post", operation);
    let compacted = to.schema::<Compacted>();
    let operation = Operation::new("compact", "Merges deltas under later signatures of their authors.")
        .answers(200, "What it gave.", compacted)
        .refuses(&[INBOX]);
    to.operation(route::COMPACT, "post", operation);
    let level = to.schema::<LogLevel>();
    let operation = Operation::new("log_level", "What the node logs.").answers(
        200,
        "The filter in force.",
        level.clone(),
    );
    to.operation(route::LOG_LEVEL, "get", operation);
    let operation = Operation::new("set_log_level", "Lets the node log by another filter until it stops.")
        .body(level.clone())
        .answers(200, "The filter in force.", level)
        .refuses(&[BODY]);
    to.operation(route::LOG_LEVEL, "put", operation);
}

fn spaces(to: &mut Writer) {
    let (list, space) = (to.schema::<SpaceList>(), to.schema::<Space>());
    let operation = Operation::new("list_spaces", "The node's spaces.")
        .answers(200, "In order of name.", list)
        .refuses(&[INBOX]);
    to.operation(route::SPACES, "get", operation);
    let body = to.schema::<CreateSpace>();
    let operation = Operation::new("create_space", "Makes a space with this node as its founder.")
        .body(body)
        .answers(201, "The space.", space.clone())
        .refuses(&[BODY, INBOX, &[Code::BadSpaceName, Code::LimitReached]]);
    to.operation(route::SPACES, "post", operation);
    let operation =
        Operation::new("show_space", "One space.").answers(200, "The space.", space).refuses(&[SPACE, INBOX]);
    to.operation(route::SPACE, "get", operation);
    let (query, left) = (to.query::<LeaveQuery>(), to.schema::<SpaceLeft>());
    let operation = Operation::new("leave_space", "Leaves a space and removes what the node holds of it.")
        .parameters(query)
        .answers(200, "What was left, and who holds it.", left)
        .refuses(&[SPACE, INBOX, &[Code::OnlyCopy]]);
    to.operation(route::SPACE, "delete", operation);
    let members = to.schema::<MemberList>();
    let operation =
        Operation::new("list_members", "Who belongs, and how their nodes stand as seen from here.")
            .answers(200, "In order of name.", members)
            .refuses(&[SPACE, INBOX]);
    to.operation(route::MEMBERS, "get", operation);
    let (body, invite) = (to.schema::<CreateInvite>(), to.schema::<Invite>());
    let operation = Operation::new("invite", "Makes a ticket that others join with.")
        .body(body)
        .answers(201, "The ticket, which is a secret.", invite)
        .refuses(&[SPACE, BODY, INBOX, &[Code::NotAllowed, Code::WithoutEffect, Code::LimitReached]]);
    to.operation(route::INVITES, "post", operation);
    let (body, waited) = (to.schema::<Wait>(), to.schema::<Waited>());
    let operation = Operation::new(
        "wait",
        "Waits until so many nodes, this one among them, hold what this one holds now.",
    )
    .body(body)
    .answers(200, "As many as asked hold it.", waited.clone())
    .answers(202, "Fewer hold it in time.", waited)
    .refuses(&[SPACE, BODY, INBOX, &[Code::BadDocumentName, Code::UnknownDocument]]);
    to.operation(route::WAIT, "post", operation);
    let (body, compared) = (to.schema::<Compare>(), to.schema::<ComparedList>());
    let operation = Operation::new("compare", "What differs between this node and other members.")
        .body(body)
        .answers(200, "One for each node, also for those that could not be asked.", compared)
        .refuses(&[
            SPACE,
            BODY,
            INBOX,
            &[Code::BadDocumentName, Code::UnknownDocument, Code::WithoutEffect],
            &[Code::UnknownPeer, Code::AmbiguousPeer],
        ]);
    to.operation(route::COMPARE, "post", operation);
    let (body, joined) = (to.schema::<Join>(), to.schema::<Joined>());
    let operation = Operation::new("join", "Joins the space of a ticket.")
        .body(body)
        .answers(200, "The node is a member.", joined.clone())
        .answers(202, "No member has witnessed it yet; the node keeps trying.", joined)
        .refuses(&[
            BODY,
            INBOX,
            &[Code::BadTicket, Code::JoinRefused, Code::WithoutEffect, Code::LimitReached],
        ]);
    to.operation(route::JOIN, "post", operation);
}

fn documents(to: &mut Writer) {
    let (query, list) = (to.query::<ListQuery>(), to.schema::<DocumentList>());
    let operation = Operation::new("list_documents", "A page of the documents, in order of name.")
        .parameters(query)
        .answers(200, "A page; pass `next` as `after`.", list)
        .refuses(&[SPACE, &[Code::StoreFailed, Code::Busy]]);
    to.operation(route::DOCUMENTS, "get", operation);
    let query = to.query::<ReadQuery>();
    let operation = Operation::new("read_document", "A document, or a value in it.")
        .parameters(query)
        .header("If-None-Match", "Not if the entity tag is one of these.")
        .answers(200, "The value.", any())
        .answers_as(200, "", AUTOMERGE_MEDIA_TYPE, json!({}))
        .answers_nothing(304, "It is what the client has.")
        .with_headers(&[200, 304], HEADS)
        .refuses(&[SPACE, READ, STATE, &[Code::BadPointer, Code::UnknownPointer]]);
    to.operation(route::DOCUMENT, "get", operation);
    let conflicts = to.schema::<ConflictList>();
    let operation = Operation::new("list_conflicts", "Places that hold more than one value.")
        .answers(200, "The value shown comes first.", conflicts)
        .refuses(&[SPACE, READ, INBOX]);
    to.operation(route::CONFLICTS, "get", operation);
}

fn past(to: &mut Writer) {
    let (query, page) = (to.query::<HistoryQuery>(), to.schema::<HistoryPage>());
    let history = |id, summary| {
        Operation::new(id, summary)
            .parameters(query.clone())
            .answers(200, "Newest first; pass `next` as `after`.", page.clone())
            .refuses(&[SPACE, INBOX, &[Code::BadTime, Code::UnknownPeer, Code::AmbiguousPeer]])
    };
    let operation = history("document_history", "Changes of a document.").refuses(&[READ]);
    to.operation(route::HISTORY, "get", operation);
    let operation = history("space_history", "Changes of all documents.");
    to.operation(route::SPACE_HISTORY, "get", operation);
    let (query, page) = (to.query::<BlameQuery>(), to.schema::<BlamePage>());
    let operation = Operation::new("blame", "Who wrote each value of a document.")
        .parameters(query)
        .answers(200, "In order of the document; pass `next` as `skip` and `heads` as `at`.", page)
        .refuses(&[SPACE, READ, INBOX, STATE, &[Code::BadPointer, Code::UnknownPointer]]);
    to.operation(route::BLAME, "get", operation);
    let (query, diff) = (to.query::<DiffQuery>(), to.schema::<Diff>());
    let operation = Operation::new("diff", "What differs between two states of a document.")
        .parameters(query)
        .answers(200, "A JSON Patch that also says what was there before.", diff)
        .refuses(&[SPACE, READ, STATE]);
    to.operation(route::DIFF, "get", operation);
    let (query, page) = (to.query::<ConflictsQuery>(), to.schema::<ConflictsPage>());
    let operation =
        Operation::new("list_space_conflicts", "Places of all documents with more than one value.")
            .parameters(query)
            .answers(200, "By name of the document; pass `next` as `after`.", page)
            .refuses(&[SPACE, INBOX]);
    to.operation(route::SPACE_CONFLICTS, "get", operation);
    evidence(to);
}

fn evidence(to: &mut Writer) {
    let (query, page) = (to.query::<QuarantineQuery>(), to.schema::<QuarantinePage>());
    let operation =
        Operation::new("list_quarantine", "Changes that are kept out of their documents, and why.")
            .parameters(query)
            .answers(200, "By name of the document; pass `next` as `after`.", page)
            .refuses(&[SPACE, INBOX, &[Code::BadDocumentName]]);
    to.operation(route::QUARANTINE, "get", operation);
    let (query, page) = (to.query::<ForksQuery>(), to.schema::<ForksPage>());
    let operation =
        Operation::new("list_forks", "Authors who signed two changes with one number, with proofs.")
            .parameters(query)
            .answers(200, "By document and actor; pass `next` as `after`.", page)
            .refuses(&[SPACE, INBOX, &[Code::BadDocumentName]]);
    to.operation(route::FORKS, "get", operation);
}

/// What every write of one document takes, answers and refuses.
fn write_of(to: &mut Writer, id: &'static str, summary: &'static str) -> Operation {
    let (mut query, written) = (to.query::<WriteQuery>(), to.schema::<Written>());
    // Only a whole document has a base; elsewhere it is refused.
    query.retain(|parameter| id == PUT || parameter["name"] != "base");
    Operation::new(id, summary)
        .parameters(query)
        .header("If-Match", "Only if the entity tag on this node is one of these, or `*`: if it exists.")
        .header("If-None-Match", "`*`: only if it does not exist on this node.")
        .header("Idempotency-Key", "Names the write: sent again within 24 hours it changes nothing.")
        .answers(200, "Durable on this node.", written.clone())
        .answers(201, "Durable on this node; it made the document or the counter.", written.clone())
        .answers(202, "Durable on this node, but held by fewer others than asked for.", written)
        .with_headers(WRITTEN, HEADS)
        .refuses(&[SPACE, INBOX, WRITE])
}

fn writes(to: &mut Writer) {
    let put = write_of(to, PUT, "Writes the difference between the base and the body.")
        .body(json!({ "type": "object" }))
        .refuses(&[BODY, VALUE, &[Code::UnknownHeads]]);
    to.operation(route::DOCUMENT, "put", put);
    let patch = write_of(to, "patch_document", "Applies a patch, all of it or nothing.")
        .body_of(&[
            (MERGE_PATCH_MEDIA_TYPE, json!({ "type": "object" })),
            (
                JSON_PATCH_MEDIA_TYPE,
                json!({ "type": "array", "items": { "type": "object", "required": ["op", "path"] } }),
            ),
        ])
        .refuses(&[BODY, VALUE, &[Code::BadPatch, Code::PatchTestFailed, Code::UnsupportedMediaType]]);
    to.operation(route::DOCUMENT, "patch", patch);
    let delete = write_of(to, "delete_document", "Deletes a document. Its past still answers.")
        .refuses(&[&[Code::UnknownDocument]]);
    to.operation(route::DOCUMENT, "delete", delete);
    let body = to.schema::<DocumentOperation>();
    let operate = write_of(to, "operate", "Does one operation in a document.").body(body).refuses(&[
        BODY,
        VALUE,
        STATE,
        &[Code::UnknownDocument],
    ]);
    to.operation(route::OPERATIONS, "post", operate);
}

fn streams(to: &mut Writer) {
    let (line, result) = (to.schema::<BatchLine>(), to.schema::<BatchResult>());
    let operation = Operation::new("batch", "Many writes; each line is one of its own, answered in order.")
        .header(
            "Idempotency-Key",
            "Names the batch: the same lines sent again within 24 hours change nothing.",
        )
        .body_of(&[(Media::Ndjson.name(), line)])
        .answers_as(200, "One line for each.", Media::Ndjson.name(), result)
        .refuses(&[SPACE, &[Code::BadRequest, Code::Busy]]);
    to.operation(route::BATCH, "post", operation);
    let (query, event) = (to.query::<WatchQuery>(), to.schema::<WatchEvent>());
    let operation =
        Operation::new("watch", "Changes as Server-Sent Events; `id` is a position to resume from.")
            .parameters(query)
            .header("Last-Event-ID", "Go on after this position.")
            .answers_as(
                200,
                "Events; `data` is this, and a comment goes to a silent stream.",
                Media::EventStream.name(),
                event,
            )
            .with_headers(&[200], &[("Starling-Position", "Where the watch began.")])
            .refuses(&[
                SPACE,
                &[
                    Code::BadPosition,
                    Code::PositionOfAnotherStore,
                    Code::TooManyWatchers,
                    Code::StoreFailed,
                    Code::Busy,
                ],
            ]);
    to.operation(route::WATCH, "get", operation);
}

fn peers(to: &mut Writer) {
    let list = to.schema::<PeerList>();
    let operation = Operation::new("list_peers", "Connections and blocks.")
        .answers(200, "Connected ones first.", list)
        .refuses(&[INBOX]);
    to.operation(route::PEERS, "get", operation);
    let (body, added) = (to.schema::<AddPeer>(), to.schema::<PeerAdded>());
    let operation = Operation::new("add_peer", "Dials an address now and for ever.")
        .body(body)
        .answers(202, "It is being dialled.", added)
        .refuses(&[BODY, INBOX, &[Code::BadAddress]]);
    to.operation(route::PEERS, "post", operation);
    let peer = &[Code::BadRequest, Code::UnknownPeer, Code::AmbiguousPeer, Code::WithoutEffect];
    let body = to.schema::<BlockPeer>();
    let operation = Operation::new("block_peer", "Cuts a peer off, for a time or until it is unblocked.")
        .body(body)
        .answers_nothing(204, "It is blocked.")
        .refuses(&[BODY, INBOX, peer]);
    to.operation(route::PEER_BLOCK, "put", operation);
    let operation = Operation::new("unblock_peer", "Lets a peer connect again.")
        .answers_nothing(204, "It is not blocked.")
        .refuses(&[INBOX, peer]);
    to.operation(route::PEER_BLOCK, "delete", operation);
}
