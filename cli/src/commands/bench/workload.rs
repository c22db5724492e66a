//! What the clients of a bench do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use starling_api::client::WriteOptions;
use starling_api::document::{BatchLine, WatchQuery};
use starling_api::{Client, NodeAddress};
use tokio::sync::Barrier;

use super::{DOCUMENTS, Measured, Workload};

/// Edits in one batch.
const BATCH_LINES: u64 = 500;

/// Between two writes that are watched.
const WATCHED_PAUSE: Duration = Duration::from_millis(20);

/// After the last write, how long watchers are given to see it.
const WATCH_TIME_MORE: Duration = Duration::from_secs(1);

/// Where the load goes.
pub(super) struct Load {
    pub(super) address: NodeAddress,
    pub(super) space: String,
    pub(super) prefix: String,
    /// When each watched write was sent.
    sent: Mutex<BTreeMap<String, Instant>>,
    /// Passed once every watcher watches.
    watching: Barrier,
}

impl Load {
    pub(super) fn new(address: NodeAddress, space: String, prefix: String, clients: u64) -> Self {
        let clients = usize::try_from(clients).unwrap_or(usize::MAX);
        Self {
            address,
            space,
            prefix,
            sent: Mutex::default(),
            watching: Barrier::new(clients.saturating_add(1)),
        }
    }

    pub(super) fn name(&self, number: u64) -> String {
        format!("{}{}", self.prefix, number % DOCUMENTS)
    }

    /// A document of about 100 bytes that differs for each number.
    pub(super) fn value(&self, number: u64) -> Value {
        json!({ "n": number, "text": format!("{number:080}") })
    }

    /// One client until the time is over.
    pub(super) async fn client(self: Arc<Self>, workload: Workload, number: u64, until: Instant) -> Measured {
        let client = Client::new(self.address.clone());
        match workload {
            Workload::Watch => self.watch(&client, until).await,
            Workload::Batch => self.batches(&client, number, until).await,
            Workload::Write | Workload::Read | Workload::Mixed => {
                self.requests(&client, workload, number, until).await
            }
        }
    }

    async fn requests(&self, client: &Client, workload: Workload, number: u64, until: Instant) -> Measured {
        let mut measured = Measured::default();
        // Clients start far from each other and pass over all documents, so they meet now and then.
        for turn in (number * 7_919).. {
            let name = self.name(turn);
            let writes = workload == Workload::Write || (workload == Workload::Mixed && turn % 5 == 0);
            let began = Instant::now();
            if began >= until {
                break;
            }
            let outcome = if writes {
                let body = self.value(turn + 1).to_string();
                client.put(&self.space, &name, body, &WriteOptions::default()).await.map(drop)
            } else {
                client.document(&self.space, &name).await.map(drop)
            };
            match outcome {
                Ok(()) => measured.took(began.elapsed(), 1),
                Err(error) => measured.failed(error),
            }
        }
        measured
    }

    async fn batches(&self, client: &Client, number: u64, until: Instant) -> Measured {
        let mut measured = Measured::default();
        for turn in 0_u64.. {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let first = number * 7_919 + turn * BATCH_LINES;
            let lines = (first..first + BATCH_LINES).map(|edit| BatchLine::Set {
                doc: self.name(edit),
                pointer: "/n".to_owned(),
                value: json!(edit + 1),
            });
            let (mut done, mut refused) = (0, Vec::new());
            let outcome = client
                .batch_all(&self.space, lines, |result| match result.outcome {
                    Ok(_) => done += 1,
                    Err(problem) => refused.push(problem),
                })
                .await;
            measured.took(began.elapsed(), done);
            refused.into_iter().for_each(|problem| measured.failed(problem));
            if let Err(error) = outcome {
                measured.failed(error);
            }
        }
        measured
    }

    /// Sees what the writer writes.
    async fn watch(&self, client: &Client, until: Instant) -> Measured {
        let mut measured = Measured::default();
        let query = WatchQuery { prefix: Some(self.prefix.clone()), since: None };
        let watch = client.watch(&self.space, query).await;
        self.watching.wait().await;
        let mut watch = match watch {
            Ok(watch) => watch,
            Err(error) => {
                measured.failed(error);
                return measured;
            }
        };
        let mut seen = Vec::new();
        let patience = tokio::time::Instant::from_std(until + WATCH_TIME_MORE);
        while let Ok(event) = tokio::time::timeout_at(patience, watch.next()).await {
            match event {
                Ok(event) => seen.push((event.name, Instant::now())),
                Err(error) => {
                    measured.failed(error);
                    break;
                }
            }
        }
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, at) in seen {
            match sent.get(&name) {
                Some(sent) => measured.took(at.saturating_duration_since(*sent), 1),
                None => measured.failed(format!("an event of {name}, which nobody wrote")),
            }
        }
        // What was written and never seen is no success that took no time.
        let unseen = (sent.len() as u64).saturating_sub(measured.done);
        (0..unseen).for_each(|_| measured.failed("a write was not seen in time"));
        measured
    }

    /// Writes what is watched, each time another document, evenly over the time.
    pub(super) async fn writer(self: Arc<Self>, until: Instant) -> Measured {
        let client = Client::new(self.address.clone());
        self.watching.wait().await;
        let mut failed = Measured::default();
        let mut pace = tokio::time::interval(WATCHED_PAUSE);
        for number in 0_u64.. {
            pace.tick().await;
            if Instant::now() >= until {
                break;
            }
            let name = format!("{}watched/{number}", self.prefix);
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Instant::now());
            let body = self.value(number).to_string();
            if let Err(error) = client.put(&self.space, &name, body, &WriteOptions::default()).await {
                failed.failed(error);
            }
        }
        failed
    }
}
