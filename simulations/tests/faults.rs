//! Every kind of fault, by itself: it fires, it is counted, and what must hold holds; and a fault that
//! was asked for and never does anything ends the run with its name and exit code 1.

use starling_simulations::record::{RunRecord, Verdict};
use starling_simulations::runner;
use starling_simulations::scenario::load_text;

/// Five nodes on two sites that write twice a second for twenty seconds.
const BASE: &str = r#"
version = 1
name = "one-fault"
summary = "One fault."
learn = "What it does."
duration = "20s"
drain = "40s"

[[group]]
name = "east"
count = 3

[[group]]
name = "west"
count = 2

[workload]
rate = 4.0
documents = 4

[expect]
no_lost_writes = true
false_offences_max = 0
"#;

/// What goes wrong, as the file says it, and what is counted of it.
const FAULTS: [(&str, &str); 40] = [
    ("kind = 'partition'\nshape = 'halves'", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'halves'\nsides = ['east', 'west']", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'ways'\ncount = 3", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'isolate'\ncount = 2", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'bridge'", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'one-way'\nsides = ['east', 'west']", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'non-transitive'", "frames, dials and connections cut"),
    ("kind = 'partition'\nshape = 'swizzle-clog'", "frames, dials and connections cut"),
    (
        "kind = 'partition'\nshape = 'halves'\nflap = { cut = '1s', whole = '1s' }",
        "frames, dials and connections cut",
    ),
    ("kind = 'partition'\nshape = 'ways'\ncount = 2\nheal_over = '4s'", "frames, dials and connections cut"),
    ("kind = 'loss'\nrate = 0.3", "frames lost"),
    ("kind = 'burst'\nrate = 0.3\nlength = 5", "frames lost"),
    ("kind = 'duplicate'\nrate = 0.3", "frames doubled"),
    ("kind = 'reorder'\nrate = 0.3", "frames overtaken"),
    ("kind = 'slow'\nlatency = { distribution = 'constant', mean = '500ms' }", "frames delayed"),
    ("kind = 'narrow'\nbandwidth = '32kbit'", "frames delayed"),
    ("kind = 'corrupt'\nrate = 0.05", "frames damaged"),
    ("kind = 'pause'\non = { random = 2 }", "processes stopped for a while"),
    ("kind = 'crash'\non = 'west-0'", "processes killed"),
    ("kind = 'kill-in-io'\nstep = 3\non = 'west-0'", "processes killed"),
    ("kind = 'restart'\non = { percent = 40 }", "processes restarted"),
    ("kind = 'wipe'\non = 'west-0'", "disks emptied"),
    ("kind = 'restore'\nage = '4s'\non = 'west-0'", "backups restored"),
    ("kind = 'clone'\non = 'west-0'", "twins started"),
    ("kind = 'churn'\nup = '2s'\ndown = '1s'\non = 'west'", "processes killed"),
    ("kind = 'clock-offset'\nby = '1h'\non = 'west'", "clocks set"),
    ("kind = 'clock-drift'\nppm = 10000\non = 'west'", "clocks set"),
    ("kind = 'clock-step'\nby = '-1d'\non = 'west-0'", "clocks set"),
    ("kind = 'lose-unsynced'\non = 'west-0'", "machines without power"),
    ("kind = 'torn-write'\non = 'west-0'", "machines without power"),
    ("kind = 'io-error'\nrate = 0.5\non = 'west-0'", "commits failed"),
    ("kind = 'disk-full'\non = 'west-0'", "commits refused"),
    ("kind = 'bit-rot'\nbits = 20\non = 'west-0'", "bits flipped"),
    ("kind = 'hostile'\ndoes = 'garbage'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'forge'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'alter'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'replay'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'withhold'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'orphan-flood'\non = 'west-0'", "hostile acts"),
    ("kind = 'hostile'\ndoes = 'poison'\non = 'west-0'", "hostile acts"),
];

/// Kinds that are over in a moment.
const MOMENTS: [&str; 3] = ["'clone'", "'clock-step'", "'bit-rot'"];

fn run(text: &str) -> RunRecord {
    let loaded = load_text("one-fault.toml", text, None).unwrap_or_else(|found| panic!("{text}\n{found:#?}"));
    runner::run(&loaded.scenario, 1).expect("the run begins")
}

fn with(fault: &str) -> String {
    let lasts = if MOMENTS.iter().any(|kind| fault.contains(kind)) { "" } else { "for = '8s'\n" };
    format!("{BASE}\n[[fault]]\n{fault}\nat = '5s'\n{lasts}")
}

fn said(record: &RunRecord) -> String {
    format!("{:?} {:?} {:#?}", record.undecided, record.faults, record.violations)
}

#[test]
fn every_kind_of_fault_fires_and_is_counted_and_the_invariants_hold() {
    for (fault, counted) in FAULTS {
        let record = run(&with(fault));
        assert_eq!(record.verdict, Verdict::Held, "{fault}: {}", said(&record));
        let [told] = record.faults.as_slice() else { panic!("{fault}: one fault is told") };
        assert!(told.fired > 0 && told.counted == counted, "{fault}: {told:?}");
        assert_eq!((told.occurrences, told.spans.len()), (1, 1), "{fault}");
        assert!(fault.contains(&format!("'{}'", told.kind)), "{fault}: {told:?}");
    }
}

#[test]
fn a_partition_has_the_sides_its_shape_says() {
    let rows: [(&str, &[usize]); 6] = [
        ("shape = 'halves'\nsides = ['east', 'west']", &[3, 2]),
        ("shape = 'ways'\ncount = 3", &[2, 2, 1]),
        ("shape = 'isolate'\ncount = 2", &[2]),
        // One node stands on both sides.
        ("shape = 'bridge'", &[3, 3]),
        ("shape = 'one-way'", &[3, 2]),
        ("shape = 'non-transitive'", &[2, 1, 1, 1]),
    ];
    for (shape, sizes) in rows {
        let record = run(&with(&format!("kind = 'partition'\n{shape}")));
        let [band] = record.bands.as_slice() else { panic!("{shape}: {:?}", record.bands) };
        assert_eq!(band.sides.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{shape}");
        assert_eq!((band.from_us, band.to_us), (5_000_000, 13_000_000), "{shape}");
    }
}

#[test]
fn a_partition_may_flap_fall_silent_node_by_node_and_heal_in_stages() {
    let flapping = run(&with("kind = 'partition'\nshape = 'halves'\nflap = { cut = '1s', whole = '1s' }"));
    assert_eq!(flapping.bands.len(), 4, "{:?}", flapping.bands);
    let swizzled = run(&with("kind = 'partition'\nshape = 'swizzle-clog'\ncount = 3"));
    let begins: Vec<u64> = swizzled.bands.iter().map(|band| band.from_us).collect();
    assert!(begins.len() == 3 && begins[0] < begins[1] && begins[1] < begins[2], "{begins:?}");
    let staged = run(&with("kind = 'partition'\nshape = 'halves'\nheal_over = '4s'"));
    assert_eq!(staged.bands[0].to_us, 17_000_000);
}

#[test]
fn a_fault_comes_again_until_it_shall_not_and_everything_ends_when_all_is_healed() {
    let times = |text: &str| -> Vec<(u64, u64)> {
        let record = run(&format!("{BASE}\n[[fault]]\nkind = 'pause'\non = 'east-0'\n{text}\n"));
        let spans = record.faults[0].spans.iter();
        spans.map(|span| (span.from_us / 1_000_000, span.to_us / 1_000_000)).collect()
    };
    assert_eq!(times("at = '2s'\nfor = '1s'\nevery = '5s'\nuntil = '13s'"), [(2, 3), (7, 8), (12, 13)]);
    assert_eq!(times("at = '2s'\nuntil = 'healed'"), [(2, 20)]);
}

#[test]
fn a_node_whose_disk_is_too_small_refuses_writes_and_is_named() {
    let small = BASE.replace("count = 2", "count = 2\ndisk = { capacity = '384KiB' }");
    let record = run(&small.replace("rate = 4.0", "rate = 20.0\nvalue = '2KiB'"));
    let full: Vec<&str> = record
        .nodes
        .iter()
        .filter(|node| node.disk_full_us.is_some())
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(full, ["west-0", "west-1"], "{}", said(&record));
    assert!(record.writes.refused > 0);
    assert_eq!(record.verdict, Verdict::Violated, "they cannot hold what the others wrote");
    let cause = starling_simulations::report::words::cause(&record);
    assert!(cause.contains("The disk of west-"), "{cause}");
    assert!(record.violations.iter().all(|violation| violation.property != Some(13)), "{}", said(&record));
}

#[test]
fn a_fault_that_never_fires_makes_the_run_undecided_and_is_named() {
    let record = run(&with("kind = 'duplicate'\nrate = 0.000001"));
    assert_eq!((record.verdict, record.exit_code()), (Verdict::Undecided, 1), "{}", said(&record));
    assert!(record.undecided.iter().any(|why| why.contains("duplicate")), "{:?}", record.undecided);
}

#[test]
fn the_words_of_a_fault_say_whom_it_struck_and_what_really_came_of_it() {
    let words = |fault: &str| run(&with(fault)).faults[0].words.clone();
    let never = words("kind = 'kill-in-io'\nstep = 100000\non = 'west-0'");
    assert_eq!(never, "power cut at west-0: disk operation 100000 did not come in time (5 s at most)");
    assert_eq!(words("kind = 'disk-full'\non = ['west', 'east-1']"), "disk full at east-1, west");
    let sides = "kind = 'partition'\nshape = 'halves'\nsides = ['west-0', ['east', 'west-1']]";
    assert_eq!(words(sides), "halves: west-0 | east, west-1");
}

#[test]
fn every_long_wait_is_counted_by_node_and_fault_whatever_is_kept() {
    let full = "kind = 'disk-full'\non = 'east-0'\nat = '2s'\nfor = '15s'";
    let text = with("kind = 'partition'\nshape = 'halves'\nsides = ['east', 'west']")
        .replace("rate = 4.0", "rate = 100.0");
    let record = run(&format!("{text}\n[[fault]]\n{full}\n"));
    let counted: u64 = record.waits.iter().map(|waited| waited.late + waited.never).sum();
    assert_eq!(record.missed_total, counted);
    assert!(record.missed_total > record.missed.len() as u64, "{}", record.missed_total);
    let faults: std::collections::BTreeSet<_> = record.waits.iter().map(|waited| waited.fault).collect();
    assert!(faults.contains(&Some(0)) && faults.contains(&Some(1)), "{:?}", record.waits);
    let explained = starling_simulations::report::explain::explain(&record);
    assert!(explained.contains("of which 1\u{202f}000 are kept"), "{explained}");
    assert!(explained.contains("(disk-full at east-0)"), "{explained}");
}
