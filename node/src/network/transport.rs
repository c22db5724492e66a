//! How bytes reach another node: TCP with Noise and Yamux, or QUIC, both behind DNS.
//!
//! Promises: whoever is at the other end has proved its key; every byte is counted. Leaves out:
//! whom to talk to.

use std::io;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::metrics::BandwidthTransport;
use libp2p::{PeerId, Transport, dns, noise, quic, tcp, yamux};

use super::NetworkError;
use super::limits::{DIAL_TIMEOUT, QUIC_CONNECTION_BYTES_MAX, QUIC_STREAM_BYTES_MAX, STREAMS_MAX};
use super::traffic::TrafficByPeer;
use crate::metrics::Registry;

type Connection = (PeerId, StreamMuxerBox);

/// The transport of a node with this key; its bytes are counted in `registry` as
/// `libp2p_bandwidth_bytes`, by direction and protocols, and in `traffic` by peer.
pub(super) fn transport(
    keypair: &Keypair,
    registry: &mut Registry,
    traffic: &TrafficByPeer,
) -> Result<Boxed<Connection>, NetworkError> {
    let system = dns::tokio::Transport::system(links(keypair)?);
    let named = match system {
        Ok(named) => named,
        Err(error) => without_name_servers(links(keypair)?, &error),
    };
    let traffic = traffic.clone();
    let counted = BandwidthTransport::new(named, registry)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(traffic.counted(peer, muxer))));
    Ok(TransportTimeout::new(counted, DIAL_TIMEOUT).boxed())
}

/// A host on an island often has no name server at all; it still reaches others by IP address and
/// by the names in its hosts file.
fn without_name_servers(
    links: Boxed<Connection>,
    error: &io::Error,
) -> dns::tokio::Transport<Boxed<Connection>> {
    tracing::warn!(event = "no_name_server", %error, "no name server is configured: only IP addresses and the hosts file work");
    let config = dns::ResolverConfig::default();
    dns::tokio::Transport::custom(links, config, dns::ResolverOpts::default())
}

fn links(keypair: &Keypair) -> Result<Boxed<Connection>, NetworkError> {
    let noise = noise::Config::new(keypair)
        .map_err(|error| NetworkError::Build { part: "noise", reason: error.to_string() })?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS_MAX);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut config = quic::Config::new(keypair);
    config.max_concurrent_stream_limit = STREAMS_MAX as u32;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    let quic = quic::tokio::Transport::new(config).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(OrTransport::new(quic, tcp).map(|either, _| either.into_inner()).boxed())
}
