//! Everything `doctor` looks at: one table, most basic first.
//!
//! Promises: a code keeps its meaning; each kind says what it looks at and which command mends it. What a
//! node warns of by itself joins these under its own code. Leaves out how each is judged.

use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Worth a look; nothing is broken by it.
    Warning,
    /// Wrong.
    Failed,
}

impl State {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// Which: a code of [`ALL`], or of one of the node's warnings.
    pub(crate) check: String,
    /// How it came out.
    pub(crate) state: State,
    /// What was found, and what that means where it is not as it should be.
    pub(crate) message: String,
    /// What mends it, or looks deeper; absent where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
}

impl Check {
    /// The same with a command that fits this case better than the kind's.
    pub(crate) fn mended_by(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// One kind of check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The stable word for it.
    pub(crate) code: &'static str,
    /// What is looked at.
    #[cfg_attr(not(test), expect(dead_code, reason = "the document is made from it"))]
    pub(crate) looks_at: &'static str,
    /// What mends it, or looks deeper.
    pub(crate) command: &'static str,
}

impl Kind {
    /// All is well.
    pub(crate) fn ok(&self, message: impl Into<String>) -> Check {
        Check { check: self.code.to_owned(), state: State::Ok, message: message.into(), command: None }
    }

    /// Worth a look.
    pub(crate) fn warning(&self, message: impl Into<String>) -> Check {
        self.found(State::Warning, message)
    }

    /// Wrong.
    pub(crate) fn failed(&self, message: impl Into<String>) -> Check {
        self.found(State::Failed, message)
    }

    /// Not as it should be, to that degree.
    pub(crate) fn found(&self, state: State, message: impl Into<String>) -> Check {
        Check {
            check: self.code.to_owned(),
            state,
            message: message.into(),
            command: Some(self.command.to_owned()),
        }
    }
}

macro_rules! checks {
    ($( $name:ident $code:literal $looks_at:literal, $command:literal; )+) => {
        $(
            #[doc = $looks_at]
            pub(crate) const $name: Kind = Kind { code: $code, looks_at: $looks_at, command: $command };
        )+

        /// Every kind.
        pub(crate) const ALL: &[Kind] = &[$($name),+];
    };
}

checks! {
    ANSWERS "node"
        "Whether a node answers at its API socket, and how fast.",
        "starling up";
    DIRECTORY "directory"
        "Whether the data directory is this user's and can be written.",
        "ls -ld DIR";
    IDENTITY "identity"
        "Whether the identity file is whole, readable by its owner only, and the running node's.",
        "chmod 600 DIR/identity.pem";
    STORE "store"
        "Whether the store opens, of a running node whether it answers.",
        "starling verify";
    ROOM "room"
        "Whether the file system of the store has 256 MiB left.",
        "df -h DIR";
    CONFIGURATION "configuration"
        "Whether every value of the configuration can work.",
        "starling config check";
    CLOCK "clock"
        "Whether this host's clock is behind what it wrote itself.",
        "timedatectl";
    PORTS "ports"
        "Whether the node's TCP addresses accept connections; of a stopped node, whether they are free.",
        "ss -lntup";
    MDNS "mdns"
        "Whether multicast works here, which finds nodes on the same network.",
        "starling config show";
    CHARTER "charter"
        "Whether this node is a member of its spaces, or waits to be witnessed.",
        "starling peers";
    PEERS "peers"
        "Whether other nodes are connected, as many as there are or as are aimed at.",
        "starling peers add HOST";
    MEMBERS "members"
        "Whether members are away or hold what this node does not.",
        "starling members";
    VERSIONS "versions"
        "Whether members run the version of this node.",
        "starling members";
    SEED "seed"
        "Whether each address of `join`, of the command line, and of members that are not connected answers.",
        "starling doctor, on that host";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_is_one_word_of_its_own_and_stands_in_the_document() {
        let codes: BTreeSet<&str> = ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), ALL.len());
        let document = include_str!("../../../../docs/operating.md");
        for kind in ALL {
            let row = format!("| `{}` | {} | `{}` |", kind.code, kind.looks_at, kind.command);
            assert!(document.contains(&row), "docs/operating.md lacks: {row}");
        }
    }

    #[test]
    fn what_is_well_names_no_command() {
        assert_eq!(STORE.ok("x").command, None);
        assert_eq!(STORE.failed("x").command.as_deref(), Some("starling verify"));
        assert_eq!(STORE.failed("x").mended_by("y").command.as_deref(), Some("y"));
    }
}
