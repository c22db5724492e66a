//! How one exchange message travels: a stream of its own, a length (u32, big endian), the bytes.
//!
//! Promises: a frame longer than the protocol allows is reported, not read; bytes are taken from the
//! node's budget as they arrive, never as announced, so a peer cannot make this node allocate what
//! it does not send. Leaves out: what the bytes mean, and who may ask how often.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::prelude::*;
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use starling_crdt::limits::EXCHANGE_FRAME_BYTES_MAX;

use super::limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// The protocol of exchange streams.
pub(super) const EXCHANGE_PROTOCOL: StreamProtocol = StreamProtocol::new("/starling/exchange/0");

/// How much is read before more of the budget is asked for.
const READ_STEP_BYTES: usize = 64 * 1024;
/// A body up to this size is sent in one piece with its length: one write, one packet.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// What came of one frame.
#[derive(Debug)]
pub(super) enum Frame {
    /// The whole body, and its share of the budget until it is taken out.
    Whole(Vec<u8>, Share),
    /// Its sender announced more bytes than a frame may have.
    Oversized(usize),
    /// This node receives too much at once.
    NoRoom,
}

impl Frame {
    /// A frame to send.
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self::Whole(body, Share::default())
    }
}

/// Bytes that may be held at once, shared by all streams.
#[derive(Debug, Clone)]
struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    budget: Option<Budget>,
    bytes: usize,
}

impl Share {
    fn of(budget: &Budget) -> Self {
        Self { budget: Some(budget.clone()), bytes: 0 }
    }

    /// Takes `more` bytes; false, and nothing taken, when the budget does not have them.
    fn grow(&mut self, more: usize) -> bool {
        let Some(budget) = &self.budget else {
            return true;
        };
        let limit = budget.limit;
        let taken = budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|used| *used <= limit)
        });
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Reads and writes frames; every stream works on a clone, and clones share their budgets.
#[derive(Debug, Clone)]
pub(super) struct FrameCodec {
    requests: Budget,
    responses: Budget,
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self { requests: Budget::new(REQUEST_BYTES_MAX), responses: Budget::new(RESPONSE_BYTES_MAX) }
    }
}

async fn read_frame<T>(budget: &Budget, io: &mut T) -> io::Result<Frame>
where
    T: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > EXCHANGE_FRAME_BYTES_MAX {
        return Ok(Frame::Oversized(length));
    }
    let mut share = Share::of(budget);
    let mut body = Vec::new();
    while body.len() < length {
        let start = body.len();
        let step = (length - start).min(READ_STEP_BYTES);
        if !share.grow(step) {
            return Ok(Frame::NoRoom);
        }
        body.resize(start + step, 0);
        io.read_exact(&mut body[start..]).await?;
    }
    Ok(Frame::Whole(body, share))
}

async fn write_frame<T>(io: &mut T, frame: Frame) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let Frame::Whole(body, _share) = frame else {
        return Err(io::Error::other("only whole frames are sent"));
    };
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes();
    if body.len() <= JOINED_BYTES_MAX {
        return io.write_all(&[&length, body.as_slice()].concat()).await;
    }
    io.write_all(&length).await?;
    io.write_all(&body).await
}

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(&self.requests, io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(&self.responses, io).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, request).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, response).await
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn sent(body: Vec<u8>) -> Vec<u8> {
        let mut wire = Vec::new();
        block_on(write_frame(&mut wire, Frame::new(body))).expect("a Vec takes every byte");
        wire
    }

    fn read(wire: &[u8], limit: usize) -> io::Result<Frame> {
        block_on(read_frame(&Budget::new(limit), &mut &wire[..]))
    }

    #[test]
    fn frames_of_every_size_round_trip() {
        let sizes = [0, 1, JOINED_BYTES_MAX, JOINED_BYTES_MAX + 1, EXCHANGE_FRAME_BYTES_MAX];
        for size in sizes {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let frame = read(&sent(body.clone()), REQUEST_BYTES_MAX).expect("whole");
            assert!(matches!(frame, Frame::Whole(read, _) if read == body), "{size}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_reported_by_its_length_alone() {
        let announced = EXCHANGE_FRAME_BYTES_MAX + 1;
        let wire = u32::try_from(announced).expect("fits").to_be_bytes();
        let frame = read(&wire, REQUEST_BYTES_MAX).expect("reported");
        assert!(matches!(frame, Frame::Oversized(bytes) if bytes == announced));
    }

    #[test]
    fn a_truncated_frame_is_an_error() {
        let wire = sent(vec![7; 100]);
        for length in 0..wire.len() {
            assert!(read(&wire[..length], REQUEST_BYTES_MAX).is_err(), "{length}");
        }
    }

    #[test]
    fn the_budget_bounds_what_is_held_and_is_given_back() {
        let budget = Budget::new(150_000);
        let wire = sent(vec![7; 100_000]);
        let held = block_on(read_frame(&budget, &mut &wire[..])).expect("read");
        assert!(matches!(held, Frame::Whole(..)));
        let second = block_on(read_frame(&budget, &mut &wire[..])).expect("read");
        assert!(matches!(second, Frame::NoRoom));
        drop((held, second));
        let third = block_on(read_frame(&budget, &mut &wire[..])).expect("read");
        assert!(matches!(third, Frame::Whole(..)));
    }
}
