//! How bytes reach another node: TCP with Noise and Yamux, or QUIC, both behind host names.
//!
//! Promises: whoever is at the other end has proved its key; every byte is counted. Leaves out:
//! whom to talk to.

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::metrics::BandwidthTransport;
use libp2p::{PeerId, Transport, noise, quic, tcp, yamux};

use super::NetworkError;
use super::limits::{DIAL_TIMEOUT, QUIC_CONNECTION_BYTES_MAX, QUIC_STREAM_BYTES_MAX, STREAMS_MAX};
use super::names::{Named, by_the_system};
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
    let named = Named::new(links(keypair)?, by_the_system());
    let traffic = traffic.clone();
    let counted = BandwidthTransport::new(named, registry)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(traffic.counted(peer, muxer))));
    Ok(TransportTimeout::new(counted, DIAL_TIMEOUT).boxed())
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
