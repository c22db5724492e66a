//! Every key of a scenario file: what it means, what it may be.

use super::shape::{Field, Shape, Variant, may, must};
use super::{NODES_MAX, SCENARIO_VERSION};

/// A share.
const SHARE: Shape = Shape::Number(0.0, 1.0);

/// A share of which zero would make the fault one that never fires.
const SOME: Shape = Shape::Number(0.000_001, 1.0);

/// A count of nodes.
const NODES: Shape = Shape::Whole(1, NODES_MAX as i64);

/// Regions of the `wan-8` matrix.
const REGION_NAMES: &[&str] =
    &["europe", "na-east", "na-west", "east-asia", "west-asia", "australia", "south-america", "south-africa"];

const BEHAVIOURS: &[&str] =
    &["honest", "garbage", "forge", "alter", "replay", "withhold", "orphan-flood", "poison"];

const HOSTILITIES: &[&str] = &["garbage", "forge", "alter", "replay", "withhold", "orphan-flood", "poison"];

/// Names of every kind of fault.
pub(crate) const FAULT_KINDS: &[&str] = &[
    "partition",
    "loss",
    "burst",
    "duplicate",
    "reorder",
    "slow",
    "narrow",
    "corrupt",
    "pause",
    "crash",
    "kill-in-io",
    "restart",
    "wipe",
    "restore",
    "clone",
    "churn",
    "clock-offset",
    "clock-drift",
    "clock-step",
    "lose-unsynced",
    "torn-write",
    "io-error",
    "disk-full",
    "bit-rot",
    "hostile",
];

/// The whole file.
pub(crate) const SCENARIO: Shape = Shape::Table(&[
    must(
        "version",
        Shape::Whole(SCENARIO_VERSION as i64, SCENARIO_VERSION as i64),
        "The version of the format: 1.",
    ),
    may(
        "extends",
        Shape::Text,
        "A file beside this one, or the name of a shipped scenario, that this one changes.",
    ),
    must("name", Shape::Text, "A short name."),
    must("summary", Shape::Text, "What happens, in a sentence."),
    must("learn", Shape::Text, "What running it teaches, in a sentence."),
    must("duration", Shape::Span, "How long the workload runs; at its end every fault is healed."),
    may("drain", Shape::Span, "How long the healed fleet may take to settle. Default 120s."),
    may("seed", Shape::Whole(0, i64::MAX), "The seed of the pinned run. Default 1."),
    must("group", Shape::List(&GROUP), "The fleet: groups of like nodes."),
    may("network", NETWORK, "What links are like."),
    may("topology", TOPOLOGY, "Who has whose address at the start."),
    may("workload", WORKLOAD, "What is written."),
    may("fault", Shape::List(&FAULT), "What goes wrong, and when."),
    may("random", RANDOM, "Faults drawn anew from each seed."),
    must("expect", EXPECT, "What must hold beyond the invariants."),
]);

const GROUP: Shape = Shape::Table(&[
    must("name", Shape::Text, "Its name; nodes are called name-0, name-1, …."),
    must("count", NODES, "How many nodes."),
    may("role", Shape::Choice(&["reader", "writer", "admin"]), "What their keys may do. Default writer."),
    may(
        "region",
        Shape::Choice(REGION_NAMES),
        "Where they stand in wan-8; without it they are dealt over all regions.",
    ),
    may("clock", CLOCK, "How their clocks go."),
    may("disk", DISK, "What they store on."),
    may("behaviour", Shape::Choice(BEHAVIOURS), "Whether they keep to the protocol. Default honest."),
]);

const CLOCK: Shape = Shape::Table(&[
    may("offset", Shape::Offset, "How far the wall clock is ahead at the start."),
    may(
        "drift_ppm",
        Shape::Number(-100_000.0, 100_000.0),
        "How much too fast it runs, in parts per million.",
    ),
]);

const DISK: Shape = Shape::Table(&[
    may(
        "kind",
        Shape::Choice(&["memory", "redb"]),
        "Which store: the one that ships on a simulated disk, or one in memory for large fleets. Default redb.",
    ),
    may("sync", Shape::Span, "How long one durable sync takes. Default 1ms."),
    may(
        "capacity",
        Shape::Size,
        "How much fits; a store that has reached it refuses writes. Default: no end.",
    ),
]);

const LATENCY: Shape = Shape::Tagged {
    tag: "distribution",
    common: &[],
    variants: &[
        Variant {
            name: "constant",
            words: "Always the same.",
            fields: &[must("mean", Shape::Span, "The latency.")],
        },
        Variant {
            name: "uniform",
            words: "Anything between two bounds.",
            fields: &[must("min", Shape::Span, "The least."), must("max", Shape::Span, "The most.")],
        },
        Variant {
            name: "exponential",
            words: "A floor and an exponential tail.",
            fields: &[
                must("min", Shape::Span, "The least."),
                must("mean", Shape::Span, "The mean of the whole."),
            ],
        },
        Variant {
            name: "normal",
            words: "A normal distribution, cut at zero.",
            fields: &[
                must("mean", Shape::Span, "The mean."),
                must("deviation", Shape::Span, "The standard deviation."),
            ],
        },
    ],
};

const BURST: Shape = Shape::Table(&[
    must("share", SHARE, "Share of frames lost over a long time."),
    must("length", Shape::Number(1.0, 10_000.0), "Mean length of a burst, in frames."),
]);

const LINK: Shape = Shape::Table(&[
    must("from", Shape::Selector, "One end."),
    must("to", Shape::Selector, "The other end."),
    may("one_way", Shape::Flag, "Only in this direction. Default false."),
    may("latency", LATENCY, "How long one frame travels one way."),
    may("loss", SHARE, "Share of frames lost, each by itself."),
    may("burst", BURST, "Loss in bursts."),
    may("duplicate", SHARE, "Share of frames that arrive twice."),
    may("reorder", SHARE, "Share of frames that overtake others."),
    may("bandwidth", Shape::Bandwidth, "How much the link carries each way."),
]);

const NETWORK: Shape = Shape::Table(&[
    may(
        "preset",
        Shape::Choice(&["lan", "wan-8", "mobile", "satellite"]),
        "Where figures come from that this section does not say. Default lan.",
    ),
    may("latency", LATENCY, "How long one frame travels one way, on every link."),
    may("loss", SHARE, "Share of frames lost, each by itself."),
    may("burst", BURST, "Loss in bursts."),
    may("duplicate", SHARE, "Share of frames that arrive twice."),
    may("reorder", SHARE, "Share of frames that overtake others."),
    may("bandwidth", Shape::Bandwidth, "How much each link carries each way."),
    may("link", Shape::List(&LINK), "Figures between selected nodes."),
]);

const TOPOLOGY: Shape = Shape::Tagged {
    tag: "kind",
    common: &[],
    variants: &[
        Variant { name: "full", words: "Everyone has everyone's.", fields: &[] },
        Variant { name: "ring", words: "Each has the next one's.", fields: &[] },
        Variant {
            name: "tree",
            words: "Each has its parent's.",
            fields: &[may("fanout", Shape::Whole(1, 1_000), "Children of one node. Default 2.")],
        },
        Variant {
            name: "k-regular",
            words: "Each has as many others'.",
            fields: &[may("degree", Shape::Whole(2, 64), "How many. Default 4.")],
        },
        Variant {
            name: "file",
            words: "Pairs of node names in a file.",
            fields: &[
                must(
                    "path",
                    Shape::Text,
                    "The file, relative to the scenario: one pair of node names a line.",
                ),
                may(
                    "pairs",
                    Shape::List(&Shape::List(&Shape::Text)),
                    "Its pairs, where the scenario travels without the file.",
                ),
            ],
        },
    ],
};

const WEIGHT: Shape = Shape::Whole(0, 1_000_000);

const WORKLOAD: Shape = Shape::Table(&[
    may("rate", Shape::Number(0.0, 100_000.0), "Writes per second in all. Default 1."),
    may("documents", Shape::Whole(1, 1_000_000), "Among how many documents. Default 100."),
    may(
        "skew",
        Shape::Number(0.0, 3.0),
        "How uneven the choice of documents is: 0 is even, 1 as words in a language.",
    ),
    may("conflicts", SHARE, "Share of writes that follow another node's to the same place at once."),
    may("value", Shape::Size, "How long a written value is. Default 100B."),
    may("writers", Shape::Selector, "Who writes. Default all."),
    may("from", Shape::Span, "When writing begins. Default 0s."),
    may("until", Shape::Span, "When it ends. Default: with the duration."),
    may("mix", MIX, "How often each kind of edit is chosen. Default only map."),
    may("retries", SHARE, "Share of writes sent a second time with the same request id."),
]);

const MIX: Shape = Shape::Table(&[
    may("map", WEIGHT, "Setting a member of a map. Default 1."),
    may("list", WEIGHT, "Inserting into and deleting from a list."),
    may("text", WEIGHT, "Splicing text."),
    may("counter", WEIGHT, "Adding to a counter."),
]);

const RANDOM: Shape = Shape::Table(&[
    must("faults", Shape::Whole(1, 1_000), "How many faults one run draws at most."),
    may("longest", Shape::Span, "The longest a drawn fault lasts. Default 30s."),
    may(
        "kinds",
        Shape::List(&Shape::Choice(FAULT_KINDS)),
        "Kinds to draw from. Default: all after which no acknowledged write may be missing.",
    ),
    may("percent", Shape::Number(0.1, 100.0), "Largest share of the fleet one fault may touch. Default 40."),
]);

const EXPECT: Shape = Shape::Table(&[
    may(
        "converges_within",
        Shape::Span,
        "After the last heal, every honest node shows the same within this time.",
    ),
    may(
        "no_lost_writes",
        Shape::Flag,
        "Every acknowledged write of an honest node is held by every honest node at the end.",
    ),
    may(
        "writes_accepted_min",
        SHARE,
        "Share of attempted writes that running, unharmed nodes acknowledge, at least.",
    ),
    may("propagation_p99_max", Shape::Span, "Time to 99 of 100 nodes that could be reached, at most."),
    may("bytes_max", Shape::Size, "Bytes sent by all nodes together, at most."),
    may("redundancy_max", Shape::Number(0.0, 1_000.0), "Redundant bytes for each useful byte, at most."),
    may(
        "idle_bytes_per_second_max",
        Shape::Number(0.0, 1e9),
        "Bytes a second and node when nothing is written any more, at most.",
    ),
    may("queue_max", Shape::Whole(0, 1_000_000), "Inputs waiting at any node at any time, at most."),
    may("orphan_bytes_max", Shape::Size, "Bytes of orphans at any node at any time, at most."),
    may(
        "offences_min",
        Shape::Whole(1, 1_000_000),
        "Offences that honest nodes charged to hostile ones, at least.",
    ),
    may(
        "false_offences_max",
        Shape::Whole(0, 1_000_000),
        "Offences that honest nodes charged to honest ones, at most.",
    ),
    may(
        "reports_per_outage_max",
        Shape::Whole(0, 1_000),
        "Reports that a node is away or back, for each time it could not be reached, at most.",
    ),
    may(
        "false_aways_max",
        Shape::Whole(0, 1_000_000),
        "Times that a node is called away that has been within reach for 10 s, at most.",
    ),
    may("away_within", Shape::Span, "Time until a node that died is called away everywhere, at most."),
]);

const FLAP: Shape = Shape::Table(&[
    must("cut", Shape::Span, "How long it is cut each time."),
    must("whole", Shape::Span, "How long it is whole each time."),
]);

const SHAPES: &[&str] = &["halves", "ways", "isolate", "bridge", "one-way", "non-transitive", "swizzle-clog"];

const RATE: Field = must("rate", SOME, "Share of frames, above 0 to 1.");

const FAULT: Shape = Shape::Tagged {
    tag: "kind",
    common: &[
        must("at", Shape::Span, "When it begins."),
        may("for", Shape::Span, "How long it lasts."),
        may("every", Shape::Span, "How long from one beginning to the next."),
        may("until", Shape::Until, "When it stops, or stops coming; \"healed\" is the end of the duration."),
        may("on", Shape::Selector, "Whom it strikes. Default all."),
    ],
    variants: &[
        Variant {
            name: "partition",
            words: "Links between some of the nodes carry nothing.",
            fields: &[
                must("shape", Shape::Choice(SHAPES), "Which links."),
                may("sides", Shape::List(&Shape::Selector), "The sides; without them they are drawn."),
                may("count", NODES, "How many sides (ways) or nodes alone (isolate)."),
                may("flap", FLAP, "The cut opens and closes all the while."),
                may("heal_over", Shape::Span, "Links come back one after the other over this time."),
            ],
        },
        Variant { name: "loss", words: "Links lose frames, each by itself.", fields: &[RATE] },
        Variant {
            name: "burst",
            words: "Links lose frames in bursts.",
            fields: &[
                RATE,
                must("length", Shape::Number(1.0, 10_000.0), "Mean length of a burst, in frames."),
            ],
        },
        Variant { name: "duplicate", words: "Links deliver frames twice.", fields: &[RATE] },
        Variant { name: "reorder", words: "Frames overtake others.", fields: &[RATE] },
        Variant {
            name: "slow",
            words: "Links have another latency.",
            fields: &[must("latency", LATENCY, "How long one frame travels one way.")],
        },
        Variant {
            name: "narrow",
            words: "Links carry no more than this.",
            fields: &[must("bandwidth", Shape::Bandwidth, "How much.")],
        },
        Variant {
            name: "corrupt",
            words: "Links damage frames, which breaks the connection.",
            fields: &[RATE],
        },
        Variant { name: "pause", words: "The process stands still and goes on afterwards.", fields: &[] },
        Variant {
            name: "crash",
            words: "The process dies, unsynced writes are lost; it starts again afterwards.",
            fields: &[],
        },
        Variant {
            name: "kill-in-io",
            words: "The process dies inside a disk operation.",
            fields: &[must("step", Shape::Whole(1, 1_000_000), "Which one, the first is 1.")],
        },
        Variant {
            name: "restart",
            words: "The process stops in order and starts again afterwards.",
            fields: &[],
        },
        Variant {
            name: "wipe",
            words: "Its data directory is emptied; it starts again with its old key.",
            fields: &[],
        },
        Variant {
            name: "restore",
            words: "Its data directory becomes what it was some time ago.",
            fields: &[must("age", Shape::Span, "How long ago the backup was made.")],
        },
        Variant {
            name: "clone",
            words: "A second process starts from a copy of the data directory.",
            fields: &[],
        },
        Variant {
            name: "churn",
            words: "Processes die and start again all the time.",
            fields: &[
                must("up", Shape::Span, "Mean time a process runs."),
                must("down", Shape::Span, "Mean time it is down."),
            ],
        },
        Variant {
            name: "clock-offset",
            words: "Wall clocks are ahead while it lasts.",
            fields: &[must("by", Shape::Offset, "How far.")],
        },
        Variant {
            name: "clock-drift",
            words: "Clocks run too fast while it lasts.",
            fields: &[must("ppm", Shape::Number(-500_000.0, 500_000.0), "By how many parts per million.")],
        },
        Variant {
            name: "clock-step",
            words: "Wall clocks jump, for good.",
            fields: &[must("by", Shape::Offset, "How far.")],
        },
        Variant {
            name: "lose-unsynced",
            words: "Power fails: unsynced writes are lost, all or some.",
            fields: &[],
        },
        Variant { name: "torn-write", words: "Power fails while a write is half done.", fields: &[] },
        Variant { name: "io-error", words: "Disk operations fail while it lasts.", fields: &[RATE] },
        Variant { name: "disk-full", words: "The disk takes no more bytes while it lasts.", fields: &[] },
        Variant {
            name: "bit-rot",
            words: "Stored bits flip, once.",
            fields: &[must("bits", Shape::Whole(1, 100_000), "How many.")],
        },
        Variant {
            name: "hostile",
            words: "The nodes leave the protocol while it lasts.",
            fields: &[must("does", Shape::Choice(HOSTILITIES), "What they do.")],
        },
    ],
};
