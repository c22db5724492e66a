//! Whether addresses answer, asked from this host.
//!
//! Promises: every try has an end; what is told says at which step it failed: name, connection, or what
//! answers. Leaves out QUIC, which tells nothing to strangers, and keys, which a node checks when it dials.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use starling_api::peer::{Direction, PeerList};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::check::{Check, MDNS, PORTS, SEED, State};

/// Addresses tried at once.
const TRIES_AT_ONCE: usize = 8;

/// Own addresses tried.
const LISTENING_MAX: usize = 8;

/// What both sides of a libp2p connection say first: the multistream-select header, with its length.
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

/// The group of multicast DNS, RFC 6762.
const MDNS_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_PORT: u16 = 5353;

/// A query for the kinds of services there are, RFC 6763 section 9.
const MDNS_QUERY: &[u8] =
    b"\0\0\0\0\0\x01\0\0\0\0\0\0\x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\0\x01";

/// An address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whose it is, where known.
    pub(crate) name: Option<String>,
    /// The multiaddr without its `/p2p` part.
    pub(crate) address: String,
    /// The PeerId that should answer.
    pub(crate) peer_id: Option<String>,
}

/// Host, transport and port of a multiaddr.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    host: String,
    port: u16,
    tcp: bool,
}

impl Spot {
    fn read(address: &str) -> Option<Self> {
        let mut parts = address.strip_prefix('/')?.split('/');
        let (kind, host) = (parts.next()?, parts.next()?);
        let (transport, port) = (parts.next()?, parts.next()?.parse().ok()?);
        let known = ["ip4", "ip6", "dns", "dns4", "dns6"].contains(&kind);
        known.then(|| Self { host: host.to_owned(), port, tcp: transport == "tcp" })
    }

    fn ip(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl Target {
    /// The same, as that member's.
    pub(crate) fn of(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// True when a stranger can try it.
    pub(crate) fn is_tcp(&self) -> bool {
        Spot::read(&self.address).is_some_and(|spot| spot.tcp)
    }

    fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{} at {}", name, self.address),
            None => self.address.clone(),
        }
    }
}

/// How a try ended.
#[derive(Debug)]
enum Answer {
    /// A node answers at one of these.
    Node(Vec<SocketAddr>),
    /// Something else answers.
    Stranger,
    /// The name has no address.
    Unresolved(String),
    /// Nobody listens.
    Refused,
    /// Nothing came back.
    TimedOut,
    /// Anything else.
    Failed(io::Error),
}

/// Tries addresses, each within a time.
pub(crate) struct Prober {
    time_max: Duration,
}

impl Prober {
    pub(crate) const fn new(time_max: Duration) -> Self {
        Self { time_max }
    }

    /// One check for each address, in order. `silent` is what an address that does not answer means: less
    /// while others are connected.
    pub(crate) async fn all(&self, targets: Vec<Target>, peers: &PeerList, silent: State) -> Vec<Check> {
        let mut seen = BTreeSet::new();
        // The TCP twin of a QUIC address tells about the host.
        let targets: Vec<_> =
            targets.into_iter().filter(|target| seen.insert(target.address.clone())).collect();
        let twins: BTreeSet<_> = targets.iter().filter(|target| target.is_tcp()).map(host).collect();
        let tried = targets.iter().filter(|target| target.is_tcp() || !twins.contains(&host(target)));
        let checks = tried.map(|target| self.seed(target, peers, silent));
        stream::iter(checks).buffered(TRIES_AT_ONCE).collect().await
    }

    async fn seed(&self, target: &Target, peers: &PeerList, silent: State) -> Check {
        if let Some(check) = connected(target, peers) {
            return check;
        }
        let shown = target.shown();
        let Some(spot) = Spot::read(&target.address).filter(|spot| spot.tcp) else {
            return SEED.warning(format!("{shown}: not connected, and QUIC cannot be tried from here"));
        };
        let why = match self.reach(&spot).await {
            Answer::Node(sockets) => return answers(target, &sockets, peers),
            Answer::Stranger => {
                "something answers there that is no node: another program has that port".to_owned()
            }
            Answer::Unresolved(why) => format!("the name does not resolve: {why}"),
            Answer::Refused => "refused: the host is there, but no node listens at that port".to_owned(),
            Answer::TimedOut => format!(
                "no answer within {:?}: the host is down, or a firewall drops what is sent there",
                self.time_max
            ),
            Answer::Failed(error) => error.to_string(),
        };
        SEED.found(silent, format!("{shown}: {why}"))
    }

    /// Whether the node's own TCP addresses accept connections.
    pub(crate) async fn listening(&self, listen: &[String]) -> Check {
        if listen.is_empty() {
            return PORTS.failed("the node listens nowhere: its ports are taken, or not its to take");
        }
        let spots: Vec<_> = listen.iter().filter_map(|text| Some((text, Spot::read(text)?))).collect();
        let tcp: Vec<_> = spots.into_iter().filter(|(_, spot)| spot.tcp).take(LISTENING_MAX).collect();
        if tcp.is_empty() {
            return PORTS.ok("it listens by QUIC alone, which cannot be tried from here");
        }
        for (text, spot) in &tcp {
            match self.reach(spot).await {
                Answer::Node(_) => {}
                other => return PORTS.failed(format!("{text} is not served: {}", told(&other))),
            }
        }
        PORTS.ok(format!("{} of {} TCP addresses answer here", tcp.len(), tcp.len()))
    }

    async fn reach(&self, spot: &Spot) -> Answer {
        let all = async {
            let found = lookup_host((spot.host.as_str(), spot.port)).await;
            let sockets: Vec<SocketAddr> = match found {
                Ok(found) => found.collect(),
                Err(error) => return Answer::Unresolved(error.to_string()),
            };
            let mut last = Answer::Unresolved("it has no address".to_owned());
            for socket in &sockets {
                last = match greet(*socket).await {
                    Ok(true) => return Answer::Node(sockets),
                    Ok(false) => Answer::Stranger,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused,
                    Err(error) => Answer::Failed(error),
                };
            }
            last
        };
        timeout(self.time_max, all).await.unwrap_or(Answer::TimedOut)
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Node(_) => "a node answers".to_owned(),
        Answer::Stranger => "another program answers".to_owned(),
        Answer::Unresolved(why) => why.clone(),
        Answer::Refused => "refused".to_owned(),
        Answer::TimedOut => "no answer in time".to_owned(),
        Answer::Failed(error) => error.to_string(),
    }
}

/// Whether who listens speaks as every libp2p program does.
async fn greet(socket: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(socket).await?;
    if stream.write_all(HEADER).await.is_err() {
        return Ok(false);
    }
    let mut answer = [0; HEADER.len()];
    Ok(stream.read_exact(&mut answer).await.is_ok() && answer == *HEADER)
}

fn host(target: &Target) -> Option<(String, u16)> {
    Spot::read(&target.address).map(|spot| (spot.host, spot.port))
}

/// What the node's own connections say about an address, by its PeerId.
fn connected(target: &Target, peers: &PeerList) -> Option<Check> {
    let wanted = target.peer_id.as_deref()?;
    let peer = peers.items.iter().find(|peer| peer.peer_id == wanted)?;
    let shown = target.shown();
    if peer.blocked.is_some() {
        let command = format!("starling peers unblock {}", peer.peer_id);
        return Some(SEED.warning(format!("{shown}: this node blocks it")).mended_by(command));
    }
    peer.connected.then(|| SEED.ok(format!("{shown}: connected")))
}

/// A node answers; the connections tell whether it is the right one.
fn answers(target: &Target, sockets: &[SocketAddr], peers: &PeerList) -> Check {
    let shown = target.shown();
    let there = peers.items.iter().find(|peer| {
        let spot = peer.address.as_deref().and_then(Spot::read).and_then(|spot| spot.ip());
        let dialled = peer.connected && peer.direction == Some(Direction::Outbound);
        dialled && spot.is_some_and(|spot| sockets.contains(&spot))
    });
    match (there, &target.peer_id) {
        (Some(peer), Some(wanted)) if peer.peer_id != *wanted => SEED
            .failed(format!("{shown}: wrong key: {} answers there, not {wanted}", peer.peer_id))
            .mended_by("correct the address, or make a new ticket with starling invite"),
        (Some(_), _) => SEED.ok(format!("{shown}: connected")),
        (None, Some(wanted)) => SEED.ok(format!(
            "{shown}: a node answers; no connection with {wanted} is open, because it has another key, is not \
             needed now, or is tried again later"
        )),
        (None, None) => SEED.ok(format!("{shown}: a node answers")),
    }
}

/// Whether a stopped node could listen there.
pub(crate) fn free(address: &str) -> Check {
    let Some(socket) = Spot::read(address).and_then(|spot| spot.ip().map(|socket| (socket, spot.tcp))) else {
        return PORTS.failed(format!("{address} names no IP address and port"));
    };
    let bound = match socket {
        (socket, true) => TcpListener::bind(socket).map(drop),
        (socket, false) => UdpSocket::bind(socket).map(drop),
    };
    match bound {
        Ok(()) => PORTS.ok(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            PORTS.failed(format!("{address} is taken by another program"))
        }
        Err(error) => PORTS.failed(format!("{address} cannot be listened at: {error}")),
    }
}

/// Whether multicast works here.
pub(crate) fn mdns() -> Check {
    let sent = || -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&MDNS_GROUP, &Ipv4Addr::UNSPECIFIED)?;
        socket.send_to(MDNS_QUERY, (MDNS_GROUP, MDNS_PORT)).map(drop)
    };
    match sent() {
        Ok(()) => {
            MDNS.ok("multicast can be sent here; whether the network carries it shows in `starling peers`")
        }
        Err(error) => MDNS
            .warning(format!(
                "no multicast here ({error}), so nodes on this network are not found by themselves"
            ))
            .mended_by("name them: starling peers add HOST, or join in starling.toml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_api::peer::Peer;
    use tokio::runtime::Builder;

    fn target(address: &str, peer_id: Option<&str>) -> Target {
        Target { name: None, address: address.to_owned(), peer_id: peer_id.map(str::to_owned) }
    }

    fn one(target: Target, peers: &PeerList, silent: State) -> Check {
        let prober = Prober::new(Duration::from_millis(500));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut checks = runtime.block_on(prober.all(vec![target], peers, silent));
        assert_eq!(checks.len(), 1, "{checks:?}");
        checks.remove(0)
    }

    fn peers(peer_id: &str, address: &str) -> PeerList {
        let json = serde_json::json!({
            "key": "k", "peer_id": peer_id, "connected": true, "address": address, "direction": "outbound"
        });
        PeerList { items: vec![serde_json::from_value::<Peer>(json).unwrap()] }
    }

    #[test]
    fn a_port_where_nobody_listens_is_refused_and_a_silent_one_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        // The kernel takes the connection, and nobody ever says a word.
        let silent = one(target(&address, None), &PeerList::default(), State::Failed);
        assert!(silent.state == State::Failed && silent.message.contains("no answer within"), "{silent:?}");
        drop(listener);
        let refused = one(target(&address, None), &PeerList::default(), State::Failed);
        assert!(refused.state == State::Failed && refused.message.contains("refused"), "{refused:?}");
        let beside = one(target(&address, None), &PeerList::default(), State::Warning);
        assert_eq!(beside.state, State::Warning, "others are connected");
    }

    #[test]
    fn another_program_is_told_from_a_node() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], HEADER, HEADER] {
                let (mut stream, _) = listener.accept().unwrap();
                // What is left unread would end the connection before the answer is read.
                io::Read::read_exact(&mut stream, &mut [0; HEADER.len()]).unwrap();
                io::Write::write_all(&mut stream, answer).unwrap();
            }
        });
        let stranger = one(target(&address, None), &PeerList::default(), State::Failed);
        assert!(stranger.message.contains("another program"), "{stranger:?}");
        let node = one(target(&address, None), &PeerList::default(), State::Failed);
        assert_eq!(node.state, State::Ok, "{node:?}");
        let wrong = one(target(&address, Some("X")), &peers("Y", &address), State::Failed);
        assert!(wrong.state == State::Failed && wrong.message.contains("wrong key"), "{wrong:?}");
        server.join().unwrap();
    }

    #[test]
    fn a_name_without_address_is_said_to_be_one() {
        let check = one(target("/dns/nowhere.invalid/tcp/4710", None), &PeerList::default(), State::Failed);
        assert!(
            check.message.contains("does not resolve") || check.message.contains("no answer within"),
            "{check:?}"
        );
    }

    #[test]
    fn what_the_node_knows_needs_no_try() {
        let address = "/ip4/192.0.2.1/tcp/4710";
        assert_eq!(
            one(target(address, Some("X")), &peers("X", "/ip4/10.0.0.1/tcp/1"), State::Failed).state,
            State::Ok
        );
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        assert!(free(&address).message.contains("taken"), "{:?}", free(&address));
        drop(listener);
        assert_eq!(free(&address).state, State::Ok);
        assert_eq!(free("/ip4/127.0.0.1/udp/0/quic-v1").state, State::Ok);
    }
}
