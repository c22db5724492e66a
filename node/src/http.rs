//! The HTTP API, on a Unix socket and, where wanted, on loopback TCP. The only place that knows axum.
//!
//! It promises that every answer that is no success is a problem document with a stable code, that
//! nothing a client sends makes the process panic or grow without bound, and that requests in progress
//! when the node stops are given a little time. It leaves out what requests mean, which the core decides.

mod answer;
mod batch;
mod compare;
mod confirm;
mod documents;
mod guard;
mod input;
mod keep;
mod limits;
mod listen;
mod log_level;
mod node;
mod openapi;
mod past;
mod peers;
mod problems;
mod report;
mod routes;
mod serve;
mod spaces;
mod state;
mod status;
mod watch;
mod watchman;
mod writes;

use std::{net::SocketAddr, path::PathBuf};

use axum::{Router, middleware};
use starling_api::Code;
use tokio::net::TcpListener;

pub use keep::verified;
pub use listen::ListenError;

use crate::{
    clock::Clock, config::Config, handle::NodeHandle, metrics::Metrics, node::STORE_FILE, shutdown::Shutdown,
    telemetry::LogLevel,
};

/// The API's sockets, open but not yet served: what comes meanwhile waits.
pub struct Http {
    unix: listen::OwnSocket,
    tcp: Option<TcpListener>,
    advertise: Vec<String>,
    store: PathBuf,
    log_level: Option<LogLevel>,
}

impl Http {
    /// Opens the sockets that a configuration asks for.
    ///
    /// # Errors
    /// See [`ListenError`]: each names what is in the way.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        let unix = listen::unix(&config.api_socket, config.api_socket_group.as_deref()).await?;
        let tcp = match config.http {
            Some(address) => Some(listen::tcp(address.socket_addr()).await?),
            None => None,
        };
        let store = config.data_dir.join(STORE_FILE);
        Ok(Self { unix, tcp, advertise: config.advertise.clone(), store, log_level: None })
    }

    /// Lets the log's filter be read and changed over the API.
    pub(crate) fn expose_log_level(&mut self, level: LogLevel) {
        self.log_level = Some(level);
    }

    /// The TCP address, with the port the system chose where 0 was asked for.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves the node until somebody asks to stop and requests in progress have ended.
    pub async fn serve(self, handle: NodeHandle, metrics: Metrics, clock: Clock, shutdown: Shutdown) {
        let facts = state::Facts {
            advertise: self.advertise.clone(),
            store: self.store.clone(),
            store_bytes_began: state::store_bytes(&self.store),
            clock,
            log_level: self.log_level.clone(),
        };
        let node = node::Node::new(handle);
        let api = state::Api::new(node, facts, metrics.clone(), shutdown.clone());
        let watched = watchman::watch(&api, shutdown.clone());
        let served = self.serve_routes(routes::routes(api.clone()), metrics, shutdown);
        tokio::join!(watched, served);
    }

    /// Serves routes until somebody asks to stop and requests in progress have ended.
    async fn serve_routes(self, routes: Router, metrics: Metrics, shutdown: Shutdown) {
        let everywhere = guarded(routes, guard::Guard::new(metrics));
        let connections = serve::Connections::new();
        let unix =
            serve::serve(&self.unix.listener, everywhere.clone(), connections.clone(), shutdown.clone());
        let on_tcp = everywhere.layer(middleware::from_fn(guard::keep_web_pages_out));
        let tcp = async {
            if let Some(listener) = &self.tcp {
                serve::serve(listener, on_tcp, connections, shutdown).await;
            }
        };
        tokio::join!(unix, tcp);
    }
}

/// Whether the group is known on this host.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn socket_group_exists(group: &str) -> Result<(), String> {
    listen::group_fault(group).map_or(Ok(()), Err)
}

/// Routes with what every request passes, and problems for what is no route.
fn guarded(routes: Router, guard: guard::Guard) -> Router {
    routes
        .fallback(|| async { answer::refused(Code::UnknownRoute, "nothing is served at this path") })
        .method_not_allowed_fallback(|| async {
            answer::refused(Code::MethodNotAllowed, "the route exists, but not for this method")
        })
        .layer(middleware::from_fn_with_state(guard, guard::watch_over))
}

#[cfg(test)]
mod tests;
