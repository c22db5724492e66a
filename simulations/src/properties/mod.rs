//! The properties: what must hold, one file each, by its number in the design.
//!
//! They share no code with the core: each is a plain function over what the oracle and the world saw,
//! and has a test in which it fails. Number 6 and 15 come with full authority and are not here.

pub mod authenticity;
pub mod availability;
pub mod bounds;
pub mod closure;
pub mod convergence;
pub mod determinism;
pub mod durability;
pub mod firing;
pub mod idempotence;
pub mod integrity;
pub mod isolation;
pub mod liveness;
pub mod panics;
pub mod quiescence;
pub mod selffork;
pub mod sessions;

/// Number and name of every property that is checked.
pub const ALL: [(u32, &str); 16] = [
    (1, "convergence"),
    (2, "liveness"),
    (3, "no-acknowledged-write-lost"),
    (4, "causal-closure"),
    (5, "authenticity"),
    (7, "no-honest-node-forks-itself"),
    (8, "session-guarantees"),
    (9, "idempotence"),
    (10, "store-integrity"),
    (11, "bounded-resources"),
    (12, "one-bad-never-blocks-another"),
    (13, "availability"),
    (14, "quiescence"),
    (16, "no-panic"),
    (17, "determinism"),
    (18, "every-fault-fired"),
];

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The property's number.
    pub property: u32,
    /// Where, if at one node.
    pub node: Option<usize>,
    /// In which document, if in one.
    pub document: Option<String>,
    /// Whom it is about, if not the node where it shows: `{other}` in the words.
    pub other: Option<usize>,
    /// The hostile node that sent what should have been refused, if it is known.
    pub sent_by: Option<usize>,
    /// Since when what went wrong may have happened, if before it was noticed.
    pub since: Option<u64>,
    /// What, in a sentence.
    pub words: String,
}

impl Finding {
    /// A finding about the whole fleet.
    pub fn fleet(property: u32, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { property, node: None, document: None, other: None, sent_by: None, since: None, words }
    }

    /// A finding at one node.
    pub fn at(property: u32, node: usize, words: impl Into<String>) -> Self {
        Self { node: Some(node), ..Self::fleet(property, words) }
    }

    /// The same, in one document.
    #[must_use]
    pub fn in_document(mut self, document: &str) -> Self {
        self.document = Some(document.to_owned());
        self
    }

    /// The same, about another node than the one where it shows.
    #[must_use]
    pub fn about(mut self, other: usize) -> Self {
        self.other = Some(other);
        self
    }

    /// The same, of something that this hostile node sent.
    #[must_use]
    pub fn sent_by(mut self, node: Option<usize>) -> Self {
        self.sent_by = node;
        self
    }

    /// The same, which may have happened at any time since `at`.
    #[must_use]
    pub fn since(mut self, at: u64) -> Self {
        self.since = Some(at);
        self
    }
}

/// The name of a property.
pub fn name(number: u32) -> &'static str {
    ALL.iter().find(|(known, _)| *known == number).map_or("unknown", |(_, name)| name)
}
