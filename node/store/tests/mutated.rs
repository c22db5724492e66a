//! A store file damaged in thousands of ways: it opens with every acknowledged write, or says what is
//! wrong, and what history still holds is rebuilt. Nothing panics, nothing hangs, nothing is lost in silence.
//!
//! `STARLING_TEST_MUTATIONS=10000` asks for more than the suite has time for.

mod life;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use life::{Life, STEPS, Shown, options, rows};
use redb::StorageBackend;
use starling_crdt::store::{MemoryStore, Store, Table};
use starling_crdt::verify::{Mend, verify};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{RedbStore, Salvage};

/// Mutations in every run of the tests.
const MUTATIONS: u64 = 300;

/// How long one mutated file may take; a walk in circles takes for ever.
const MUTATION_TIME_MAX: Duration = Duration::from_secs(60);

/// As many as `starling verify --repair` makes.
const REPAIR_PASSES: usize = 3;

const PAGE: u64 = 4096;

/// What came of one mutation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It opens, and every row is as it was.
    Whole,
    /// It opens as if a kill had cut the last commit short.
    CutShort,
    /// It is refused, and nothing of it can be read.
    Refused,
    /// It is refused, and a new store of what can be read shows everything.
    Rebuilt,
    /// It is refused, and what a new store lacks is named.
    RebuiltInPart,
}

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A disk as a life left it.
struct Lived {
    disk: LossyBackend,
    shown: Shown,
    rows: Rows,
    /// What a kill in the middle of the last commit would have left, which damage to that commit alone cannot be
    /// told from.
    cut_short: Option<(Rows, Shown)>,
}

/// A life's disk: closed in order, or as a kill leaves it.
fn lived(closed: bool) -> Lived {
    let disk = LossyBackend::new();
    let mut life = Life::on(&disk, 1).unwrap();
    for step in 0..STEPS {
        assert!(life.step(step));
    }
    let shown = life.shown().unwrap();
    if closed {
        drop(life);
    }
    let disk = disk.restart(Loss::Nothing);
    let opened =
        |disk: LossyBackend| RedbStore::with_backend(disk, options()).map(|store| self::rows(&store));
    let rows = opened(disk.restart(Loss::Nothing)).unwrap();
    let without = |page: u64| {
        let damaged = disk.restart(Loss::Nothing);
        damaged.write(page * PAGE, &[0; PAGE as usize]).unwrap();
        let left = opened(damaged.clone()).ok().filter(|left| *left != rows)?;
        Some((left, Life::on(&damaged, 2).unwrap().shown().unwrap()))
    };
    // The log lies behind the first block.
    let log = 1..=(options().log_bytes as u64 / PAGE);
    let cut_short: Vec<(Rows, Shown)> = log.filter_map(without).collect();
    assert!(cut_short.len() == usize::from(!closed), "{} of the log's blocks are the last", cut_short.len());
    Lived { disk, shown, rows, cut_short: cut_short.into_iter().next() }
}

struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Where redb's pages begin: behind the first block and the log.
fn pages_start() -> u64 {
    PAGE + options().log_bytes as u64
}

/// The file and how it is damaged.
struct Mutation<'a> {
    disk: &'a LossyBackend,
    draws: Draws,
    /// Pages that hold anything: damage elsewhere shows nothing.
    pages: &'a [u64],
}

impl Mutation<'_> {
    fn page(&mut self) -> u64 {
        // The first page says how everything else is read, and redb's first how its pages are.
        match self.draws.below(12) {
            0 => 0,
            1 => pages_start(),
            _ => self.pages[self.draws.below(self.pages.len() as u64) as usize] * PAGE,
        }
    }

    fn place(&mut self) -> u64 {
        let page = self.page();
        let within = match page {
            0 => 64,
            page if page == pages_start() => 512,
            _ => PAGE,
        };
        page + self.draws.below(within)
    }

    fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.disk.read(at, &mut bytes).unwrap();
        bytes
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        self.disk.write(at, bytes).unwrap();
    }

    /// Does the damage, and tells it.
    fn apply(&mut self) -> String {
        let len = self.disk.len().unwrap();
        match self.draws.below(6) {
            0 => {
                let flips = 1 + self.draws.below(3);
                let places: Vec<u64> = (0..flips).map(|_| self.flip()).collect();
                format!("bits flipped at {places:?}")
            }
            1 => format!("a bit flipped at {}", self.flip()),
            2 => {
                // An empty file is a new one.
                let to = [1 + self.draws.below(len - 1), (1 + self.draws.below(len / PAGE - 1)) * PAGE];
                let to = to[self.draws.below(2) as usize];
                self.disk.set_len(to).unwrap();
                format!("cut from {len} to {to}")
            }
            3 => {
                let (from, to) = (self.place(), self.place());
                let length = (1 + self.draws.below(2_000)).min(len - from).min(len - to);
                self.write(to, &self.bytes(from, length));
                format!("{length} bytes of {from} laid over {to}")
            }
            4 => {
                let page = self.page();
                self.write(page, &[0; PAGE as usize]);
                format!("page at {page} zeroed")
            }
            _ => {
                let (one, other) = (self.page(), self.page());
                let (first, second) = (self.bytes(one, PAGE), self.bytes(other, PAGE));
                self.write(one, &second);
                self.write(other, &first);
                format!("pages at {one} and {other} swapped")
            }
        }
    }

    fn flip(&mut self) -> u64 {
        let at = self.place();
        let bit = self.draws.below(8);
        self.write(at, &[self.bytes(at, 1)[0] ^ (1 << bit)]);
        at
    }
}

/// What became of a damaged disk. Panics where something was lost in silence.
fn outcome(disk: &LossyBackend, lived: &Lived) -> Outcome {
    let before = disk.contents();
    match RedbStore::with_backend(disk.clone(), options()) {
        Ok(store) => {
            let (left, whole) = (rows(&store), &lived.rows);
            let is_cut_short = lived.cut_short.as_ref().is_some_and(|(rows, _)| *rows == left);
            let gone: Vec<_> = whole.keys().filter(|key| left.get(*key) != whole.get(*key)).collect();
            let is_whole = gone.is_empty() && left.len() == whole.len();
            assert!(is_whole || is_cut_short, "it opens without {} of {} rows", gone.len(), whole.len());
            let mut life = Life::start(store, 2).unwrap();
            assert!(life.step(STEPS - 1), "it opens and does not go on");
            assert_eq!(life.shown().unwrap(), lived.shown, "it opens and shows something else");
            life.assert_sound("opened");
            if is_whole { Outcome::Whole } else { Outcome::CutShort }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(disk.contents() == before, "it is refused, and something was written");
            match RedbStore::read_damaged_backend(disk.clone()) {
                Ok(salvage) => rebuilt(&salvage, lived),
                Err(_) => Outcome::Refused,
            }
        }
    }
}

/// A new store of what can be read, mended as `starling verify --repair` does it, which tells
/// of the log as well.
fn rebuilt(salvage: &Salvage, lived: &Lived) -> Outcome {
    let mut store = MemoryStore::new(life::ID);
    let copied = salvage.copy_into(&mut store).unwrap();
    let reader = store.reader();
    let mut pass = || verify(reader.as_ref(), Some(&mut |mend: Mend| store.commit(&mend.batch))).unwrap();
    let mended = pass();
    // What one place is mended by can show that another was wrong.
    (1..REPAIR_PASSES).for_each(|_| drop(pass()));
    let after = verify(reader.as_ref(), None).unwrap();
    let left: Vec<_> = after.findings.iter().filter(|finding| finding.mendable).collect();
    assert!(left.is_empty(), "mended, but {left:?} is left of {:?}", mended.findings);
    let told = !copied.partly.is_empty() || !mended.is_sound() || copied.log_damage.is_some();
    let now = Life::start(store, 2).map(|life| life.shown());
    match now {
        Ok(Ok(now)) if now == lived.shown => Outcome::Rebuilt,
        Ok(Ok(now)) if lived.cut_short.as_ref().is_some_and(|(_, shown)| now == *shown) => Outcome::CutShort,
        other => {
            assert!(
                told,
                "it is rebuilt as something else, and nothing says so: {:.200}",
                format!("{other:?}")
            );
            Outcome::RebuiltInPart
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_mended_and_never_silently_less() {
    let mutations = std::env::var("STARLING_TEST_MUTATIONS")
        .map_or(MUTATIONS, |count| count.parse().expect("a number of mutations"));
    let mut counts: BTreeMap<(bool, Outcome), u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for closed in [true, false] {
        let lived = lived(closed);
        let bytes = lived.disk.contents();
        let pages: Vec<u64> = (0..)
            .zip(bytes.chunks(PAGE as usize))
            .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
            .map(|(number, _)| number)
            .collect();
        for seed in (0..mutations / 2).map(|number| 2 * number + u64::from(closed)) {
            let damaged = lived.disk.restart(Loss::Nothing);
            let story = Mutation { disk: &damaged, draws: Draws(seed), pages: &pages }.apply();
            let story = format!("mutation {seed} of {} pages, closed: {closed}, {story}", pages.len());
            match deadlined(&damaged, &lived) {
                Ok(outcome) => *counts.entry((closed, outcome)).or_default() += 1,
                Err(why) => wrong.push(format!("{story}: {why}")),
            }
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{} of {mutations}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The outcome, or what went wrong: a panic, or no end.
fn deadlined(disk: &LossyBackend, lived: &Lived) -> Result<Outcome, String> {
    std::thread::scope(|scope| {
        let (say, said) = mpsc::channel();
        scope.spawn(move || {
            let caught = std::panic::catch_unwind(|| outcome(disk, lived));
            let caught = caught.map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_else(|| "a panic without words".to_owned())
            });
            // The other end is gone only after the deadline.
            let _ = say.send(caught);
        });
        said.recv_timeout(MUTATION_TIME_MAX).unwrap_or_else(|_| {
            eprintln!("it does not end");
            std::process::abort()
        })
    })
}
