//! What the benches share: a replica under a clock of its own, and one that repairs itself from another.

#![allow(dead_code, reason = "each bench uses the part it needs")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use starling_crdt::address::Address;
use starling_crdt::charter::{Label, Role};
use starling_crdt::document::{Edit, Json};
use starling_crdt::exchange::{Request, decode_message};
use starling_crdt::id::{AuthorKey, DocumentName, SpaceId, StoreId, Topic};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, MessageToken, Options, Replica, Reply, RequestTicket, Write,
};
use starling_crdt::seal::{self, EpochKey};
use starling_crdt::store::tables::walk_prefix;
use starling_crdt::store::{MemoryStore, Store, StoreError, StoreRead, Table, WriteBatch};
use starling_crdt::time::{Moment, Now, WallTime};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Inputs of one step while documents are made.
pub const STEP: u64 = 1_024;
/// Questions of one dialogue after which it is taken for endless.
const QUESTIONS_MAX: u32 = 100_000;
/// When all clocks begin: a replica adds to and subtracts from the present.
const START_MICROS: u64 = 1_000_000_000;

/// Where a bench puts what it writes: `STARLING_BENCH_DIR`, on the disk to measure, or below `target`.
pub fn directory() -> Outcome<PathBuf> {
    let chosen = std::env::var_os("STARLING_BENCH_DIR").map(PathBuf::from);
    let directory = chosen.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Whether this is no measurement but a try, as `cargo test --benches` makes it: little of everything will do.
pub fn is_try() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--test") || !has("--bench")
}

pub fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

pub fn epoch_key() -> EpochKey {
    EpochKey::from_bytes([9; 32])
}

pub fn name(number: u64) -> DocumentName {
    format!("d/{number}").parse().expect("a short name without odd characters")
}

/// A put of a document of about 100 bytes.
pub fn put(number: u64) -> Edit {
    let value = Json::parse(format!("{{\"v\":\"{number:092}\"}}")).expect("JSON");
    Edit::Put { value, base: None }
}

/// Real time, and what of it was skipped where nobody had anything to do.
#[derive(Clone)]
pub struct Clock {
    began: Instant,
    skipped: Rc<Cell<Duration>>,
    /// Nonces drawn so far by all nodes under this clock.
    drawn: Arc<AtomicU64>,
}

impl Clock {
    pub fn new() -> Self {
        Self { began: Instant::now(), skipped: Rc::default(), drawn: Arc::default() }
    }

    pub fn now(&self) -> Now {
        let passed = (self.began.elapsed() + self.skipped.get()).as_micros() as u64;
        let wall = WallTime(1_700_000_000_000 + (passed / 1_000) as i64);
        Now { monotonic: Moment(START_MICROS + passed), wall }
    }

    pub fn skip(&self, time: Duration) {
        self.skipped.set(self.skipped.get() + time);
    }

    pub fn skipped(&self) -> Duration {
        self.skipped.get()
    }
}

/// A replica that is stepped by hand.
pub struct Node<S: Store> {
    pub replica: Replica<S>,
    pub key: AuthorKey,
    clock: Clock,
    tickets: u64,
}

impl<S: Store> Node<S> {
    /// Opens a replica with the identity of this number. Its incarnations are new ones, whatever the store holds.
    pub fn open(store: S, number: u8, clock: &Clock) -> Outcome<Self> {
        let (name, version) = (Label::new(format!("node-{number}"))?, Label::new("bench")?);
        let options = Options { name, version, seeds: Vec::new(), space_bytes_max: None };
        let drawn = clock.drawn.clone();
        let nonces = Box::new(move || {
            let mut nonce = [number; 16];
            nonce[..8].copy_from_slice(&drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            nonce
        });
        let identity = identity(number);
        let key = identity.key();
        let replica = Replica::open(store, identity, options, [number; 32], nonces, clock.now())?;
        Ok(Self { replica, key, clock: clock.clone(), tickets: 0 })
    }

    pub fn step(&mut self, inputs: Vec<Input>) -> Outcome<Vec<Effect>> {
        Ok(self.replica.step(self.clock.now(), inputs)?)
    }

    pub fn local(&mut self, request: LocalRequest) -> Input {
        self.tickets += 1;
        Input::Local { ticket: RequestTicket(self.tickets), request }
    }

    /// Asks what is answered in the same step.
    pub fn ask(&mut self, request: LocalRequest) -> Outcome<Reply> {
        let input = self.local(request);
        let replies = self.step(vec![input])?.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        Ok(replies.ok_or("no reply")??)
    }

    pub fn create_space(&mut self) -> Outcome<SpaceId> {
        let (name, epoch_key) = (Label::new("bench")?, epoch_key());
        match self.ask(LocalRequest::CreateSpace { name, nonce: [1; 16], epoch_key })? {
            Reply::Space(space) => Ok(space),
            other => Err(format!("no space but {other:?}").into()),
        }
    }

    /// The input of one write.
    pub fn write(&mut self, space: SpaceId, document: DocumentName, edit: Edit) -> Input {
        let condition = Condition::default();
        let write = Write { space, document, edit, condition, request_id: None };
        self.local(LocalRequest::Write(Box::new(write)))
    }

    /// Writes all of these, in steps of [`STEP`], and gives what was published.
    pub fn write_all(
        &mut self,
        space: SpaceId,
        edits: impl IntoIterator<Item = (DocumentName, Edit)>,
    ) -> Outcome<Vec<(Topic, Vec<u8>)>> {
        let mut edits = edits.into_iter().peekable();
        let mut published = Vec::new();
        while edits.peek().is_some() {
            let chunk: Vec<_> = edits.by_ref().take(STEP as usize).collect();
            let inputs = chunk.into_iter().map(|(document, edit)| self.write(space, document, edit));
            let inputs = inputs.collect();
            for effect in self.step(inputs)? {
                match effect {
                    Effect::Reply { reply: Err(refusal), .. } => return Err(refusal.into()),
                    Effect::Publish { topic, payload } => published.push((topic, payload)),
                    _ => {}
                }
            }
        }
        Ok(published)
    }

    /// The input of a gossip payload, screened as the shell does it.
    pub fn gossiped(&mut self, from: AuthorKey, topic: Topic, payload: &[u8]) -> Input {
        self.tickets += 1;
        let (space, frame) = self.replica.screener().screen_gossip(topic, payload);
        Input::Gossip { from, token: MessageToken(self.tickets), space, frame }
    }

    fn is_member(&mut self, space: SpaceId) -> Outcome<bool> {
        match self.ask(LocalRequest::Status)? {
            Reply::Status(status) => {
                Ok(status.spaces.iter().any(|held| held.id == space && held.membership.is_some()))
            }
            other => Err(format!("no status but {other:?}").into()),
        }
    }
}

/// A replica in memory with a space of its own.
pub fn founder(clock: &Clock) -> Outcome<(Node<MemoryStore>, SpaceId)> {
    let mut node = Node::open(MemoryStore::new(StoreId([1; 16])), 1, clock)?;
    let space = node.create_space()?;
    Ok((node, space))
}

/// The topic of a bench's space.
pub fn topic(space: SpaceId) -> Topic {
    seal::topic(space, &epoch_key())
}

/// Makes `guest` a member of a space of `host`.
pub fn join<A: Store, B: Store>(
    guest: &mut Node<A>,
    host: &mut Node<B>,
    space: SpaceId,
    clock: &Clock,
) -> Outcome<()> {
    let secret = identity(255);
    let invite = LocalRequest::Invite {
        space,
        role: Role::Writer,
        prefix: None,
        uses: None,
        expires_in: None,
        secret,
    };
    let ticket = match host.ask(invite)? {
        Reply::Ticket(ticket) => ticket,
        other => return Err(format!("no ticket but {other:?}").into()),
    };
    guest.ask(LocalRequest::Join { ticket })?;
    for _ in 0..8 {
        repair(guest, host, clock, |_| false)?;
        if guest.is_member(space)? {
            return Ok(());
        }
        clock.skip(Duration::from_secs(60));
    }
    Err("the guest was not witnessed".into())
}

/// What one dialogue took.
#[derive(Clone, Copy, Default, Debug)]
pub struct Dialogue {
    /// Questions by which both sides find what differs, and the bytes of those and of their answers.
    pub questions: u32,
    pub bytes: u64,
    /// Questions for deltas, and the bytes of those and of their answers.
    pub fetches: u32,
    pub fetched_bytes: u64,
    /// Time the answering side's steps took.
    pub answering: Duration,
    /// Time it took to check what came, which a node does on threads beside its replica.
    pub screening: Duration,
}

/// Connects `asker` with `holder` and carries its questions, one after the other, until `done` or until it
/// has none left; then the connection ends. The other direction stays silent.
pub fn repair<A: Store, B: Store>(
    asker: &mut Node<A>,
    holder: &mut Node<B>,
    clock: &Clock,
    done: impl Fn(&Node<A>) -> bool,
) -> Outcome<Dialogue> {
    let (peer, own) = (holder.key, asker.key);
    let address = Address::new("memory")?;
    let mut dialogue = Dialogue::default();
    let mut inputs = VecDeque::from([Input::PeerUp { peer, address, inbound: false }]);
    while let Some(input) = inputs.pop_front() {
        for effect in asker.step(vec![input])? {
            if let Effect::Ask { id, body, .. } = effect {
                let answer = answered(&mut dialogue, asker, holder, own, id, &body)?;
                inputs.push_back(Input::Answered { peer, id, answer: Ok(answer) });
            }
        }
        if done(asker) || dialogue.questions + dialogue.fetches > QUESTIONS_MAX {
            break;
        }
        if inputs.is_empty() && dialogue.questions == 0 {
            // The first question may be a moment away.
            let wait = asker.replica.next_wakeup().since(clock.now().monotonic);
            clock.skip(wait.min(Duration::from_secs(1)));
            inputs.push_back(Input::Listening { addresses: Vec::new() });
        }
    }
    asker.step(vec![Input::PeerDown { peer }])?;
    Ok(dialogue)
}

fn answered<A: Store, B: Store>(
    dialogue: &mut Dialogue,
    asker: &Node<A>,
    holder: &mut Node<B>,
    own: AuthorKey,
    id: u64,
    body: &[u8],
) -> Outcome<starling_crdt::gossip::ScreenedAnswer> {
    let fetch = matches!(decode_message::<Request>(body), Ok(Request::Fetch { .. }));
    let began = Instant::now();
    let request = holder.replica.screener().screen_request(body);
    let effects = holder.step(vec![Input::Asked { peer: own, id, request }])?;
    dialogue.answering += began.elapsed();
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Answer { body, .. } => Some(body),
        _ => None,
    });
    let answer = answer.ok_or("no answer")?;
    let bytes = (body.len() + answer.len()) as u64;
    if fetch {
        dialogue.fetches += 1;
        dialogue.fetched_bytes += bytes;
    } else {
        dialogue.questions += 1;
        dialogue.bytes += bytes;
    }
    let began = Instant::now();
    let answer = asker.replica.screener().screen_answer(&answer);
    dialogue.screening += began.elapsed();
    Ok(answer)
}

/// Every row of a store, without what it knows of peers: what another node would hold.
pub fn rows(store: &dyn StoreRead) -> Result<WriteBatch, StoreError> {
    let mut batch = WriteBatch::default();
    for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Peers | Table::Sightings)) {
        walk_prefix(store, table, &[], |key, value| {
            batch.put(table, key.to_vec(), value.to_vec());
            Ok(())
        })?;
    }
    Ok(batch)
}

/// The middle one.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
