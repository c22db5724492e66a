//! What a test has the nodes of a mesh do: requests of their users, and messages of peers that are no replicas.

use std::time::Duration;

use starling_crdt::address::Address;
use starling_crdt::charter::{Label, Role, Ticket};
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::exchange::Request;
use starling_crdt::id::{AuthorKey, DocumentName, SpaceId, Topic};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Input, LocalRequest, MessageToken, Refusal, Reply, RequestTicket, Write, Written,
};
use starling_crdt::seal::EpochKey;

use super::{Answering, EPOCH, Mesh};

impl Mesh {
    /// Hands a node one input and gives what it did about it.
    pub fn give(&mut self, index: usize, input: Input) -> Vec<String> {
        let before = self.nodes[index].effects.len();
        self.nodes[index].inbox.push(input);
        self.step(index);
        self.nodes[index].effects[before..].to_vec()
    }

    /// Puts an input into a node's inbox for its next step.
    pub fn send_now(&mut self, index: usize, input: Input) {
        self.nodes[index].inbox.push(input);
    }

    /// Hands a node a question of a peer, read and checked as the shell does it.
    pub fn ask_node(&mut self, to: usize, peer: AuthorKey, id: u64, request: Request) -> Vec<String> {
        let request = Ok(self.nodes[to].replica.screener().screen(request));
        self.give(to, Input::Asked { peer, id, request })
    }

    /// Hands a node a gossip payload from `from`; it spreads further if the node accepts it.
    pub fn gossip(&mut self, to: usize, from: AuthorKey, topic: Topic, payload: &[u8]) -> Vec<String> {
        let (space, frame) = self.nodes[to].replica.screener().screen_gossip(topic, payload);
        self.sequence += 1;
        let token = MessageToken(self.sequence);
        self.held.insert((to, token.0), (topic, payload.to_vec(), usize::MAX));
        self.give(to, Input::Gossip { from, token, space, frame })
    }

    /// Hands a node gossip payloads in one step, as if from `from`.
    pub fn gossip_batch(&mut self, to: usize, from: AuthorKey, payloads: &[(Topic, Vec<u8>)]) {
        for (topic, payload) in payloads {
            let (space, frame) = self.nodes[to].replica.screener().screen_gossip(*topic, payload);
            self.sequence += 1;
            let token = MessageToken(self.sequence);
            self.nodes[to].inbox.push(Input::Gossip { from, token, space, frame });
        }
        self.step(to);
    }

    /// Lets a peer that is no replica be connected with a node.
    pub fn rogue_up(&mut self, to: usize, peer: AuthorKey, answers: Answering) {
        self.rogues.insert(peer, answers);
        let address = Address::new("mem").unwrap();
        self.give(to, Input::PeerUp { peer, address, inbound: true });
    }

    /// Orphans a node holds.
    pub fn orphans(&mut self, index: usize) -> usize {
        match self.request(index, LocalRequest::Status) {
            Ok(Reply::Status(status)) => status.orphans,
            other => panic!("{other:?}"),
        }
    }

    /// Asks a node and gives its reply, in one step.
    pub fn request(&mut self, index: usize, request: LocalRequest) -> Result<Reply, Refusal> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.nodes[index].inbox.push(Input::Local { ticket: RequestTicket(ticket), request });
        self.step(index);
        self.nodes[index].replies.remove(&ticket).expect("answered in the same step")
    }

    /// Asks a node several things in one step.
    pub fn batch(&mut self, index: usize, requests: Vec<LocalRequest>) -> Vec<Result<Reply, Refusal>> {
        let first = self.tickets + 1;
        for request in requests {
            self.tickets += 1;
            let ticket = RequestTicket(self.tickets);
            self.nodes[index].inbox.push(Input::Local { ticket, request });
        }
        self.step(index);
        let replies = &mut self.nodes[index].replies;
        (first..=self.tickets).map(|ticket| replies.remove(&ticket).expect("answered")).collect()
    }

    /// Asks a node whose reply may take until `time` has passed.
    pub fn request_later(
        &mut self,
        index: usize,
        request: LocalRequest,
        time: Duration,
    ) -> Result<Reply, Refusal> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.nodes[index].inbox.push(Input::Local { ticket: RequestTicket(ticket), request });
        self.step(index);
        self.run(time);
        self.nodes[index].replies.remove(&ticket).expect("answered in time")
    }

    pub fn create_space(&mut self, index: usize) -> SpaceId {
        let epoch_key = EpochKey::from_bytes(EPOCH);
        let name = Label::new("test").unwrap();
        let nonce = [u8::try_from(index).unwrap(); 16];
        match self.request(index, LocalRequest::CreateSpace { name, nonce, epoch_key }) {
            Ok(Reply::Space(space)) => space,
            other => panic!("{other:?}"),
        }
    }

    pub fn invite(&mut self, index: usize, space: SpaceId, role: Role) -> Ticket {
        self.tickets += 1;
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.tickets.to_be_bytes());
        let secret = Identity::from_seed(&seed);
        let request =
            LocalRequest::Invite { space, role, prefix: None, uses: None, expires_in: None, secret };
        match self.request(index, request) {
            Ok(Reply::Ticket(ticket)) => *ticket,
            other => panic!("{other:?}"),
        }
    }

    /// A space of all nodes, founded by the first, everyone a writer, fully connected.
    pub fn shared_space(&mut self) -> SpaceId {
        let space = self.create_space(0);
        let ticket = self.invite(0, space, Role::Writer);
        self.connect_all();
        for index in 1..self.nodes.len() {
            self.request(index, LocalRequest::Join { ticket: Box::new(ticket.clone()) }).unwrap();
        }
        self.run(Duration::from_secs(10));
        space
    }

    pub fn write(
        &mut self,
        index: usize,
        space: SpaceId,
        name: &str,
        edit: Edit,
    ) -> Result<Written, Refusal> {
        let write = Write {
            space,
            document: DocumentName::new(name).unwrap(),
            edit,
            condition: Condition::default(),
            request_id: None,
        };
        match self.request(index, LocalRequest::Write(Box::new(write)))? {
            Reply::Written(written) => Ok(written),
            other => panic!("{other:?}"),
        }
    }

    pub fn put(&mut self, index: usize, space: SpaceId, name: &str, json: &str) -> Written {
        let value = Json::parse(json).unwrap();
        self.write(index, space, name, Edit::Put { value, base: None }).unwrap()
    }

    pub fn set(&mut self, index: usize, space: SpaceId, name: &str, pointer: &str, json: &str) -> Written {
        let edit =
            Edit::Set { pointer: pointer.parse::<Pointer>().unwrap(), value: Json::parse(json).unwrap() };
        self.write(index, space, name, edit).unwrap()
    }

    /// Lets a node say farewell in all its spaces, as one that stops on purpose; what it says arrives.
    pub fn farewell(&mut self, index: usize) {
        let at = self.clock();
        let effects = self.nodes[index].replica.leave(at).expect("its store works");
        effects.into_iter().for_each(|effect| self.effect(index, effect));
        self.run(Duration::from_millis(20));
    }
}
