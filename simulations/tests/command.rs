//! The built `starling-sim` as a person or a script calls it: exit codes, and files that one command
//! writes and the next one reads.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use starling_simulations::scenario::shipped::SHIPPED;

/// Two nodes for ten seconds, with one fault.
const SHORT: &str = r#"
version = 1
name = "short"
summary = "Two nodes lose each other."
learn = "They find each other again."
duration = "10s"
drain = "30s"

[[group]]
name = "node"
count = 2

[[fault]]
kind = "partition"
shape = "halves"
at = "2s"
for = "4s"

[expect]
converges_within = "20s"
no_lost_writes = true
"#;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A directory that goes away with the test, and the program called in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("starling-sim-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for this test");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file for this test");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn sim(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starling-sim"));
        let ran = command.args(args).current_dir(&self.0).env_remove("STARLING_OUTPUT").output();
        let ran = ran.expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: ran.status.code(), out: text(&ran.stdout), err: text(&ran.stderr) }
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.sim(args);
        assert_eq!(ran.code, Some(code), "{args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed stays in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_run_that_holds_ends_0_and_every_file_it_is_asked_for_is_there() {
    let place = Place::new("held");
    place.write("short.toml", SHORT);
    let args = ["run", "short.toml", "--report", "--junit", "j.xml", "--trace", "t.jsonl"];
    let ran = place.expect(0, &args);
    assert!(ran.out.starts_with("HELD  1 of 1 run held\n"), "{}", ran.out);
    assert!(ran.out.contains("  again     starling-sim run short.toml --seed 1\n"), "{}", ran.out);
    assert!(place.read("j.xml").contains("tests=\"1\" failures=\"0\" errors=\"0\""));
    assert!(place.read("starling-runs/short-1.html").contains("starling-sim run short.toml --seed 1"));
    let trace = place.read("t.jsonl");
    let lines: Vec<Value> =
        trace.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let (last, end) = (&lines[lines.len() - 2], &lines[lines.len() - 1]);
    assert_eq!((&lines[0]["event"], &end["event"]), (&"begins".into(), &"ends".into()));
    assert_eq!((&last["hash"], &end["lines"]), (&end["trace_hash"], &(lines.len() as u64 - 2).into()));
    for event in ["start", "publish", "changed", "cut", "mend", "fault-begins", "fault-ends", "reply"] {
        assert!(lines.iter().any(|line| line["event"] == event), "no event {event}");
    }
    // The trace was read along: the run went the same way without it.
    let again = place.expect(0, &["replay", "starling-runs/short-1.json"]);
    assert!(again.err.contains("the same trace"), "{}", again.err);
    let explained = place.expect(0, &["explain", "starling-runs/short-1.json"]);
    assert!(
        explained.out.contains("who waited longest") && explained.out.contains("partition"),
        "{}",
        explained.out
    );
    place.expect(0, &["report", "starling-runs/short-1.json", "--out", "page.html"]);
    assert!(place.read("page.html").starts_with("<!doctype html>"));
}

#[test]
fn a_bound_that_is_missed_ends_8_and_says_how_to_have_it_explained() {
    let place = Place::new("violated");
    place.write("short.toml", &SHORT.replace("no_lost_writes = true", "bytes_max = \"1B\""));
    let ran = place.expect(8, &["run", "short.toml", "--seeds", "2", "--junit", "j.xml"]);
    assert!(ran.out.starts_with("VIOLATED  0 of 2 runs held, 2 violated\n"), "{}", ran.out);
    let command = "starling-sim explain starling-runs/short-2.json";
    assert!(ran.out.contains(&format!("  explain   {command}\n")), "{}", ran.out);
    let explained = place.expect(0, &["explain", "starling-runs/short-2.json"]);
    assert!(explained.out.contains("bytes_max"), "{}", explained.out);
    assert!(place.read("j.xml").contains("failures=\"2\""));
    let json = place.expect(8, &["run", "short.toml", "--output", "json"]);
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((&json["verdict"], &json["runs"][0]["seed"]), (&"violated".into(), &1.into()));
}

#[test]
fn a_fault_that_never_fires_ends_1_with_its_name() {
    let place = Place::new("undecided");
    let rare = "\n[[fault]]\nkind = \"reorder\"\nrate = 0.000001\nat = \"2s\"\nfor = \"1s\"\n";
    place.write("rare.toml", &SHORT.replace("\n[expect]", &format!("{rare}\n[expect]")));
    let ran = place.expect(1, &["run", "rare.toml"]);
    assert!(ran.out.starts_with("UNDECIDED"), "{}", ran.out);
    assert!(ran.out.contains("The fault reorder was asked for and never did anything."), "{}", ran.out);
    assert!(ran.out.contains("NEVER FIRED"), "{}", ran.out);
}

#[test]
fn what_cannot_be_run_is_said_with_place_and_a_word_that_would_do() {
    let place = Place::new("wrong");
    place.write("wrong.toml", &SHORT.replace("count", "cuont"));
    let said = place.expect(8, &["lint", "wrong.toml"]).out;
    assert!(said.contains("wrong.toml:11:1: unknown key \"cuont\": did you mean \"count\"?"), "{said}");
    assert!(place.expect(2, &["run", "wrong.toml"]).err.contains("wrong.toml:11:1: "));
    let absent = place.expect(3, &["run", "two-datacentre-split"]).err;
    assert!(absent.contains("did you mean \"two-datacentres-split\"?"), "{absent}");
    place.expect(3, &["explain", "nothing.json"]);
    place.expect(2, &["explain", "wrong.toml"]);
    place.expect(2, &["run", "wrong.toml", "--seeds", "0"]);
    let memory = SHORT.replace("count = 2", "count = 2\ndisk = { kind = \"memory\" }");
    let full = "\n[[fault]]\nkind = \"disk-full\"\nat = \"2s\"\nfor = \"1s\"\n";
    place.write("memory.toml", &memory.replace("\n[expect]", &format!("{full}\n[expect]")));
    let said = place.expect(8, &["lint", "memory.toml"]).out;
    assert!(said.contains("this fault can never fire: these nodes have no disk"), "{said}");
}

#[test]
fn a_scenario_can_be_begun_listed_and_extended() {
    let place = Place::new("begun");
    place.expect(0, &["new", "mine.toml"]);
    place.expect(2, &["new", "mine.toml"]);
    place.expect(0, &["lint", "mine.toml"]);
    let listed = place.expect(0, &["list"]).out;
    for shipped in SHIPPED {
        assert!(listed.contains(&format!("{}  (", shipped.name)), "{}", shipped.name);
        assert!(Path::new(shipped.name).extension().is_none());
    }
    let own = "extends = \"short.toml\"\nname = \"own\"\nduration = \"5s\"\n\n[[group]]\nname = \"node\"\ncount = 3\n";
    place.write("short.toml", SHORT);
    place.write("own.toml", own);
    let ran = place.expect(0, &["run", "own.toml"]).out;
    assert!(ran.contains("  own  seed 1  ") || ran.contains("HELD  own  seed 1"), "{ran}");
}
