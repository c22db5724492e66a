//! Peers that say what they like: with nothing but a connection, or as a member of the space.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use minicbor::bytes::ByteVec;
use starling_api::Client;
use starling_api::space::{CreateInvite, Role};
use starling_crdt::charter::{JoinRequest, Label, StatementBody, Ticket, VerifiedStatement};
use starling_crdt::codec;
use starling_crdt::exchange::{OfferedItem, Request, Response, decode_message, encode_message};
use starling_crdt::history::ItemKey;
use starling_crdt::id::{AuthorKey, Topic};
use starling_crdt::identity::Identity;
use starling_node::metrics::Registry;
use starling_node::network::{Command, Event, NetworkConfig, NetworkHandle, start};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::rogue::Rogue;

/// Far above what any of these needs; passing it is a failure, not a pace.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a member answers when the node wants to fetch something.
type FetchAnswer = Arc<Mutex<Option<Vec<u8>>>>;

/// A peer without a replica behind it.
pub struct Hostile {
    pub handle: NetworkHandle,
    pub node: AuthorKey,
    events: UnboundedReceiver<Event>,
    follows: BTreeSet<Topic>,
    fetch_answer: FetchAnswer,
}

impl Hostile {
    /// Connects to a node.
    pub async fn connect(seed: [u8; 32], address: &str) -> Self {
        let (sender, events) = unbounded_channel();
        let config = NetworkConfig::new(Zeroizing::new(seed));
        let fetch_answer = FetchAnswer::default();
        let (answers, own) = (fetch_answer.clone(), Arc::new(OnceLock::<NetworkHandle>::new()));
        let deliver = {
            let own = own.clone();
            move |event| {
                match (event, own.get()) {
                    (Event::Request { peer, id, body }, Some(handle)) => {
                        let command = Command::Respond { peer, id, body: answer(&body, &answers) };
                        // The node may be gone already.
                        let _ = handle.send(command);
                    }
                    // The test that no longer reads has ended.
                    (event, _) => drop(sender.send(event)),
                }
                Ok(())
            }
        };
        let handle = start(&Handle::current(), &config, &mut Registry::default(), deliver).expect("starts");
        own.set(handle.clone()).expect("set once");
        let node = AuthorKey([0; 32]);
        let mut peer = Self { handle, node, events, follows: BTreeSet::new(), fetch_answer };
        peer.send(Command::Dial { peer: None, addresses: vec![address.to_owned()] });
        peer.node = peer
            .wait(|event| match event {
                Event::PeerUp { peer, .. } => Some(peer),
                _ => None,
            })
            .await;
        peer
    }

    pub fn send(&self, command: Command) {
        self.handle.send(command).expect("the network takes the command");
    }

    pub fn ask(&self, body: Vec<u8>) {
        self.send(Command::Request { peer: self.node, id: 1, body });
    }

    /// Waits until a question is answered, or will not be.
    pub async fn answered(&mut self) {
        self.wait(|event| matches!(event, Event::Response { .. }).then_some(())).await;
    }

    /// Gossips to the node, once it is known to listen.
    pub async fn gossip(&mut self, topic: Topic, payload: Vec<u8>) {
        while !self.follows.contains(&topic) {
            self.wait(|event| matches!(event, Event::Follows { .. }).then_some(())).await;
        }
        self.send(Command::Publish { topic, payload });
    }

    /// The topic of the one space that the node has: it tells whoever connects what it follows.
    pub async fn topic(&mut self) -> Topic {
        while self.follows.is_empty() {
            self.wait(|event| matches!(event, Event::Follows { .. }).then_some(())).await;
        }
        *self.follows.first().expect("one at least")
    }

    pub async fn wait<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Event::Follows { topic, .. } = &event {
                    self.follows.insert(*topic);
                }
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, found).await.expect("it happens in time")
    }
}

/// What a peer answers that has nothing to say but what a test gave it.
fn answer(question: &[u8], fetch_answer: &FetchAnswer) -> Vec<u8> {
    let nothing = || Response::Deltas { incarnations: vec![], deltas: vec![], more: false };
    let none = || Response::Statements { statements: vec![], lacking: vec![], more: false, tips: vec![] };
    let answer = match decode_message::<Request>(question) {
        Ok(Request::Fetch { .. }) => {
            let given = fetch_answer.lock().expect("nobody panics here").take();
            return given.unwrap_or_else(|| encode_message(&nothing()));
        }
        Ok(Request::Hello(_)) => Response::Hello(vec![]),
        Ok(Request::Statements { .. }) => none(),
        Ok(_) => Response::Done,
        Err(error) => panic!("the node asks what cannot be read: {error}"),
    };
    encode_message(&answer)
}

/// Where a node listens.
pub async fn address(node: &Client) -> String {
    node.status().await.expect("a status").listen.first().expect("it listens").clone()
}

/// A member of the space, admitted as everybody is, that means ill.
pub struct Member {
    pub peer: Hostile,
    pub rogue: Rogue,
    /// The charter as the witness gave it.
    pub statements: Vec<ByteVec>,
}

impl Member {
    /// Joins the space `shop` of a node by its ticket; each number is another member.
    pub async fn join(node: &Client, name: &str, number: u8, role: Role) -> Self {
        let seed = [number; 32];
        let invite = CreateInvite { role, prefix: None, uses: None, expires_in_s: None };
        let ticket = node.invite("shop", &invite).await.expect("an invite").ticket;
        let ticket = Ticket::parse(&ticket).expect("a ticket");
        let identity = Identity::from_seed(&seed);
        let mut peer = Hostile::connect(seed, &address(node).await).await;
        let name = Label::new(name).expect("a label");
        let request = JoinRequest::new(&ticket, &identity, name);
        peer.ask(encode_message(&Request::Join(codec::encode(&request).into())));
        let answer = peer
            .wait(|event| match event {
                Event::Response { result, .. } => Some(result.expect("an answer")),
                _ => None,
            })
            .await;
        let statements = match decode_message(&answer).expect("readable") {
            Response::Joined(statements) => statements,
            other => panic!("not witnessed: {other:?}"),
        };
        let known = statements.iter().map(|bytes| VerifiedStatement::from_bytes(bytes).expect("signed"));
        let own = |statement: &VerifiedStatement| matches!(&statement.body, StatementBody::Join(join) if join.member == identity.key());
        let tips = known.filter(own).map(|statement| statement.id()).collect();
        let space = ticket.genesis.space_id();
        let rogue = Rogue::new(identity, space, ticket.epoch_key.clone(), number, tips);
        Self { peer, rogue, statements }
    }

    /// Has the node fetch from this member, which answers with `answer`.
    pub fn answer_a_fetch(&self, documents: &[&str], answer: Vec<u8>) {
        *self.peer.fetch_answer.lock().expect("nobody panics here") = Some(answer);
        let item = |name: &&str| OfferedItem {
            key: ItemKey::of(&name.parse().expect("a name"), self.rogue.actor()),
            seq: 9,
            hash: [1; 8],
        };
        let offer = Request::Offer { space: self.rogue.space, items: documents.iter().map(item).collect() };
        self.peer.ask(encode_message(&offer));
    }

    pub async fn leave(self) {
        self.peer.handle.shutdown().await;
    }
}
