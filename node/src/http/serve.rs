//! From listeners to requests: connections are bounded in number and patience, and end with the node.

use std::{io, pin::pin, sync::Arc};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, HEADER_TIME_MAX, STOP_TIME_MAX};
use crate::shutdown::Shutdown;

/// Connections of all listeners together.
#[derive(Clone)]
pub(super) struct Connections(Arc<Semaphore>);

impl Connections {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }

    /// Waits for room: until there is some, the kernel's backlog holds whoever comes.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.ok()
    }
}

/// One kind of listener.
pub(super) trait Listener {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Stream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Stream> {
        let (stream, _) = Self::accept(self).await?;
        // An answer is one write; waiting to fill a packet only delays it.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Serves until somebody asks to stop, then gives requests in progress a little time.
pub(super) async fn serve<L: Listener>(
    listener: &L,
    router: Router,
    connections: Connections,
    mut shutdown: Shutdown,
) {
    let mut tasks = JoinSet::new();
    loop {
        let next = async {
            let room = connections.room().await;
            (listener.accept().await, room)
        };
        let (accepted, room) = tokio::select! {
            () = shutdown.requested() => break,
            next = next => next,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
        };
        match accepted {
            Ok(stream) => {
                let connection = connection(stream, router.clone(), shutdown.clone());
                tasks.spawn(async move {
                    connection.await;
                    drop(room);
                });
            }
            Err(error) if is_about_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(event = "api_accept_failed", %error, "cannot accept an API connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(STOP_TIME_MAX, all_ended).await.is_err() {
        tracing::warn!(
            event = "api_connections_cut",
            count = tasks.len(),
            "cut API connections that did not end in time"
        );
    }
}

fn is_about_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

async fn connection<S>(stream: S, router: Router, mut shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        // Clients break connections all the time; it matters to whoever looks for a cause.
        tracing::debug!(event = "api_connection_ended", %error, "an API connection ended early");
    }
}
