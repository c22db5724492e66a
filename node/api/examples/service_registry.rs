//! A service registry: each host announces its own instance, and who looks one up is told whether that host is
//! there now.
//!
//! One document for each instance, so that hosts never write the same one. Nobody has to remove what died: the
//! space knows which member is away, and a document knows its author.
//!
//! Run it with the address of a node, a space, a service, and where it is served, on each host:
//! `cargo run --example service_registry -- unix:$HOME/.local/share/starling/api.sock shop web 10.0.0.7:80`

use std::collections::BTreeMap;

use starling_api::client::WriteOptions;
use starling_api::document::ListQuery;
use starling_api::member::MemberState;
use starling_api::{Client, ClientError};

/// One place where a service is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The host that said so.
    pub host: String,
    /// Where it is.
    pub address: String,
    /// How that host's node stands, as seen from here.
    pub state: MemberState,
}

impl Instance {
    /// Whether it is worth trying.
    pub fn is_there(&self) -> bool {
        matches!(self.state, MemberState::Own | MemberState::Alive | MemberState::Suspect)
    }
}

/// Announces this host's instance of a service; saying the same again writes nothing.
pub async fn announce(client: &Client, space: &str, service: &str, address: &str) -> Result<(), ClientError> {
    let host = client.status().await?.name;
    let document = format!("services/{service}/{host}");
    let value = serde_json::json!({ "address": address }).to_string();
    client.put(space, &document, value, &WriteOptions::default()).await?;
    Ok(())
}

/// The instances of a service, wherever they are.
pub async fn instances(client: &Client, space: &str, service: &str) -> Result<Vec<Instance>, ClientError> {
    let members = client.members(space).await?.items;
    let states: BTreeMap<&str, MemberState> =
        members.iter().map(|member| (member.key.as_str(), member.state)).collect();
    let prefix = format!("services/{service}/");
    let mut query = ListQuery { prefix: Some(prefix.clone()), ..ListQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = client.documents(space, &query).await?;
        for item in page.items {
            let value = client.document(space, &item.name).await?.value;
            // An instance that says no address is of no use to anybody.
            let Some(address) = value["address"].as_str() else { continue };
            let state = item.author.as_deref().and_then(|author| states.get(author));
            found.push(Instance {
                host: item.name.trim_start_matches(&prefix).to_owned(),
                address: address.to_owned(),
                state: state.copied().unwrap_or(MemberState::Unknown),
            });
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(found);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [node, space, service, address] = words.as_slice() else {
        return Err("say the address of a node, a space, a service, and where it is served".into());
    };
    let client = Client::new(node.parse()?);
    announce(&client, space, service, address).await?;
    for instance in instances(&client, space, service).await? {
        println!("{}\t{}\t{}", instance.host, instance.address, instance.state);
    }
    Ok(())
}
