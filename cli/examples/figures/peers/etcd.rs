//! etcd with one member, and a client that puts keys over gRPC.
//!
//! The client is written out here, since it needs so little: one unary call after another over an HTTP/2
//! connection (RFC 9113), headers without compression (RFC 7541), and two fields of protobuf. It opens the
//! connection's window once and for all, answers settings and pings, and takes an answer without a message for
//! a refusal.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Outcome, Server, once_ready};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// Flags: the last frame of a stream, an acknowledgement, all headers.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// Bytes by which the connection's window is opened: nearly all there may be.
const WINDOW_MORE: u32 = 0x7fff_0000;
const PATH: &str = "/etcdserverpb.KV/Put";
/// A message of gRPC begins with a flag and its length.
const MESSAGE_HEAD_BYTES: usize = 5;

pub(super) struct Etcd {
    _server: Server,
    port: u16,
}

/// A port that is free now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Etcd {
    pub(super) async fn start(directory: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(directory)?;
        let (port, peer_port) = (free_port()?, free_port()?);
        let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.join("data")).args(["--name", "one", "--log-level", "error"]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("one={peers}")]);
        let etcd = Self { _server: Server::start(&mut command, directory)?, port };
        once_ready(async || etcd.connect().await?.put("ready", "yes").await).await?;
        Ok(etcd)
    }

    pub(super) async fn connect(&self) -> Outcome<Connection> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let mut hello = PREFACE.to_vec();
        frame(&mut hello, SETTINGS, 0, 0, &[]);
        frame(&mut hello, WINDOW_UPDATE, 0, 0, &WINDOW_MORE.to_be_bytes());
        stream.write_all(&hello).await?;
        Ok(Connection { stream, next: 1 })
    }
}

/// One client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// The number of the next stream; a client's are odd.
    next: u32,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Short text behind its length, as both HPACK and protobuf have it.
fn text(out: &mut Vec<u8>, text: &str) -> Outcome<()> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).ok_or("a text too long")?;
    out.push(length);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn headers() -> Outcome<Vec<u8>> {
    // Of the static table: POST, http; then names of it with values of our own, and one name of our own.
    let mut block = vec![0x83, 0x86, 0x04];
    text(&mut block, PATH)?;
    block.push(0x01);
    text(&mut block, "localhost")?;
    block.extend_from_slice(&[0x0f, 0x10]);
    text(&mut block, "application/grpc")?;
    block.push(0x00);
    text(&mut block, "te")?;
    text(&mut block, "trailers")?;
    Ok(block)
}

impl Connection {
    /// Puts a key, and waits for the answer.
    pub(super) async fn put(&mut self, key: &str, value: &str) -> Outcome<()> {
        let stream = self.next;
        self.next += 2;
        let mut put = vec![0x0a];
        text(&mut put, key)?;
        put.push(0x12);
        text(&mut put, value)?;
        let mut message = vec![0];
        message.extend_from_slice(&(put.len() as u32).to_be_bytes());
        message.extend_from_slice(&put);
        let mut request = Vec::new();
        frame(&mut request, HEADERS, END_HEADERS, stream, &headers()?);
        frame(&mut request, DATA, END_STREAM, stream, &message);
        self.stream.write_all(&request).await?;
        self.answer(stream).await
    }

    async fn answer(&mut self, stream: u32) -> Outcome<()> {
        let mut answered = false;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, number @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await?;
            let ours = u32::from_be_bytes(number) == stream;
            let mut reply = Vec::new();
            match kind {
                DATA if ours => answered |= payload.len() > MESSAGE_HEAD_BYTES,
                SETTINGS if flags & ACK == 0 => frame(&mut reply, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(&mut reply, PING, ACK, 0, &payload),
                RST_STREAM | GO_AWAY => return Err("etcd ended the call".into()),
                _ => {}
            }
            if !reply.is_empty() {
                self.stream.write_all(&reply).await?;
            }
            if ours && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return if answered { Ok(()) } else { Err("etcd refused a write".into()) };
            }
        }
    }
}
