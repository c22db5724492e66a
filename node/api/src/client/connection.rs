//! Connections to one node: opened when needed, kept for the next request, bounded in number.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::mpsc,
};

use super::batch::LINES_WAITING_MAX;
use super::error::{Attempt, ClientError};
use crate::NodeAddress;

/// Idle connections kept; more are closed after their answer. One is used by one caller at a time.
pub(super) const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long opening a connection may take before the address counts as silent.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) type Connection = SendRequest<RequestBody>;

/// The body of a request: whole, or lines that are written as they come.
pub(super) enum RequestBody {
    Whole(Option<Bytes>),
    Lines(mpsc::Receiver<Bytes>),
}

impl RequestBody {
    pub(super) const fn empty() -> Self {
        Self::Whole(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines(lines) => {
                let mut waiting = Vec::new();
                lines.poll_recv_many(context, &mut waiting, LINES_WAITING_MAX).map(|_| match waiting.len() {
                    0 => None,
                    1 => waiting.pop().map(|line| Ok(Frame::data(line))),
                    _ => Some(Ok(Frame::data(waiting.concat().into()))),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}

/// The connections of one client.
pub(super) struct Connections {
    address: NodeAddress,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(super) const fn new(address: NodeAddress) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    pub(super) const fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Sends over an idle connection, or over a new one. A request that an idle connection gave back
    /// unsent, because the node had closed it meanwhile, goes over a new one.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        while let Some(mut connection) = self.take_idle() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.lost(error.into_error())),
                },
            }
        }
        let mut connection = self.open().await?;
        match connection.send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(source) => Err(self.lost(source)),
        }
    }

    pub(super) async fn open(&self) -> Result<Connection, ClientError> {
        let opened = tokio::time::timeout(CONNECT_TIME_MAX, open(&self.address)).await;
        opened
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| ClientError::Unreachable(vec![Attempt { address: self.address.clone(), error }]))
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.is_closed() && idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    pub(super) fn lost(&self, source: hyper::Error) -> ClientError {
        ClientError::Lost { address: self.address.clone(), source }
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

async fn open(address: &NodeAddress) -> io::Result<Connection> {
    match address {
        NodeAddress::Unix(path) => shake_hands(UnixStream::connect(path).await?).await,
        NodeAddress::Http { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            shake_hands(stream).await
        }
    }
}

async fn shake_hands<S>(stream: S) -> io::Result<Connection>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // The task ends with the connection, and that ends when its sender is dropped; what went wrong
    // is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}
