//! The identity in a data directory, whether a node runs there or not.

use std::path::Path;

use starling_api::ExitCode as Exit;
use starling_crdt::id::AuthorKey;
use starling_node::identity::{self, IdentityError};

use crate::failure::Failure;

/// The key of the directory's identity; nothing where none was made yet.
pub(crate) fn known(directory: &Path) -> Result<Option<AuthorKey>, Failure> {
    Ok(identity::load(directory).map_err(refused)?.map(|identity| identity.key()))
}

/// The key of the directory's identity; both are made where they do not exist.
pub(crate) fn known_or_made(directory: &Path) -> Result<AuthorKey, Failure> {
    identity::load_or_make(directory).map(|identity| identity.key()).map_err(refused)
}

/// libp2p's name for a key.
pub(crate) fn peer_id(key: &AuthorKey) -> String {
    starling_node::network::address::peer_id_text(key)
}

fn refused(error: IdentityError) -> Failure {
    let exit = match error {
        IdentityError::OpenToOthers { .. } => Exit::NotAllowed,
        _ => Exit::Failed,
    };
    Failure::new(exit, "identity-unusable", "this node's identity cannot be used").caused_by(&error)
}
