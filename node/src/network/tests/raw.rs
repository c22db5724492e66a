//! A peer that speaks libp2p and sends any bytes as an exchange frame. Knows nothing of the node's code,
//! so that tests of whole processes use it as well.

#![allow(dead_code, reason = "each test uses the part it needs")]

use std::io;
use std::time::Duration;

use futures::prelude::*;
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};

/// The protocol of exchange streams.
const EXCHANGE: StreamProtocol = StreamProtocol::new("/starling/exchange/0");

/// Sends whatever bytes it is given, and reads nothing.
#[derive(Clone, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(Vec::new())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await
    }
}

#[derive(NetworkBehaviour)]
pub struct Raw {
    pub exchange: request_response::Behaviour<RawCodec>,
    pub identify: identify::Behaviour,
}

/// A peer that says it speaks `protocol`. To be made inside a runtime.
pub fn raw(protocol: &'static str) -> Swarm<Raw> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("noise takes the key")
        .with_behaviour(|key| Raw {
            exchange: request_response::Behaviour::new(
                [(EXCHANGE, ProtocolSupport::Full)],
                request_response::Config::default(),
            ),
            identify: identify::Behaviour::new(identify::Config::new(protocol.to_owned(), key.public())),
        })
        .expect("the behaviour is fine")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// Connects to a node, asks it with `frame`, whatever that is, and lives until it is dropped.
pub async fn ask(address: String, frame: Vec<u8>) {
    let mut swarm = raw("/starling/0");
    swarm.dial(address.parse::<Multiaddr>().expect("a multiaddr")).expect("dials");
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            swarm.behaviour_mut().exchange.send_request(&peer_id, frame.clone());
        }
    }
}
