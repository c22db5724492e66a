//! What keeps a node: its store checked, and a backup of it, both of one commit while writes go on.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use starling_api::{
    Code,
    keep::{BACKUP_MEDIA_TYPE, Compacted, Finding, Loss, Verified},
};
use starling_crdt::{
    backup::BackupWriter,
    id::AuthorKey,
    store::StoreRead,
    time::WallTime,
    verify::{self, Report},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
};

use super::{
    answer::{Answer, Refused, refused},
    limits::BACKUP_PIECES_MAX,
    problems,
    state::Api,
};

/// Checks the store against its history.
pub(super) async fn verify(State(api): State<Api>) -> Result<Answer<Verified>, Refused> {
    let room = api.room_to_inspect()?;
    let snapshot = api.node.snapshot()?;
    let checked = spawn_blocking(move || {
        let _room = room;
        verify::verify(snapshot.as_ref(), None)
    });
    let report = checked.await.map_err(|error| refused(Code::Internal, error.to_string()))?;
    let report = report.map_err(|error| Refused::from(problems::store(&error)))?;
    if !report.is_sound() {
        tracing::error!(
            event = "store_unsound",
            wrong = report.wrong,
            lost = report.lost,
            "the store does not agree with its history"
        );
    }
    Ok(Answer(StatusCode::OK, verified(&report, Some(api.node.key()))))
}

/// What a verification found, as the API says it; `own` is the key of the node whose store it is.
#[must_use]
pub fn verified(report: &Report, own: Option<AuthorKey>) -> Verified {
    let finding = |finding: &verify::Finding| Finding {
        code: finding.code.to_owned(),
        space: finding.space.map(|space| space.to_string()),
        doc: finding.document.as_ref().map(ToString::to_string),
        what: finding.what.clone(),
        mendable: finding.mendable,
    };
    let loss = |loss: &verify::Loss| Loss {
        space: loss.space.to_string(),
        doc: loss.document.to_string(),
        actor: loss.actor.to_string(),
        author: loss.author.map(|author| author.to_string()),
        own: loss.author.is_some() && loss.author == own,
        first: loss.first,
        last: loss.last,
    };
    Verified {
        sound: report.is_sound(),
        spaces: report.spaces,
        documents: report.documents,
        deltas: report.deltas,
        changes: report.changes,
        wrong: report.wrong,
        findings: report.findings.iter().map(finding).collect(),
        lost: report.lost,
        losses: report.losses.iter().map(loss).collect(),
    }
}

/// Merges deltas, and answers when everything was looked at.
pub(super) async fn compact(State(api): State<Api>) -> Result<Answer<Compacted>, Refused> {
    let told = api.node.compact().await?;
    let answer = Compacted {
        documents: told.documents,
        deltas_before: told.deltas_before,
        deltas_after: told.deltas_after,
        bytes_before: told.bytes_before,
        bytes_after: told.bytes_after,
        refused: told.refused,
        store_bytes: api.facts.store_bytes(),
    };
    tracing::info!(
        event = "compacted",
        deltas_before = told.deltas_before,
        deltas_after = told.deltas_after,
        "deltas were merged"
    );
    Ok(Answer(StatusCode::OK, answer))
}

/// Gives a backup. The private key is never in it: whoever may use the API need not be able to take it.
pub(super) async fn backup(State(api): State<Api>) -> Result<Response, Refused> {
    let room = api.room_to_inspect()?;
    let snapshot = api.node.snapshot()?;
    let (pieces, written) = mpsc::channel(BACKUP_PIECES_MAX);
    let (key, now) = (api.node.key(), api.facts.clock.now().wall);
    spawn_blocking(move || write(snapshot.as_ref(), key, now, &pieces, room));
    let body = stream::unfold(written, |mut written| async move { Some((written.recv().await?, written)) });
    Ok(([(header::CONTENT_TYPE, BACKUP_MEDIA_TYPE)], Body::from_stream(body)).into_response())
}

/// Hands over pieces until the end, or until nobody takes them.
fn write(
    store: &dyn StoreRead,
    key: AuthorKey,
    now: WallTime,
    pieces: &mpsc::Sender<Result<Bytes, std::io::Error>>,
    _room: OwnedSemaphorePermit,
) {
    let mut writer = BackupWriter::new(store, key, now);
    loop {
        let piece = match writer.next_bytes() {
            Ok(None) => return,
            Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
            Err(error) => {
                tracing::error!(event = "backup_failed", %error, "a backup was broken off: the store cannot be read");
                Err(std::io::Error::other(error.to_string()))
            }
        };
        let failed = piece.is_err();
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}
