//! Feature flags: read at the start, and again whenever they change.
//!
//! The flags are one document, `{"checkout-v2": true, …}`, that anybody may change with `starling set`. The
//! program has its last flags even while the node is away, for it keeps them.
//!
//! Run it with the address of a node and a space:
//! `cargo run --example feature_flags -- unix:$HOME/.local/share/starling/api.sock shop`

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use starling_api::document::WatchQuery;
use starling_api::{Client, ClientError, Code};

/// The document that holds the flags.
pub const DOCUMENT: &str = "flags/web";

/// Flags by name; what is not there is off.
pub type Flags = BTreeMap<String, bool>;

/// The flags as they are now; none where nobody has written any.
pub async fn read(client: &Client, space: &str) -> Result<Flags, ClientError> {
    let value = match client.document(space, DOCUMENT).await {
        Ok(document) => document.value,
        Err(error) if error.problem().is_some_and(|problem| problem.code == Code::UnknownDocument) => {
            return Ok(Flags::new());
        }
        Err(error) => return Err(error),
    };
    // Others write this document: what is no switch is left out instead of trusted.
    let members = value.as_object().into_iter().flatten();
    Ok(members.filter_map(|(name, value)| Some((name.clone(), value.as_bool()?))).collect())
}

/// Gives the flags to `on_change`, now and after each change, until it breaks.
pub async fn follow(
    client: &Client,
    space: &str,
    mut on_change: impl FnMut(&Flags) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    // First the ear, then the value: so that no change falls between.
    let query = WatchQuery { prefix: Some(DOCUMENT.to_owned()), since: None };
    let mut changes = client.watch(space, query).await?;
    let mut flags = read(client, space).await?;
    while on_change(&flags).is_continue() {
        // A connection that breaks comes back by itself, and nothing is missed.
        while changes.next().await?.name != DOCUMENT {}
        flags = read(client, space).await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(space)) = (words.next(), words.next()) else {
        return Err("say the address of a node and a space".into());
    };
    let client = Client::new(address.parse()?);
    follow(&client, &space, |flags| {
        println!("{flags:?}");
        ControlFlow::Continue(())
    })
    .await?;
    Ok(())
}
