//! The address of the API on TCP: loopback, or refused.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::Deserialize;

/// A loopback address for the API on TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpAddress(SocketAddr);

/// Why an address cannot serve the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpAddressError {
    /// Not an address and a port.
    #[error("{0:?} is no address; say 127.0.0.1:4711 or [::1]:4711")]
    NotAnAddress(String),
    /// Other hosts could reach it.
    #[error(
        "{0} is not loopback: the API has neither tokens nor TLS, so whoever reached it could read and write \
         everything; say 127.0.0.1:{port} and forward it with ssh", port = .0.port()
    )]
    NotLoopback(SocketAddr),
}

impl HttpAddress {
    /// The address itself.
    #[must_use]
    pub const fn socket_addr(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for HttpAddress {
    type Err = HttpAddressError;

    fn from_str(text: &str) -> Result<Self, HttpAddressError> {
        let wrong = || HttpAddressError::NotAnAddress(text.to_owned());
        let address = match text.strip_prefix("localhost:") {
            Some(port) => {
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| wrong())?)
            }
            None => text.parse().map_err(|_| wrong())?,
        };
        if address.ip().is_loopback() {
            Ok(Self(address))
        } else {
            Err(HttpAddressError::NotLoopback(address))
        }
    }
}

impl TryFrom<String> for HttpAddress {
    type Error = HttpAddressError;

    fn try_from(text: String) -> Result<Self, HttpAddressError> {
        text.parse()
    }
}
