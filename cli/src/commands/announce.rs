//! What `up` tells the person who started it: where the node is, what it announces, what to do next.
//!
//! Promises: it asks the node through the same API as every other command, so what it prints is what
//! others see. Leaves out: the log, which is the node's own and goes to stderr.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use starling_api::Client;
use starling_api::client::ClientError;
use starling_api::status::Status;

use crate::output::{Output, note};

/// How often the node is asked whether it has peers but no space.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// What the status of a node does not say.
pub(crate) struct Whereabouts {
    /// Its directory.
    pub(crate) data_dir: String,
    /// Where its API is on TCP.
    pub(crate) http: Option<SocketAddr>,
    /// Whether nodes on the same network find it by themselves.
    pub(crate) mdns: bool,
}

/// Prints where the node is and what it announces.
pub(crate) async fn announce(
    client: &Client,
    whereabouts: &Whereabouts,
    out: &mut Output,
) -> Result<Status, ClientError> {
    let status = client.status().await?;
    // A closed standard output is no reason to stop the node.
    let _ = print(&status, client, whereabouts, out).and_then(|()| out.flush());
    Ok(status)
}

fn print(status: &Status, client: &Client, whereabouts: &Whereabouts, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json_line(status);
    }
    let told = if status.advertise.is_empty() { &status.listen } else { &status.advertise };
    let finds = if whereabouts.mdns { "nodes on this network find it by mDNS" } else { "mDNS is off" };
    out.line(&format!("starling {} runs as {}", status.version, status.name))?;
    out.fields([
        ("  key", Some(status.key.clone())),
        ("  peer id", Some(status.peer_id.clone())),
        ("  data", Some(whereabouts.data_dir.clone())),
        ("  api", Some(client.address().to_string())),
        ("  api on tcp", whereabouts.http.map(|address| format!("http://{address}"))),
        ("  listens at", Some(status.listen.join(" "))),
        ("  tells others", Some(told.join(" "))),
        ("  found by", Some(finds.to_owned())),
    ])?;
    if status.spaces.is_empty() {
        out.line(
            "next: make a space with `starling space create NAME`, or join one with `starling join TICKET`",
        )?;
    }
    Ok(())
}

/// Waits until the node sees peers although it shares no space with anybody, and says once what to do.
/// Ends without a word when the node has a space.
pub(crate) async fn advise_when_alone(client: &Client) {
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        // A node that is stopping does not answer, and then there is nothing to advise.
        let Ok(status) = client.status().await else { return };
        if !status.spaces.is_empty() {
            return;
        }
        if status.peers > 0 {
            note(&format!(
                "{} peers are connected, but this node shares no space with them: on a host that has one run \
                 `starling invite`, and here `starling join TICKET`; or make one with `starling space create NAME`",
                status.peers
            ));
            return;
        }
    }
}
