//! What goes wrong, and when.
//!
//! A fault begins `at` a time, lasts `for` a time and may come again `every` so often, `until` a time
//! or until everything is healed at the end of the scenario's duration. [`Fault::occurrences`] says
//! when, without chance; whom a draw takes is the world's affair.

use serde::{Deserialize, Serialize};

use super::fleet::Hostility;
use super::network::Latency;
use super::quantity::{Bandwidth, Offset, Span};
use super::selector::Selector;

/// One fault of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins.
    pub at: Span,
    /// How long it lasts; faults of a moment have none.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// How long from one beginning to the next; without it, it comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// When it stops, or stops coming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Whom it strikes.
    #[serde(default)]
    pub on: Selector,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// When a fault stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At the end of the scenario's duration, when everything is healed.
    Healed,
    /// At a time.
    At(Span),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// Links between some of the nodes carry nothing.
    Partition(Partition),
    /// Links of the selected nodes lose frames, each by itself.
    Loss {
        /// Share lost, from 0 to 1.
        rate: f64,
    },
    /// Links of the selected nodes lose frames in bursts.
    Burst {
        /// Share lost over a long time, from 0 to 1.
        rate: f64,
        /// Mean length of a burst, in frames.
        length: f64,
    },
    /// Links of the selected nodes deliver frames twice.
    Duplicate {
        /// Share doubled, from 0 to 1.
        rate: f64,
    },
    /// On links of the selected nodes frames overtake others.
    Reorder {
        /// Share that does, from 0 to 1.
        rate: f64,
    },
    /// Links of the selected nodes have this latency instead of their own.
    Slow {
        /// How long one frame travels one way.
        latency: Latency,
    },
    /// Links of the selected nodes carry no more than this.
    Narrow {
        /// How much.
        bandwidth: Bandwidth,
    },
    /// Links of the selected nodes damage frames; a damaged frame breaks its connection.
    Corrupt {
        /// Share damaged, from 0 to 1.
        rate: f64,
    },
    /// The process stands still, its connections open, and goes on afterwards.
    Pause,
    /// The process dies and what the disk has not synced is lost; it starts again afterwards.
    Crash,
    /// The process dies inside a disk operation; it starts again afterwards.
    KillInIo {
        /// Which operation from the fault's beginning on, the first is 1.
        step: u64,
    },
    /// The process stops in order and starts again afterwards.
    Restart,
    /// The process dies, its data directory is emptied, and it starts again with its old key.
    Wipe,
    /// The process dies and its data directory becomes what it was some time ago.
    Restore {
        /// How long ago the backup was made.
        age: Span,
    },
    /// A second process starts from a copy of the data directory, with the same key.
    Clone,
    /// Processes die and start again at random moments all the time.
    Churn {
        /// Mean time a process runs.
        up: Span,
        /// Mean time it is down.
        down: Span,
    },
    /// Wall clocks are ahead by so much while it lasts.
    ClockOffset {
        /// How far ahead.
        by: Offset,
    },
    /// Clocks run too fast while it lasts; what they gained stays.
    ClockDrift {
        /// By how many parts per million.
        ppm: f64,
    },
    /// Wall clocks jump, for good.
    ClockStep {
        /// How far ahead.
        by: Offset,
    },
    /// The machine loses power: writes that were not synced are lost, all or some.
    LoseUnsynced,
    /// The machine loses power while a write is half done.
    TornWrite,
    /// Disk operations fail while it lasts.
    IoError {
        /// Share that fails, from 0 to 1.
        rate: f64,
    },
    /// The disk takes no more bytes while it lasts.
    DiskFull,
    /// Bits of what is stored flip, once.
    BitRot {
        /// How many.
        bits: u32,
    },
    /// The nodes leave the protocol while it lasts.
    Hostile {
        /// What they do.
        does: Hostility,
    },
}

/// Names of the kinds that need a disk that can fail; one in memory cannot.
pub const DISK_KINDS: [&str; 6] =
    ["kill-in-io", "lose-unsynced", "torn-write", "io-error", "disk-full", "bit-rot"];

/// How the fleet is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Which links carry nothing.
    pub shape: Shape,
    /// The sides; where absent they are drawn from the nodes the fault is `on`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<Selector>,
    /// How many sides (`ways`), or how many nodes alone (`isolate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The cut opens and closes all the while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<Flap>,
    /// Links come back one after the other over this time, not all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heal_over: Option<Span>,
}

/// Which links of a partition carry nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Two sides hear nothing of each other.
    Halves,
    /// `count` sides hear nothing of each other.
    Ways,
    /// `count` nodes hear nobody.
    Isolate,
    /// Two sides, and one node that hears both.
    Bridge,
    /// The second side hears the first, the first does not hear the second.
    OneWay,
    /// Each node of a ring of sides hears its neighbours, not those across.
    NonTransitive,
    /// Nodes fall silent one after the other and come back in another order.
    SwizzleClog,
}

/// A cut that opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// How long it is cut each time.
    pub cut: Span,
    /// How long it is whole each time.
    pub whole: Span,
}

/// One time a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When it begins.
    pub from: Span,
    /// When it is over; a fault of a moment is over when it begins.
    pub to: Span,
}

/// Most times one fault comes: what keeps a file from asking for a run without end.
pub const OCCURRENCES_MAX: usize = 10_000;

impl Fault {
    /// When it happens in a scenario of this `duration`, at most [`OCCURRENCES_MAX`] times.
    pub fn occurrences(&self, duration: Span) -> Vec<Occurrence> {
        let until = match self.until {
            Some(Until::At(time)) => time.min(duration),
            Some(Until::Healed) | None => duration,
        };
        let whole = self.lasts.is_none() && self.every.is_none() && self.kind.lasts();
        let mut found = Vec::new();
        let mut from = self.at;
        while from < until && found.len() < OCCURRENCES_MAX {
            let to = match self.lasts {
                Some(lasts) => Span(from.0.saturating_add(lasts.0)).min(duration),
                None if whole => until,
                None => from,
            };
            found.push(Occurrence { from, to });
            match self.every {
                Some(every) if every.0 > 0 => from = Span(from.0.saturating_add(every.0)),
                _ => break,
            }
        }
        found
    }
}

impl FaultKind {
    /// Its name in files and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Loss { .. } => "loss",
            Self::Burst { .. } => "burst",
            Self::Duplicate { .. } => "duplicate",
            Self::Reorder { .. } => "reorder",
            Self::Slow { .. } => "slow",
            Self::Narrow { .. } => "narrow",
            Self::Corrupt { .. } => "corrupt",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::KillInIo { .. } => "kill-in-io",
            Self::Restart => "restart",
            Self::Wipe => "wipe",
            Self::Restore { .. } => "restore",
            Self::Clone => "clone",
            Self::Churn { .. } => "churn",
            Self::ClockOffset { .. } => "clock-offset",
            Self::ClockDrift { .. } => "clock-drift",
            Self::ClockStep { .. } => "clock-step",
            Self::LoseUnsynced => "lose-unsynced",
            Self::TornWrite => "torn-write",
            Self::IoError { .. } => "io-error",
            Self::DiskFull => "disk-full",
            Self::BitRot { .. } => "bit-rot",
            Self::Hostile { .. } => "hostile",
        }
    }

    /// Whether it needs a disk that can fail.
    pub fn needs_disk(&self) -> bool {
        DISK_KINDS.contains(&self.name())
    }

    /// Whether it lasts while it is there, rather than being over in a moment. A process that dies
    /// lasts too: until it starts again.
    pub fn lasts(&self) -> bool {
        !matches!(self, Self::Clone | Self::ClockStep { .. } | Self::BitRot { .. })
    }
}

impl Serialize for Until {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Healed => serializer.serialize_str("healed"),
            Self::At(time) => time.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "healed" {
            return Ok(Self::Healed);
        }
        text.parse().map(Self::At).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        toml::from_str(text).expect(text)
    }

    fn times(fault: &Fault) -> Vec<(u64, u64)> {
        let seconds = |span: Span| span.0 / 1_000_000;
        let all = fault.occurrences(Span::seconds(100));
        all.into_iter().map(|occurrence| (seconds(occurrence.from), seconds(occurrence.to))).collect()
    }

    #[test]
    fn faults_come_when_the_file_says() {
        let rows: [(&str, &[(u64, u64)]); 6] = [
            ("kind = \"pause\"\nat = \"10s\"\nfor = \"5s\"", &[(10, 15)]),
            ("kind = \"pause\"\nat = \"10s\"\nuntil = \"healed\"", &[(10, 100)]),
            (
                "kind = \"pause\"\nat = \"10s\"\nfor = \"5s\"\nevery = \"30s\"\nuntil = \"60s\"",
                &[(10, 15), (40, 45)],
            ),
            ("kind = \"clock-step\"\nby = \"1h\"\nat = \"10s\"", &[(10, 10)]),
            ("kind = \"pause\"\nat = \"95s\"\nfor = \"20s\"", &[(95, 100)]),
            ("kind = \"pause\"\nat = \"200s\"\nfor = \"5s\"", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(times(&fault(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_fault_survives_writing_and_reading() {
        let text = "kind = \"partition\"\nshape = \"halves\"\nsides = [\"east\", \"west\"]\nat = \"1m\"\nfor = \"30s\"\n";
        let first = fault(text);
        let second = fault(&toml::to_string(&first).expect("a fault is TOML"));
        assert_eq!(first, second);
        assert_eq!(first.kind.name(), "partition");
    }
}
