//! Host names in addresses, looked up by this host at every dial.
//!
//! Promises: a name is asked for anew each time, the way every other program of the host asks, so that a changed
//! address, name server or hosts file counts from the next dial on, without a restart; of several addresses the one
//! that answers first is taken. Leaves out a memory of answers: the host may have one.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_ok};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;

/// Addresses of one name that are tried. More are left out; the next dial may get them in another order.
const ADDRESSES_OF_NAME_MAX: usize = 8;

/// How long after one address of a name the next is tried as well (RFC 8305, section 5). Shorter, and connections are
/// opened that nobody needs; longer, and an address that leads nowhere keeps the good one waiting.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Says which addresses a name has now.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Asks the operating system: hosts file, name servers and whatever else this host has for names.
pub(super) fn by_the_system() -> Lookup {
    Arc::new(|name| {
        let found = async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        };
        found.boxed()
    })
}

/// A transport that knows IP addresses only, behind names.
pub(super) struct Named<T> {
    inner: Arc<Mutex<T>>,
    lookup: Lookup,
}

impl<T> Named<T> {
    pub(super) fn new(inner: T, lookup: Lookup) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), lookup }
    }

    fn inner(&self) -> MutexGuard<'_, T> {
        lock(&self.inner)
    }
}

fn lock<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an address is of the kind asked for.
type Kind = fn(&IpAddr) -> bool;

/// The name in front of an address, and which of its addresses count.
fn name_of(address: &Multiaddr) -> Option<(String, Kind)> {
    match address.iter().next()? {
        Protocol::Dns(name) => Some((name.into_owned(), |_| true)),
        Protocol::Dns4(name) => Some((name.into_owned(), IpAddr::is_ipv4)),
        Protocol::Dns6(name) => Some((name.into_owned(), IpAddr::is_ipv6)),
        _ => None,
    }
}

/// The address with an IP address for its name.
fn resolved(address: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    address.replace(0, |_| Some(ip.into()))
}

async fn dial_name<T>(
    inner: Arc<Mutex<T>>,
    lookup: Lookup,
    address: Multiaddr,
    options: DialOpts,
) -> io::Result<T::Output>
where
    T: Transport<Error = io::Error>,
    T::Dial: Send,
    T::Output: Send,
{
    let Some((name, counts)) = name_of(&address) else {
        return Err(io::Error::other("the address has no host name"));
    };
    let found = lookup(name.clone()).await;
    let found = found
        .map_err(|error| io::Error::new(error.kind(), format!("cannot look up the host {name}: {error}")))?;
    let found = found.into_iter().filter(counts).take(ADDRESSES_OF_NAME_MAX);
    let attempts: Vec<_> = (0..)
        .zip(found.filter_map(|ip| resolved(&address, ip)))
        .map(|(place, address)| {
            let inner = &inner;
            let attempt = async move {
                tokio::time::sleep(ATTEMPT_DELAY * place).await;
                let dial = lock(inner).dial(address, options);
                match dial {
                    Ok(dial) => dial.await,
                    Err(TransportError::Other(error)) => Err(error),
                    Err(unsupported) => Err(io::Error::other(unsupported.to_string())),
                }
            };
            Box::pin(attempt)
        })
        .collect();
    if attempts.is_empty() {
        let why = format!("the host {name} has no address of the kind asked for");
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    select_ok(attempts).await.map(|(output, _)| output)
}

impl<T> Transport for Named<T>
where
    T: Transport<Error = io::Error> + Send + Unpin + 'static,
    T::Dial: Send + 'static,
    T::Output: Send + 'static,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<T::Output>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner().listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner().remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        if name_of(&address).is_none() {
            return Ok(self.inner().dial(address, options)?.boxed());
        }
        Ok(dial_name(self.inner.clone(), self.lookup.clone(), address, options).boxed())
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut *self.inner()).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;
    use libp2p::tcp;

    use super::*;

    const OPTIONS: DialOpts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };

    /// Answers in turn; the last one stays.
    fn told(answers: Vec<Vec<&'static str>>) -> Lookup {
        let answers = Mutex::new(answers);
        Arc::new(move |_| {
            let mut answers = lock(&answers);
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            let found = answer.into_iter().map(|text| text.parse().expect("an address")).collect();
            std::future::ready(Ok(found)).boxed()
        })
    }

    async fn dial(transport: &mut Named<tcp::tokio::Transport>, address: &str) -> Result<String, String> {
        let address = address.parse().expect("a multiaddr");
        let dial = transport.dial(address, OPTIONS).expect("an address that can be dialled");
        let stream = tokio::time::timeout(Duration::from_secs(20), dial).await.expect("in time");
        let stream = stream.map_err(|error| error.to_string())?;
        Ok(stream.0.peer_addr().expect("a connected stream").ip().to_string())
    }

    fn transport(lookup: Lookup) -> Named<tcp::tokio::Transport> {
        Named::new(tcp::tokio::Transport::default(), lookup)
    }

    #[tokio::test]
    async fn a_name_is_looked_up_anew_at_every_dial() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("/dns4/harbour.example/tcp/{}", listener.local_addr().expect("an address").port());
        let mut transport = transport(told(vec![vec!["127.0.0.2"], vec!["127.0.0.1"]]));
        dial(&mut transport, &at).await.expect_err("nobody listens there");
        assert_eq!(dial(&mut transport, &at).await, Ok("127.0.0.1".to_owned()));
    }

    #[tokio::test]
    async fn of_several_addresses_the_one_that_answers_is_taken_although_another_leads_nowhere() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // 192.0.2.0/24 is for documentation: packets to it get lost, or are refused at once.
        let mut transport = transport(told(vec![vec!["192.0.2.1", "127.0.0.9", "127.0.0.1"]]));
        assert_eq!(
            dial(&mut transport, &format!("/dns/harbour.example/tcp/{port}")).await,
            Ok("127.0.0.1".to_owned())
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_of_that_kind_says_so() {
        let mut transport = transport(told(vec![vec!["127.0.0.1"]]));
        let why = dial(&mut transport, "/dns6/harbour.example/tcp/1").await.expect_err("it has none");
        assert!(why.contains("harbour.example has no address"), "{why}");
        let lost = Arc::new(|_| std::future::ready(Err(io::Error::other("no name server"))).boxed());
        let mut transport = self::transport(lost);
        let why = dial(&mut transport, "/dns/harbour.example/tcp/1").await.expect_err("nobody knows it");
        assert_eq!(why, "cannot look up the host harbour.example: no name server");
    }

    #[tokio::test]
    async fn the_system_knows_the_names_of_this_host() {
        let found = by_the_system()("localhost".to_owned()).await.expect("an answer");
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }
}
