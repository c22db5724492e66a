//! Bytes to and from each connected peer.
//!
//! Promises: what protocols send and receive over a connection is counted under the key that its other end
//! proved, before encryption and without what the transports add, as `libp2p_bandwidth_bytes` counts. The
//! counts of a peer last as long as its connections, so there are never more than connections. Leaves out
//! whoever is not connected any more: the sums over all peers stand in the figures.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use starling_crdt::id::AuthorKey;

use super::peer;

/// Bytes over the connections that stand with one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerBytes {
    /// From the peer.
    pub received: u64,
    /// To the peer.
    pub sent: u64,
}

/// The live counts behind [`PeerBytes`].
#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counts {
    fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn send(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Bytes by connected peer. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct TrafficByPeer(Arc<Mutex<BTreeMap<AuthorKey, Weak<Counts>>>>);

impl TrafficByPeer {
    /// What passed between this node and `peer`; nothing while no connection stands.
    pub fn read(&self, peer: AuthorKey) -> Option<PeerBytes> {
        // Entries are single inserts, so a poisoned lock is still good.
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.get(&peer)?.upgrade()?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(PeerBytes { received: read(&counts.received), sent: read(&counts.sent) })
    }

    /// A connection with `peer`, counted from now on together with others that stand with it. Whoever has
    /// no author key is refused later, and counted nowhere.
    pub(super) fn counted<M: StreamMuxer>(&self, peer: PeerId, inner: M) -> CountedMuxer<M> {
        let counts = peer::author_key(&peer).map(|author| self.counts(author)).unwrap_or_default();
        CountedMuxer { inner, counts }
    }

    fn counts(&self, author: AuthorKey) -> Arc<Counts> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = all.get(&author).and_then(Weak::upgrade) {
            return counts;
        }
        all.retain(|_, counts| counts.strong_count() > 0);
        let counts = Arc::default();
        all.insert(author, Arc::downgrade(&counts));
        counts
    }
}

/// A connection whose streams are counted.
pub(super) struct CountedMuxer<M> {
    inner: M,
    counts: Arc<Counts>,
}

impl<M: Unpin> CountedMuxer<M> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut M> {
        Pin::new(&mut self.get_mut().inner)
    }
}

impl<M> StreamMuxer for CountedMuxer<M>
where
    M: StreamMuxer + Unpin,
    M::Substream: Unpin,
{
    type Substream = CountedStream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let counts = self.counts.clone();
        let inner = ready!(self.inner().poll_inbound(cx))?;
        Poll::Ready(Ok(CountedStream { inner, counts }))
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let counts = self.counts.clone();
        let inner = ready!(self.inner().poll_outbound(cx))?;
        Poll::Ready(Ok(CountedStream { inner, counts }))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner().poll_close(cx)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.inner().poll(cx)
    }
}

/// One stream of such a connection.
pub(super) struct CountedStream<S> {
    inner: S,
    counts: Arc<Counts>,
}

impl<S: Unpin> CountedStream<S> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut S> {
        Pin::new(&mut self.get_mut().inner)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.as_mut().inner().poll_read(cx, to))?;
        self.counts.receive(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.as_mut().inner().poll_read_vectored(cx, to))?;
        self.counts.receive(bytes);
        Poll::Ready(Ok(bytes))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.as_mut().inner().poll_write(cx, from))?;
        self.counts.send(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.as_mut().inner().poll_write_vectored(cx, from))?;
        self.counts.send(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> AuthorKey {
        AuthorKey([seed; 32])
    }

    #[test]
    fn counts_of_a_peer_are_shared_by_its_connections_and_go_with_the_last() {
        let traffic = TrafficByPeer::default();
        let (one, two) = (traffic.counts(key(1)), traffic.counts(key(1)));
        one.receive(3);
        two.receive(4);
        two.send(5);
        assert_eq!(traffic.read(key(1)), Some(PeerBytes { received: 7, sent: 5 }));
        drop(one);
        assert!(traffic.read(key(1)).is_some());
        drop(two);
        assert_eq!(traffic.read(key(1)), None);
        let _next = traffic.counts(key(1));
        assert_eq!(traffic.read(key(1)), Some(PeerBytes::default()), "the next begins anew");
    }

    #[test]
    fn no_more_is_kept_than_connections_stand() {
        let traffic = TrafficByPeer::default();
        for seed in 0..100 {
            drop(traffic.counts(key(seed)));
        }
        let _held = traffic.counts(key(200));
        assert_eq!(traffic.0.lock().expect("nobody panics").len(), 1);
    }
}
