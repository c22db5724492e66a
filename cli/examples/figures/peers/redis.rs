//! Redis, as durable as it gets, and a client that sets keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Outcome, Server, once_ready};

pub(super) struct Redis {
    _server: Server,
    socket: PathBuf,
}

impl Redis {
    /// Starts `redis-server` with every write synced to its append-only file before it is answered.
    pub(super) async fn start(directory: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(directory)?;
        let socket = directory.join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(directory);
        let redis = Self { _server: Server::start(&mut command, directory)?, socket };
        once_ready(async || redis.connect().await?.put("ready", "yes").await).await?;
        Ok(redis)
    }

    pub(super) async fn connect(&self) -> Outcome<Connection> {
        Ok(Connection(UnixStream::connect(&self.socket).await?))
    }
}

/// One client's connection.
pub(super) struct Connection(UnixStream);

impl Connection {
    /// Sets a key, and waits for the answer.
    pub(super) async fn put(&mut self, key: &str, value: &str) -> Outcome<()> {
        let command =
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len());
        self.0.write_all(command.as_bytes()).await?;
        let mut answer = [0; 5];
        self.0.read_exact(&mut answer).await?;
        if &answer == b"+OK\r\n" { Ok(()) } else { Err("Redis refused a write".into()) }
    }
}
