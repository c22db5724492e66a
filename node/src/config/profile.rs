//! What kind of network a node lives in, and what follows from it where nothing else is said.

use std::str::FromStr;

use serde::Deserialize;

use super::UnknownWord;
use crate::network::Patience;

/// Where a node listens for other nodes unless told otherwise.
pub const LISTEN_DEFAULT: [&str; 4] = [
    "/ip4/0.0.0.0/tcp/4710",
    "/ip6/::/tcp/4710",
    "/ip4/0.0.0.0/udp/4710/quic-v1",
    "/ip6/::/udp/4710/quic-v1",
];

/// Where a node of the profile `local` listens: loopback, at free ports.
pub const LISTEN_LOCAL: [&str; 2] = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];

/// What kind of network the node lives in: where it listens, whether it looks for neighbours, and how long it
/// bears silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Hosts in one building: a host that vanishes is suspected within seconds.
    #[default]
    Lan,
    /// Hosts far apart or behind slow links: half a minute of silence is borne.
    Wan,
    /// Processes on one machine, for tests and the demo: as quick as `lan`.
    Local,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Lan, Self::Wan, Self::Local];

    /// Its word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Local => "local",
        }
    }

    /// Where a node listens.
    pub(super) fn listen(self) -> Vec<String> {
        match self {
            Self::Lan | Self::Wan => LISTEN_DEFAULT.map(str::to_owned).to_vec(),
            Self::Local => LISTEN_LOCAL.map(str::to_owned).to_vec(),
        }
    }

    /// Whether it looks for nodes on the same link.
    pub(super) fn mdns(self) -> bool {
        self == Self::Lan
    }

    /// How long it bears silence.
    pub(crate) fn patience(self) -> Patience {
        match self {
            Self::Lan | Self::Local => Patience::SHORT,
            Self::Wan => Patience::LONG,
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let named = Self::ALL.into_iter().find(|profile| profile.name() == text);
        named.ok_or_else(|| UnknownWord { found: text.to_owned(), known: "lan, wan, local" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of the guide's table: what is set, and its value in each profile.
    fn row(what: &str, value: impl Fn(Profile) -> String) -> String {
        format!("| {what} | {} |\n", Profile::ALL.map(value).join(" | "))
    }

    #[test]
    fn the_guide_has_the_table_of_what_each_profile_sets() {
        let seconds = |time: std::time::Duration| format!("{} s", time.as_secs_f64());
        let table = [
            row("what it sets", |profile| format!("`{}`", profile.name())),
            row("---", |_| "---".to_owned()),
            row("listens at (`listen`)", |profile| {
                profile.listen().iter().map(|address| format!("`{address}`")).collect::<Vec<_>>().join(", ")
            }),
            row("looks for nodes on its network (`mdns`)", |profile| {
                if profile.mdns() { "yes" } else { "no" }.to_owned()
            }),
            row("pings each connection every", |profile| seconds(profile.patience().ping_period)),
            row("takes a silent connection for dead after", |profile| {
                seconds(profile.patience().silence_max)
            }),
        ]
        .concat();
        assert!(include_str!("../../../docs/operating.md").contains(&table), "the guide lacks\n{table}");
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
    }
}
