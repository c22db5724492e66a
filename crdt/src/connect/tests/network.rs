//! Networks of policies on virtual time: they connect, they are cut, they heal.

use std::collections::BinaryHeap;

use super::*;

/// Time from a dial to its result.
const LATENCY: Duration = Duration::from_millis(20);

struct Network {
    nodes: Vec<ConnectPolicy>,
    links: BTreeSet<(usize, usize)>,
    /// Which part of a partition each node is in.
    side: Vec<usize>,
    results: BinaryHeap<std::cmp::Reverse<(Moment, usize, DialTarget)>>,
    clock: Moment,
    dials: Vec<Moment>,
    rng: ChaCha8Rng,
}

impl Network {
    /// Everyone is a member and everyone's seed is node 0; addresses become known on connection.
    fn new(size: usize) -> Self {
        let mut nodes: Vec<_> = (0..size).map(|n| ConnectPolicy::new(key(n as u64))).collect();
        for node in &mut nodes[1..] {
            node.add_seed(at(0.0), address("node-0:1")).unwrap();
        }
        let (links, results) = (BTreeSet::new(), BinaryHeap::new());
        let clock = at(0.0);
        Self { nodes, links, side: vec![0; size], results, clock, dials: Vec::new(), rng: rng() }
    }

    fn number(target: &DialTarget) -> usize {
        match target {
            DialTarget::Peer(peer) => u64::from_be_bytes(peer.0[..8].try_into().unwrap()) as usize,
            DialTarget::Seed(_) => 0,
        }
    }

    /// The nodes that `n` reaches over links: what presence would call not away.
    fn reach(&self, n: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([n]);
        let mut open = vec![n];
        while let Some(at) = open.pop() {
            for (a, b) in &self.links {
                let other = if *a == at {
                    *b
                } else if *b == at {
                    *a
                } else {
                    continue;
                };
                if reached.insert(other) {
                    open.push(other);
                }
            }
        }
        reached
    }

    fn is_whole(&self) -> bool {
        self.reach(0).len() == self.nodes.len()
    }

    fn now(&self) -> Now {
        Now { monotonic: self.clock, wall: WallTime(0) }
    }

    fn up(&mut self, from: usize, to: usize, target: DialTarget) {
        let now = self.now();
        if from == to {
            let direction = Direction::Outbound(target);
            self.nodes[from].on_peer_up(now, &mut self.rng, key(to as u64), &direction);
            return;
        }
        self.links.insert((from.min(to), from.max(to)));
        let direction = Direction::Outbound(target);
        self.nodes[from].on_peer_up(now, &mut self.rng, key(to as u64), &direction);
        self.nodes[to].on_peer_up(now, &mut self.rng, key(from as u64), &Direction::Inbound);
        // Beacons and exchanges spread addresses through everything that hangs together.
        let group: Vec<usize> = self.reach(from).into_iter().collect();
        for here in &group {
            for there in &group {
                let addresses = [address(&format!("node-{there}:1"))];
                let peer = key(*there as u64);
                let source = AddressSource::Beacon;
                self.nodes[*here].on_addresses(self.clock, &mut self.rng, peer, &addresses, source);
            }
        }
    }

    fn down(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            self.nodes[a].on_peer_down(self.clock, &mut self.rng, key(b as u64));
            self.nodes[b].on_peer_down(self.clock, &mut self.rng, key(a as u64));
        }
    }

    fn cut(&mut self, side: impl Fn(usize) -> usize) {
        self.side = (0..self.nodes.len()).map(side).collect();
        for (a, b) in self.links.clone() {
            if self.side[a] != self.side[b] {
                self.down(a, b);
            }
        }
    }

    /// Runs until `end` or until `done`.
    fn run(&mut self, end: Moment, done: impl Fn(&Self) -> bool) {
        while self.clock < end && !done(self) {
            while self.results.peek().is_some_and(|result| result.0.0 <= self.clock) {
                let std::cmp::Reverse((_, from, target)) = self.results.pop().unwrap();
                let to = Self::number(&target);
                if self.side[from] == self.side[to] {
                    self.up(from, to, target);
                } else {
                    self.nodes[from].on_dial_failed(self.clock, &mut self.rng, &target);
                }
            }
            for n in 0..self.nodes.len() {
                if self.nodes[n].next_wakeup().is_some_and(|wakeup| wakeup <= self.clock) {
                    self.tick(n);
                }
            }
            let wakeups = self.nodes.iter().filter_map(ConnectPolicy::next_wakeup);
            let next = wakeups.chain(self.results.peek().map(|result| result.0.0)).min();
            self.clock = next.unwrap_or(end).max(Moment(self.clock.0 + 1)).min(end);
        }
    }

    fn tick(&mut self, n: usize) {
        let reach = self.reach(n);
        let others = (0..self.nodes.len()).filter(|other| *other != n);
        let members: Vec<Wanted> =
            others.map(|other| Wanted { peer: key(other as u64), away: !reach.contains(&other) }).collect();
        let actions = tick(&mut self.nodes[n], self.clock, &mut self.rng, &members);
        let next = self.nodes[n].next_wakeup();
        assert!(next.is_none_or(|next| next > self.clock), "node {n} would spin");
        for action in actions {
            match action {
                ConnectAction::Dial { target, .. } => {
                    self.dials.push(self.clock);
                    self.results.push(std::cmp::Reverse((self.clock + LATENCY, n, target)));
                }
                ConnectAction::Disconnect { peer, .. } => {
                    self.down(n, Self::number(&DialTarget::Peer(peer)));
                }
            }
        }
    }

    fn dials_between(&self, from: Moment, to: Moment) -> usize {
        self.dials.iter().filter(|dial| (from..to).contains(dial)).count()
    }
}

#[test]
fn a_small_cut_of_hours_heals_within_a_minute_without_a_storm() {
    let mut network = Network::new(5);
    network.run(at(30.0), Network::is_whole);
    assert!(network.is_whole());
    network.run(at(30.0), |_| false);
    assert_eq!(network.links.len(), 10, "five nodes connect each with each");
    network.cut(|n| usize::from(n >= 3));
    let cut = network.clock;
    let heal = cut + Duration::from_secs(6 * 3_600);
    network.run(heal, |_| false);
    assert!(!network.is_whole());
    let idle = network.dials_between(heal, heal) + network.dials_between(at(3_600.0), heal);
    let pairs_and_seeds = 12 + 2;
    let hours = heal.since(at(3_600.0)).as_secs() as usize;
    assert!(idle <= pairs_and_seeds * hours / 30, "{idle} dials while cut");
    network.cut(|_| 0);
    network.run(heal + Duration::from_secs(60), Network::is_whole);
    assert!(network.is_whole(), "healed within a minute");
    network.run(heal + Duration::from_secs(120), |network| network.links.len() == 10);
    assert_eq!(network.links.len(), 10, "and complete again soon after");
    assert!(network.dials_between(heal, network.clock) <= 60);
}

#[test]
fn halves_that_have_connections_enough_still_find_each_other() {
    let mut network = Network::new(40);
    network.run(at(120.0), |_| false);
    assert!(network.is_whole());
    network.cut(|n| n % 2);
    let heal = network.clock + Duration::from_secs(1_800);
    network.run(heal, |_| false);
    assert!(!network.is_whole());
    for n in 0..40 {
        let degree = network.nodes[n].connected().count();
        assert!((DEGREE_TARGET..=DEGREE_HIGH).contains(&degree), "node {n}: {degree}");
    }
    network.cut(|_| 0);
    network.run(heal + Duration::from_secs(60), Network::is_whole);
    assert!(network.is_whole());
}

#[test]
fn a_fleet_that_starts_at_once_spreads_away_from_its_seed() {
    let mut network = Network::new(60);
    network.run(at(300.0), |_| false);
    assert!(network.is_whole());
    for (n, node) in network.nodes.iter().enumerate() {
        let degree = node.connected().count();
        assert!(degree >= DEGREE_TARGET, "node {n}: {degree}");
        // Everyone's seed may keep what its peers do not let go of, as they never close a seed.
        assert!(degree <= DEGREE_HIGH, "node {n}: {degree}");
    }
    let late = network.dials_between(at(200.0), at(300.0));
    assert!(late <= 60, "{late} dials in the last 100 s of calm");
}
