//! What one frame meets on its way from node to node: latency, loss, doubling, overtaking, narrowness.
//!
//! Everything rides on streams that resend what the network loses, as TCP and QUIC do, so loss under
//! a request shows as delay. Gossip is treated more harshly than by a real stream: a lost gossip
//! frame stays lost, as it does when a node's send queue is full, so that repair has work to do.

use super::chance::Draws;
use super::queue::{MILLISECOND, SECOND, Time};
use crate::scenario::LinkShape;
use crate::scenario::network::{Latency, LinkOverrides};

/// Least time before a lost frame is sent again.
const RESEND_MIN: Time = 200 * MILLISECOND;
/// Times a frame is sent again before its connection counts as broken: with doubling, 25 s.
const RESENDS_MAX: u32 = 7;
/// Standard normal quantiles times 1,024 at the middles of 32 equal parts, upper half.
const NORMAL: [u64; 16] =
    [40, 120, 201, 284, 367, 453, 541, 634, 731, 834, 945, 1_067, 1_205, 1_368, 1_579, 2_206];

/// A link as the engine draws from it: integers only.
#[derive(Clone, Debug)]
pub struct Link {
    latency: Latency,
    loss_ppm: u32,
    burst: Option<(u32, u32)>,
    duplicate_ppm: u32,
    reorder_ppm: u32,
    /// Bits per second; zero is without end.
    bandwidth: u64,
    /// What faults add, with their numbers.
    pub(super) added: Vec<(usize, Added)>,
}

/// What a fault adds to a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Added {
    /// Loses this share, in parts per million.
    Loss(u32),
    /// Loses this share in bursts of this mean length.
    Burst(u32, u32),
    /// Doubles this share.
    Duplicate(u32),
    /// Lets this share be overtaken.
    Reorder(u32),
    /// Has this latency instead.
    Slow(Latency),
    /// Carries no more bits per second.
    Narrow(u64),
    /// Damages this share.
    Corrupt(u32),
}

/// The state of one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Frames sent.
    pub sent: u64,
    free_at: Time,
    last_arrival: Time,
    /// Frames left of the burst under way, for the link itself and for each added burst.
    burst_left: u32,
}

/// How a frame fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fare {
    /// When it arrives; `None` if it is lost.
    pub arrives: Option<Time>,
    /// When it arrives a second time, if it does.
    pub again: Option<Time>,
    /// It is damaged on the way.
    pub damaged: bool,
    /// Faults that did something to it.
    pub struck: Vec<usize>,
}

/// Whether a frame that is lost is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carriage {
    /// It is sent until it arrives.
    Stream,
    /// It is lost for good.
    Once,
}

/// A share from 0 to 1 in parts per million.
pub fn ppm(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u32
}

impl Link {
    /// A link of this shape.
    pub fn new(shape: &LinkShape) -> Self {
        Self {
            latency: shape.latency,
            loss_ppm: ppm(shape.loss),
            burst: shape.burst.map(|burst| (ppm(burst.share), burst.length.max(1.0) as u32)),
            duplicate_ppm: ppm(shape.duplicate),
            reorder_ppm: ppm(shape.reorder),
            bandwidth: shape.bandwidth.map_or(0, |bandwidth| bandwidth.0),
            added: Vec::new(),
        }
    }

    /// One draw of its latency.
    pub fn latency(&self, draws: &mut Draws) -> Time {
        let slow = self.added.iter().rev().find_map(|(_, added)| match added {
            Added::Slow(latency) => Some(*latency),
            _ => None,
        });
        drawn(slow.unwrap_or(self.latency), draws)
    }

    /// Sends a frame of `bytes` at `at`.
    pub fn send(&self, way: &mut Way, at: Time, bytes: usize, carriage: Carriage, draws: &mut Draws) -> Fare {
        way.sent += 1;
        let mut fare = Fare::default();
        let latency = self.latency(draws);
        let start = at.max(way.free_at);
        way.free_at = start + self.transmission(bytes, &mut fare);
        let mut arrives = way.free_at + latency;
        if self.added.iter().any(|(_, added)| matches!(added, Added::Slow(_))) {
            self.strike(&mut fare, |added| matches!(added, Added::Slow(_)));
        }
        let mut resend = RESEND_MIN.max(3 * latency);
        for attempt in 0.. {
            if !self.loses(way, draws, &mut fare) {
                break;
            }
            if carriage == Carriage::Once || attempt == RESENDS_MAX {
                return fare;
            }
            arrives += resend;
            resend *= 2;
        }
        let reordered = self.share(draws, self.reorder_ppm, &mut fare, |added| match added {
            Added::Reorder(ppm) => Some(ppm),
            _ => None,
        });
        if reordered && carriage == Carriage::Once {
            arrives += latency + draws.below(latency.max(MILLISECOND) * 2);
        } else {
            arrives = arrives.max(way.last_arrival);
            way.last_arrival = arrives;
        }
        let doubled = self.share(draws, self.duplicate_ppm, &mut fare, |added| match added {
            Added::Duplicate(ppm) => Some(ppm),
            _ => None,
        });
        fare.again = (doubled && carriage == Carriage::Once)
            .then(|| arrives + draws.between(latency, latency + SECOND));
        fare.damaged = self.share(draws, 0, &mut fare, |added| match added {
            Added::Corrupt(ppm) => Some(ppm),
            _ => None,
        });
        fare.arrives = Some(arrives);
        fare
    }

    fn transmission(&self, bytes: usize, fare: &mut Fare) -> Time {
        let narrow = self.added.iter().filter_map(|(fault, added)| match added {
            Added::Narrow(bits) => Some((*bits, *fault)),
            _ => None,
        });
        let narrowest = narrow.min();
        let bandwidth = match narrowest {
            Some((bits, fault)) if self.bandwidth == 0 || bits < self.bandwidth => {
                fare.struck.push(fault);
                bits
            }
            _ => self.bandwidth,
        };
        if bandwidth == 0 { 0 } else { (bytes as u64 + 60) * 8 * 1_000_000 / bandwidth.max(1) }
    }

    fn strike(&self, fare: &mut Fare, which: impl Fn(&Added) -> bool) {
        fare.struck.extend(self.added.iter().filter(|(_, added)| which(added)).map(|(fault, _)| *fault));
    }

    fn loses(&self, way: &mut Way, draws: &mut Draws, fare: &mut Fare) -> bool {
        if way.burst_left > 0 {
            way.burst_left -= 1;
            self.strike(fare, |added| matches!(added, Added::Burst(..)));
            return true;
        }
        let mut lost = draws.happens(self.loss_ppm);
        let own = self.burst.map(|(share, length)| (None, share, length));
        let added = self.added.iter().filter_map(|(fault, added)| match added {
            Added::Burst(share, length) => Some((Some(*fault), *share, *length)),
            _ => None,
        });
        for (fault, share, length) in own.into_iter().chain(added) {
            // A burst of this mean length begins so often that its frames make up the share.
            let begins = share / length.max(1);
            if draws.happens(begins.max(u32::from(share > 0))) {
                way.burst_left = draws.exponential(u64::from(length)) as u32;
                fare.struck.extend(fault);
                lost = true;
            }
        }
        let (mut struck, before) = (Vec::new(), lost);
        for (fault, added) in &self.added {
            if let Added::Loss(share) = added
                && draws.happens(*share)
            {
                struck.push(*fault);
            }
        }
        lost = before || !struck.is_empty();
        fare.struck.append(&mut struck);
        lost
    }

    fn share(
        &self,
        draws: &mut Draws,
        own: u32,
        fare: &mut Fare,
        which: impl Fn(Added) -> Option<u32>,
    ) -> bool {
        let mut happens = draws.happens(own);
        for (fault, added) in &self.added {
            if let Some(share) = which(*added)
                && draws.happens(share)
            {
                fare.struck.push(*fault);
                happens = true;
            }
        }
        happens
    }
}

/// The shape after a scenario's overrides.
pub fn shaped(shape: LinkShape, overrides: &[LinkOverrides]) -> LinkShape {
    overrides.iter().fold(shape, |shape, over| over.over(shape))
}

fn drawn(latency: Latency, draws: &mut Draws) -> Time {
    let latency = match latency {
        Latency::Constant { mean } => mean.0,
        Latency::Uniform { min, max } => draws.between(min.0, max.0.max(min.0)),
        Latency::Exponential { min, mean } => min.0 + draws.exponential(mean.0.saturating_sub(min.0)),
        Latency::Normal { mean, deviation } => {
            let draw = draws.below(32) as usize;
            let away = NORMAL[draw % 16] * deviation.0 / 1_024;
            if draw < 16 { mean.0 + away } else { mean.0.saturating_sub(away) }
        }
    };
    latency.max(1)
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Chance, Purpose};
    use super::*;
    use crate::scenario::{Preset, Region};

    fn plain() -> Link {
        Link::new(&Preset::Lan.link(Region::Europe, Region::Europe))
    }

    fn fares(link: &Link, carriage: Carriage) -> Vec<Fare> {
        let mut way = Way::default();
        let mut draws = Chance::new(3).stream(Purpose::Latency, 0, 0);
        (0..10_000).map(|frame| link.send(&mut way, frame * SECOND, 100, carriage, &mut draws)).collect()
    }

    #[test]
    fn what_faults_add_happens_as_often_as_they_say_and_is_counted_for_them() {
        type Seen = fn(&Fare) -> bool;
        let rows: [(Added, Seen); 5] = [
            (Added::Loss(100_000), |fare| fare.arrives.is_none()),
            (Added::Burst(100_000, 5), |fare| fare.arrives.is_none()),
            (Added::Duplicate(100_000), |fare| fare.again.is_some()),
            (Added::Reorder(100_000), |fare| !fare.struck.is_empty()),
            (Added::Corrupt(100_000), |fare| fare.damaged),
        ];
        for (added, seen) in rows {
            let mut link = plain();
            link.added.push((7, added));
            let fares = fares(&link, Carriage::Once);
            let hits = fares.iter().filter(|fare| seen(fare)).count();
            assert!((700..1_300).contains(&hits), "{added:?}: {hits}");
            assert!(fares.iter().filter(|fare| seen(fare)).all(|fare| fare.struck.contains(&7)), "{added:?}");
        }
    }

    #[test]
    fn a_stream_loses_nothing_and_keeps_its_order() {
        let mut link = plain();
        link.added.push((0, Added::Loss(200_000)));
        link.added.push((1, Added::Reorder(500_000)));
        let arrivals: Vec<Time> =
            fares(&link, Carriage::Stream).into_iter().filter_map(|fare| fare.arrives).collect();
        assert!(arrivals.len() >= 9_999);
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn a_narrow_link_takes_its_time() {
        let mut link = plain();
        link.added.push((0, Added::Narrow(8_000)));
        let mut way = Way::default();
        let mut draws = Chance::new(3).stream(Purpose::Latency, 0, 0);
        let fare = link.send(&mut way, 0, 940, Carriage::Stream, &mut draws);
        assert!(fare.arrives.unwrap() >= SECOND, "{fare:?}");
    }
}
