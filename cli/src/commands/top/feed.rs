//! What the node tells `top`: asked every second, watched, and asked for a history when one is open.
//!
//! Promises: a node that does not answer is told of, and so is its return; it is tried for ever with
//! pauses that grow. Leaves out what is made of it.

use std::time::Duration;

use starling_api::Client;
use starling_api::client::ClientError;
use starling_api::document::WatchQuery;
use starling_api::past::HistoryQuery;
use tokio::sync::{mpsc, watch};

use super::event::{Event, Figures};
use crate::backoff::{Growth, random};

/// Time between two questions.
const ASK_PERIOD: Duration = Duration::from_secs(1);

/// Pauses while the node does not answer.
const RETRY: Growth = Growth { first: Duration::from_millis(200), most: Duration::from_secs(5) };

/// Changes of one document that are shown; the rest is for `starling history`.
const HISTORY_ITEMS: u32 = 200;

/// The document whose history is wanted, and how new.
pub(super) type Wanted = Option<(String, u64)>;

/// Asks and listens; ends only with its caller.
pub(super) async fn run(
    client: &Client,
    space: &str,
    to: mpsc::Sender<Event>,
    wanted: watch::Receiver<Wanted>,
) {
    futures::join!(ask(client, space, &to), listen(client, space, &to), look(client, space, &to, wanted));
}

async fn tell(to: &mpsc::Sender<Event>, event: Event) {
    // Nobody listens any more when the picture is gone, and with it this.
    let _ = to.send(event).await;
}

async fn ask(client: &Client, space: &str, to: &mpsc::Sender<Event>) {
    let mut failures = 0;
    loop {
        let pause = match once(client, space, to).await {
            Ok(()) => {
                if failures > 0 {
                    tell(to, Event::Back).await;
                }
                failures = 0;
                ASK_PERIOD
            }
            Err(error) => {
                failures += 1;
                tell(to, Event::Lost { why: error.to_string() }).await;
                RETRY.pause(failures, random())
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn once(client: &Client, space: &str, to: &mpsc::Sender<Event>) -> Result<(), ClientError> {
    tell(to, Event::Status { status: Box::new(client.status().await?) }).await;
    tell(to, Event::Members { list: client.members(space).await? }).await;
    tell(to, Event::Peers { list: client.peers().await? }).await;
    let figures = Figures::read(&client.metrics().await?);
    tell(to, Event::Figures { figures }).await;
    Ok(())
}

/// Passes changes on; what happens while the node is away is not made up for.
async fn listen(client: &Client, space: &str, to: &mpsc::Sender<Event>) {
    let mut failures = 0;
    loop {
        if let Ok(mut watch) = client.watch(space, WatchQuery::default()).await {
            watch.set_patience(Duration::ZERO);
            failures = 0;
            while let Ok(change) = watch.next().await {
                tell(to, Event::Change { change }).await;
            }
        }
        failures += 1;
        tokio::time::sleep(RETRY.pause(failures, random())).await;
    }
}

/// Asks for the history of the document that is open, again when it changed, at most once a second.
async fn look(client: &Client, space: &str, to: &mpsc::Sender<Event>, mut wanted: watch::Receiver<Wanted>) {
    let query = HistoryQuery { limit: Some(HISTORY_ITEMS), ..HistoryQuery::default() };
    while wanted.changed().await.is_ok() {
        let Some((doc, _)) = wanted.borrow_and_update().clone() else { continue };
        let event = match client.history(space, Some(&doc), &query).await {
            Ok(page) => Event::History { doc, page },
            Err(error) => Event::NoHistory { doc, why: error.to_string() },
        };
        tell(to, event).await;
        tokio::time::sleep(ASK_PERIOD).await;
    }
}
