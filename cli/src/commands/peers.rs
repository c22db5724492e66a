//! `starling peers`

use std::time::Duration;

use clap::{Args, Subcommand};
use starling_api::ExitCode as Exit;
use starling_api::peer::{BlockPeer, Direction, Peer};

use crate::args::{Global, duration};
use crate::commands::{age, bytes};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// List the peers of the node, dial another, or block and unblock one.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(subcommand)]
    command: Option<PeersCommand>,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// List peers that are connected or blocked, or did wrong of late; also without a subcommand.
    ///
    /// Bytes are those of protocols since the connection began, before encryption. Offences give points,
    /// the score, which fade, ten in a quarter of an hour: ten close the connection, thirty block the peer
    /// for a while. In a pipe: name, state, address, who dialled, transport, round trip, since when, offences, PeerId, bytes
    /// received, bytes sent.
    List,
    /// Dial an address now, and again whenever the connection is lost.
    Add {
        /// A multiaddr such as /ip4/192.0.2.7/tcp/4710, or HOST, or HOST:PORT.
        address: String,
    },
    /// Close the connection with a peer and open none.
    Block {
        /// Its name, key, PeerId or a unique beginning of one.
        peer: String,
        /// For how long, such as 30s or 24h; without it until it is unblocked.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// Let a peer connect again.
    Unblock {
        /// Its name, key, PeerId or a unique beginning of one.
        peer: String,
    },
}

/// Columns that a narrow terminal does without, the first named first.
const SPARE: [&str; 4] = ["peer id", "since", "by", "address"];

pub(crate) async fn run(global: &Global, args: PeersArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let client = &session.client;
    match args.command.unwrap_or(PeersCommand::List) {
        PeersCommand::List => {
            let list = client.peers().await?;
            if out.is_json() {
                out.json(&list)?;
            } else {
                let header = [
                    "name",
                    "state",
                    "address",
                    "by",
                    "transport",
                    "round trip",
                    "since",
                    "offences",
                    "peer id",
                    "received",
                    "sent",
                ];
                let rows: Vec<_> = list.items.iter().map(|peer| row(peer, out)).collect();
                out.rows_sparing(&header, rows, &SPARE)?;
            }
        }
        PeersCommand::Add { address } => {
            let added = client.add_peer(&address).await?;
            if out.is_json() {
                out.json(&added)?;
            } else {
                out.line(&added.address)?;
            }
        }
        PeersCommand::Block { peer, time } => {
            let for_s = match time.map(|time| time.as_secs()) {
                Some(0) => return Err(Failure::usage("a block lasts at least a second")),
                seconds => seconds,
            };
            client.block_peer(&peer, &BlockPeer { for_s }).await?;
        }
        PeersCommand::Unblock { peer } => client.unblock_peer(&peer).await?,
    }
    Ok(Exit::Done)
}

fn row(peer: &Peer, out: &Output) -> Vec<String> {
    let state = match &peer.blocked {
        Some(blocked) => match blocked.left_ms {
            Some(left) => format!("blocked for {}", age(left)),
            None => "blocked".to_owned(),
        },
        None if peer.connected => "connected".to_owned(),
        None => "not connected".to_owned(),
    };
    let by = match peer.direction {
        Some(Direction::Inbound) => "them",
        Some(Direction::Outbound) => "us",
        None => "",
    };
    let size = |count: Option<u64>| match count {
        Some(count) if out.is_terminal() => bytes(count as f64),
        count => count.map(|count| count.to_string()).unwrap_or_default(),
    };
    vec![
        peer.name.clone().unwrap_or_default(),
        state,
        peer.address.clone().unwrap_or_default(),
        by.to_owned(),
        peer.transport.clone().unwrap_or_default(),
        peer.round_trip_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
        peer.connected_ms.map(age).unwrap_or_default(),
        peer.offences.map(|count| format!("{count}, score {}", peer.score.unwrap_or(0))).unwrap_or_default(),
        peer.peer_id.clone(),
        size(peer.received_bytes),
        size(peer.sent_bytes),
    ]
}
