//! What links are like, and who knows whom at the start.
//!
//! A preset gives every pair of nodes a latency, a bandwidth and a loss; the keys beside it override
//! single figures, and `[[network.link]]` overrides them between selected nodes.

use serde::{Deserialize, Serialize};

use super::quantity::{Bandwidth, Span};
use super::selector::Selector;

/// The network section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// Where the figures come from that this section does not say itself.
    #[serde(default)]
    pub preset: Preset,
    /// Overrides for every link.
    #[serde(default, flatten)]
    pub all: LinkOverrides,
    /// Overrides between selected nodes, later ones over earlier ones.
    #[serde(default, rename = "link", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkPlan>,
}

/// Overrides for links between two selections of nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// One end.
    pub from: Selector,
    /// The other end.
    pub to: Selector,
    /// Only from `from` to `to`, not back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_way: bool,
    /// What differs from the preset.
    #[serde(flatten)]
    pub shape: LinkOverrides,
}

/// Figures of a link that a scenario sets itself; absent ones come from the preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkOverrides {
    /// How long one frame travels one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Share of frames lost, each by itself, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Loss in bursts beside the independent loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Share of frames that arrive twice, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<f64>,
    /// Share of frames that overtake others, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<f64>,
    /// How much a link carries each way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// A distribution of one-way latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Latency {
    /// Always the same.
    Constant {
        /// The latency.
        mean: Span,
    },
    /// Anything between two bounds, equally likely.
    Uniform {
        /// The least.
        min: Span,
        /// The most.
        max: Span,
    },
    /// A floor and an exponential tail above it, cut at ten times the mean.
    Exponential {
        /// The least.
        min: Span,
        /// The mean of the whole.
        mean: Span,
    },
    /// A normal distribution, cut at zero.
    Normal {
        /// The mean.
        mean: Span,
        /// The standard deviation.
        deviation: Span,
    },
}

/// Loss in bursts: the two-state model of Gilbert.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Share of frames lost over a long time, from 0 to 1.
    pub share: f64,
    /// Mean length of a burst, in frames.
    pub length: f64,
}

/// One link, complete: what the world works with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkShape {
    /// How long one frame travels one way.
    pub latency: Latency,
    /// Share of frames lost, each by itself.
    pub loss: f64,
    /// Loss in bursts.
    pub burst: Option<Burst>,
    /// Share of frames that arrive twice.
    pub duplicate: f64,
    /// Share of frames that overtake others.
    pub reorder: f64,
    /// How much it carries; `None` is without end.
    pub bandwidth: Option<Bandwidth>,
}

/// Figures for all links at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// One switch: 0.2 ms, 1 Gbit/s, no loss.
    #[default]
    Lan,
    /// Eight regions round the world with their measured latencies, 50 Mbit/s, 0.1 % loss.
    #[serde(rename = "wan-8")]
    Wan8,
    /// Phones and field laptops: 60 ms with a long tail, 10 Mbit/s, 1 % loss in bursts.
    Mobile,
    /// A ship: 300 ms one way over a geostationary satellite, 1 Mbit/s, 2 % loss in bursts.
    Satellite,
}

/// A region of the `wan-8` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// Europe.
    Europe,
    /// North America, east.
    NaEast,
    /// North America, west.
    NaWest,
    /// East Asia.
    EastAsia,
    /// West Asia.
    WestAsia,
    /// Australia.
    Australia,
    /// South America.
    SouthAmerica,
    /// South Africa.
    SouthAfrica,
}

/// Every region, in the order in which nodes without one are dealt over them.
pub const REGIONS: [Region; 8] = [
    Region::Europe,
    Region::NaEast,
    Region::NaWest,
    Region::EastAsia,
    Region::WestAsia,
    Region::Australia,
    Region::SouthAmerica,
    Region::SouthAfrica,
];

/// One-way latencies between regions in milliseconds, in the order of [`REGIONS`].
///
/// Source: libp2p/test-plans, `gossipsub-interop/network_graph.py` at 00f6cbd, the figures that the
/// gossipsub implementations are compared on. That list gives 195 ms from South America to South
/// Africa and 190 ms back, as here.
pub const WAN_8_MILLIS: [[u64; 8]; 8] = [
    [2, 70, 110, 125, 60, 165, 140, 95],
    [70, 2, 60, 140, 110, 150, 100, 130],
    [110, 60, 2, 100, 150, 110, 100, 160],
    [125, 140, 100, 4, 110, 110, 175, 175],
    [60, 110, 150, 110, 5, 180, 145, 110],
    [165, 150, 110, 110, 180, 2, 190, 220],
    [140, 100, 100, 175, 145, 190, 7, 195],
    [95, 130, 160, 175, 110, 220, 190, 7],
];

/// Who has whose address at the start; connect policy does the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Topology {
    /// Everyone has everyone's.
    #[default]
    Full,
    /// Each has the next one's, the last the first's.
    Ring,
    /// Each has its parent's.
    Tree {
        /// Children of one node.
        #[serde(default = "default_fanout")]
        fanout: u32,
    },
    /// Each has as many others', drawn from the seed so that the whole is connected.
    KRegular {
        /// How many.
        #[serde(default = "default_degree")]
        degree: u32,
    },
    /// A file beside the scenario: one pair of node names a line, `#` begins a comment.
    File {
        /// The file, relative to the scenario.
        path: String,
        /// Its pairs, filled in when the scenario is read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pairs: Vec<(String, String)>,
    },
}

fn default_fanout() -> u32 {
    2
}

fn default_degree() -> u32 {
    4
}

/// Spread of a latency round its mean on a wide-area path: a twentieth.
const WAN_DEVIATION_DIVISOR: u64 = 20;

impl Preset {
    /// The link from a node in one region to a node in another, before overrides.
    pub fn link(self, from: Region, to: Region) -> LinkShape {
        let plain = LinkShape {
            latency: Latency::Constant { mean: Span(0) },
            loss: 0.0,
            burst: None,
            duplicate: 0.0,
            reorder: 0.0,
            bandwidth: None,
        };
        match self {
            Self::Lan => LinkShape {
                latency: Latency::Uniform { min: Span(100), max: Span(300) },
                bandwidth: Some(Bandwidth(1_000_000_000)),
                ..plain
            },
            Self::Wan8 => {
                let mean = Span::millis(WAN_8_MILLIS[from as usize][to as usize]);
                let deviation = Span(mean.0 / WAN_DEVIATION_DIVISOR);
                LinkShape {
                    latency: Latency::Normal { mean, deviation },
                    loss: 0.001,
                    bandwidth: Some(Bandwidth(50_000_000)),
                    ..plain
                }
            }
            Self::Mobile => LinkShape {
                latency: Latency::Exponential { min: Span::millis(20), mean: Span::millis(60) },
                burst: Some(Burst { share: 0.01, length: 4.0 }),
                bandwidth: Some(Bandwidth(10_000_000)),
                ..plain
            },
            Self::Satellite => LinkShape {
                latency: Latency::Normal { mean: Span::millis(300), deviation: Span::millis(10) },
                burst: Some(Burst { share: 0.02, length: 8.0 }),
                bandwidth: Some(Bandwidth(1_000_000)),
                ..plain
            },
        }
    }
}

impl LinkOverrides {
    /// `shape` with what these overrides say.
    pub fn over(self, shape: LinkShape) -> LinkShape {
        LinkShape {
            latency: self.latency.unwrap_or(shape.latency),
            loss: self.loss.unwrap_or(shape.loss),
            burst: self.burst.or(shape.burst),
            duplicate: self.duplicate.unwrap_or(shape.duplicate),
            reorder: self.reorder.unwrap_or(shape.reorder),
            bandwidth: self.bandwidth.or(shape.bandwidth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_symmetric_but_for_the_one_pair_its_source_gives_twice() {
        let mut uneven = Vec::new();
        for (a, row) in WAN_8_MILLIS.iter().enumerate() {
            for (b, latency) in row.iter().enumerate().skip(a + 1) {
                if *latency != WAN_8_MILLIS[b][a] {
                    uneven.push((REGIONS[a], REGIONS[b]));
                }
            }
        }
        assert_eq!(uneven, [(Region::SouthAmerica, Region::SouthAfrica)]);
    }
}
