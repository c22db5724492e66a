//! `starling id`

use std::io;

use clap::Args;
use serde::Serialize;
use starling_api::ExitCode as Exit;

use crate::args::Global;
use crate::commands::offline;
use crate::connect::{Session, data_directory};
use crate::failure::Outcome;
use crate::output::Output;

/// Print this node's public key, PeerId and addresses; works before the first start.
#[derive(Debug, Args)]
pub(crate) struct IdArgs {}

/// What tells this node from every other.
#[derive(Serialize)]
struct Identification {
    key: String,
    peer_id: String,
    /// Where others reach it; known only while it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
}

pub(crate) async fn run(global: &Global, _args: &IdArgs, out: &mut Output) -> Outcome {
    let identification = match Session::open(global) {
        Ok(session) => {
            let status = session.client.status().await?;
            let addresses = if status.advertise.is_empty() { status.listen } else { status.advertise };
            Identification { key: status.key, peer_id: status.peer_id, addresses }
        }
        Err(failure) if global.node.is_some() => return Err(failure),
        Err(_) => {
            let key = offline::id::known_or_made(&data_directory(global)?)?;
            Identification {
                peer_id: offline::id::peer_id(&key),
                key: key.to_string(),
                addresses: Vec::new(),
            }
        }
    };
    print(&identification, out)?;
    Ok(Exit::Done)
}

fn print(identification: &Identification, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(identification);
    }
    let addresses = identification.addresses.join(" ");
    out.fields([
        ("key", Some(identification.key.clone())),
        ("peer id", Some(identification.peer_id.clone())),
        ("addresses", (!addresses.is_empty()).then_some(addresses)),
    ])
}
