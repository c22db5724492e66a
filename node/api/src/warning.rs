//! Every warning that a node gives of itself: the one list behind `status`, metrics, the log and
//! `docs/warnings.md`.
//!
//! Promises: a code keeps its meaning; the order is that of importance, the most urgent first; each kind
//! says why it matters and which command mends it or looks deeper. Leaves out when each is given: whoever
//! looks at a node decides that, and makes the warning with [`WarningKind::warn`].

use std::fmt::Write as _;

use crate::status::Warning;

/// One kind of warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarningKind {
    /// The stable word for it.
    pub code: &'static str,
    /// What is the matter, in general; a warning says it with names and figures.
    pub sentence: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// The command that mends it, or looks deeper.
    pub command: &'static str,
}

impl WarningKind {
    /// A warning of this kind: `message` says what is the matter this time.
    #[must_use]
    pub fn warn(&self, message: impl Into<String>) -> Warning {
        Warning {
            code: self.code.to_owned(),
            message: message.into(),
            why: self.why.to_owned(),
            command: self.command.to_owned(),
        }
    }

    /// Its place in [`ALL`]: the lower, the more urgent.
    #[must_use]
    pub fn place(&self) -> usize {
        place(self.code)
    }
}

/// The place of a code in [`ALL`]; behind all of them for one that this version does not know.
#[must_use]
pub fn place(code: &str) -> usize {
    ALL.iter().position(|kind| kind.code == code).unwrap_or(ALL.len())
}

macro_rules! warnings {
    ($( $name:ident $code:literal $sentence:literal, $why:literal, $command:literal; )+) => {
        $(
            #[doc = $sentence]
            pub const $name: WarningKind =
                WarningKind { code: $code, sentence: $sentence, why: $why, command: $command };
        )+

        /// Every kind, the most urgent first.
        pub const ALL: &[WarningKind] = &[$($name),+];
    };
}

warnings! {
    NO_ROOM "no-room"
        "Less than 4 MiB are left on the file system of the store.",
        "Writes may be refused. Nothing is lost, reads go on, and writes work again once there is room.",
        "df -h";
    STORE_FAULT "store-fault"
        "The store could not be read or written within the last ten minutes.",
        "What was asked then was refused. A disk that fails now and then fails for good later.",
        "starling verify";
    SPACE_FULL "space-full"
        "A space holds as much as this node keeps of one.",
        "Writes to it are refused here and what others write does not arrive. Nothing is lost, and other nodes and spaces go on.",
        "starling up --space-quota SIZE";
    SAME_IDENTITY "same-identity"
        "Another process speaks with this node's identity.",
        "Two nodes with one key take each other's place with every peer, so each misses what the other gets. A copied data directory or machine image does that.",
        "starling id";
    DIVERGED "diverged"
        "This node could not build a change that the rules allow.",
        "It shows that document without the change and may differ from every other node: a defect of this program.",
        "starling quarantine";
    FORK "fork"
        "An author signed two changes with one number.",
        "That is malice, or one identity that runs twice. Each node keeps the change that reached it first, so they may differ.",
        "starling forks";
    QUARANTINE "quarantine"
        "Changes are kept out of their documents.",
        "They break a rule that every node holds to, so every node keeps them out. What rests on them is not shown either.",
        "starling quarantine";
    NOT_JOINED "not-joined"
        "No member has witnessed this node's join yet.",
        "Until one has, it receives nothing and nothing that it writes is taken.",
        "starling peers add HOST";
    BUSY "busy"
        "Requests were refused within the last ten minutes because too many came at once.",
        "Whoever was refused was told to come back in a second (503) and may not have. Nothing was lost or done by halves.",
        "starling top";
    LOW_ROOM "low-room"
        "Less than 256 MiB are left on the file system of the store.",
        "When they are used up, writes are refused and reads go on.",
        "starling compact";
    SPACE_FILLING "space-filling"
        "A space holds nine tenths of what this node keeps of one.",
        "When the rest is used up, writes to it are refused here and what others write does not arrive.",
        "starling up --space-quota SIZE";
    NO_PEERS "no-peers"
        "No other node is connected.",
        "What is written stays here, and what others write does not arrive, until one is.",
        "starling peers add HOST";
    BEHIND "behind"
        "A member said a while ago that it holds more than this node holds now.",
        "Reads here may be old. If it lasts, repair between the two does not get through.",
        "starling compare MEMBER";
    DOCUMENTS_MEMORY "documents-memory"
        "Within the last ten minutes many documents were built again that had been dropped for want of memory.",
        "Reads and writes of them take longer, since each is built from its history. Nothing is lost.",
        "starling up --documents-memory SIZE";
    MEMBERS_AWAY "members-away"
        "Members of a space were not heard of for long.",
        "They neither get what is written here nor does theirs arrive. They catch up by themselves once they are back.",
        "starling members --state away";
    CLOCK "clock"
        "A member's clock and this node's are far apart.",
        "No data is harmed, but claimed times mislead whoever reads them, and invites expire early or late.",
        "starling members";
    VERSIONS "versions"
        "Members run other versions than this node.",
        "They work together as far as both know a message. Upgrade the older ones.",
        "starling members";
    LARGE_DOCUMENT "large-document"
        "A document has more than 5,000 maps, lists and texts, removed ones included.",
        "The more there are, the longer each write and the first read take, on every node. Removing them does not undo it, since history keeps them; several smaller documents do.",
        "starling history DOC";
}

/// The document: `docs/warnings.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Warnings of a node\n\n\
         `starling status` ends with what needs a look, the most urgent first. `GET /v1/status` has the same under\n\
         `warnings`; `/metrics` has `starling_warnings{code=\"...\"}`, the number of a kind that stand; and the log has a\n\
         line with the event `warning` when one comes and `warning_over` when it goes. This file is made from the table\n\
         in `node/api/src/warning.rs`; a test compares the two.\n\n\
         | code | what is the matter | why it matters | what to run |\n\
         | --- | --- | --- | --- |\n",
    );
    for WarningKind { code, sentence, why, command } in ALL {
        writeln!(text, "| `{code}` | {sentence} | {why} | `{command}` |")
            .expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_is_one_word_of_its_own_and_says_all_of_it() {
        let codes: BTreeSet<&str> = ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), ALL.len());
        for kind in ALL {
            assert!(kind.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", kind.code);
            for text in [kind.sentence, kind.why] {
                assert!(text.ends_with('.') && !text.contains('|'), "{}: {text}", kind.code);
            }
            assert!(!kind.command.is_empty() && !kind.command.contains('`'), "{}", kind.code);
        }
        assert!(NO_ROOM.place() < LOW_ROOM.place() && place("made-next-year") == ALL.len());
    }

    #[test]
    fn the_document_is_made_from_the_table() {
        assert_eq!(
            include_str!("../../../docs/warnings.md"),
            reference(),
            "write it anew: cargo run --workspace --example warnings > docs/warnings.md"
        );
    }
}
