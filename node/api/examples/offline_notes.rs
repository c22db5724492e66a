//! Notes that are written with or without a network, and say who has them already.
//!
//! A write is durable on the own node before it is answered and needs nobody else. Each note is a document of
//! its own, so notes that were written apart never collide; when the hosts meet, all have all.
//!
//! Run it with the address of a node, a space and a text:
//! `cargo run --example offline_notes -- unix:$HOME/.local/share/starling/api.sock notes "buy rope"`

use std::time::{Duration, SystemTime};

use starling_api::client::WriteOptions;
use starling_api::document::ListQuery;
use starling_api::member::{Nodes, Wait, Waited};
use starling_api::{Client, ClientError};

/// Writes a note, and gives the name of its document.
pub async fn write(client: &Client, space: &str, text: &str) -> Result<String, ClientError> {
    let author = client.status().await?.key;
    // Two notes of one host within one nanosecond do not happen; if they did, the second would be refused.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let name = format!("notes/{now:x}-{author:.8}");
    let value = serde_json::json!({ "text": text }).to_string();
    let options = WriteOptions { if_absent: true, ..WriteOptions::default() };
    client.put(space, &name, value, &options).await?;
    Ok(name)
}

/// Who has a note within that time, this node among them. That nobody else has is no error: it is safe here.
pub async fn held_by(
    client: &Client,
    space: &str,
    name: &str,
    patience: Duration,
) -> Result<Waited, ClientError> {
    let timeout_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    client.wait(space, &Wait { doc: Some(name.to_owned()), nodes: Nodes::All, timeout_ms }).await
}

/// All notes, oldest first by the clocks of those who wrote them.
pub async fn read(client: &Client, space: &str) -> Result<Vec<String>, ClientError> {
    let mut query = ListQuery { prefix: Some("notes/".to_owned()), ..ListQuery::default() };
    let mut notes = Vec::new();
    loop {
        let page = client.documents(space, &query).await?;
        for item in page.items {
            let value = client.document(space, &item.name).await?.value;
            notes.extend(value["text"].as_str().map(str::to_owned));
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(notes);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [node, space, text] = words.as_slice() else {
        return Err("say the address of a node, a space and a text".into());
    };
    let client = Client::new(node.parse()?);
    let name = write(&client, space, text).await?;
    let waited = held_by(&client, space, &name, Duration::from_secs(2)).await?;
    let holders: Vec<_> = waited.holders.iter().map(|holder| holder.name.as_str()).collect();
    println!("{name} is held by {}", holders.join(", "));
    for note in read(&client, space).await? {
        println!("- {note}");
    }
    Ok(())
}
