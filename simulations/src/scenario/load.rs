//! From a file to a scenario that may run, or to complaints.
//!
//! Reads the file and those it extends, merges them, checks keys, types and ranges against the
//! format's description, then what only the whole can tell (see `lint`). A scenario that loads needs
//! no file any more: it can be written out, digested and replayed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::network::Topology;
use super::shape::{check, instead};
use super::tree::{self, Complaint, Node, Place};
use super::{Scenario, format, lint, shipped};

/// Most files in one chain of `extends`.
const EXTENDS_MAX: usize = 8;

/// Most bytes of one file; the largest shipped one has two thousand.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A scenario that may run, with what it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// The file as the user named it, or the name of a shipped scenario: what a replay is told.
    pub label: String,
    /// The whole scenario as TOML, with what it extends merged in.
    pub toml: String,
    /// SHA-256 of `toml`, in hex.
    pub digest: String,
}

/// Reads a scenario by path, or by name if there is no such file but a shipped one is called so.
///
/// # Errors
/// Everything that is wrong with it, in the order of the files.
pub fn load(path: &Path) -> Result<Loaded, Vec<Complaint>> {
    let label = path.to_string_lossy().into_owned();
    if !path.exists() {
        if let Some(shipped) = shipped::find(&label) {
            return load_text(&label, shipped.text, None);
        }
        let known = shipped::SHIPPED.iter().map(|shipped| shipped.name);
        let words = format!("there is no such file, nor a shipped scenario{}", instead(&label, known));
        return Err(vec![Place::start(&label).complain(words)]);
    }
    let text = read_file(path, &label).map_err(|complaint| vec![complaint])?;
    load_text(&label, &text, Some(path))
}

/// Reads a scenario from text. `path` says where it stands, for what it extends.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_text(label: &str, text: &str, path: Option<&Path>) -> Result<Loaded, Vec<Complaint>> {
    let merged = extended(label, text, path).map_err(|complaint| vec![complaint])?;
    let mut found = Vec::new();
    check(&merged, &format::SCENARIO, &mut found);
    if found.is_empty() {
        match merged.plain().try_into::<Scenario>() {
            Ok(mut scenario) => {
                read_pairs(&mut scenario, &merged, path, &mut found);
                found.extend(lint::lint(&scenario, &merged));
                if found.is_empty() {
                    return Ok(complete(label, scenario));
                }
            }
            Err(error) => found.push(merged.place.complain(error.message())),
        }
    }
    found.sort();
    found.dedup();
    Err(found)
}

/// Writes the scenario out and digests it.
fn complete(label: &str, scenario: Scenario) -> Loaded {
    let toml = toml::to_string(&scenario).unwrap_or_default();
    let digest = hex(&Sha256::digest(toml.as_bytes()));
    Loaded { scenario, label: label.to_owned(), toml, digest }
}

/// `bytes` in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_file(path: &Path, label: &str) -> Result<String, Complaint> {
    let cannot = |error: &dyn std::fmt::Display| {
        Place::start(label).complain(format!("the file cannot be read: {error}"))
    };
    // A device says it holds nothing and never ends, so what is read is bounded.
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| cannot(&error))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(cannot(&format!(
            "it holds more than {FILE_BYTES_MAX} bytes, the most a scenario may have"
        )));
    }
    String::from_utf8(bytes).map_err(|error| cannot(&error))
}

/// The file over everything it extends.
fn extended(label: &str, text: &str, path: Option<&Path>) -> Result<Node, Complaint> {
    let mut layers = vec![tree::read(label, text)?];
    let mut here = path.map(Path::to_path_buf);
    let mut seen = BTreeSet::from([identity(label, here.as_deref())]);
    while let Some((place, base)) = base_of(layers.last()) {
        let beside = here.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).join(&base);
        let (label, text, next) = match shipped::find(&base).filter(|_| !beside.exists()) {
            Some(shipped) => (base.clone(), shipped.text.to_owned(), None),
            None if beside.exists() => {
                let label = beside.to_string_lossy().into_owned();
                (label.clone(), read_file(&beside, &label)?, Some(beside))
            }
            None => {
                let known = shipped::SHIPPED.iter().map(|shipped| shipped.name);
                let words = format!(
                    "{base:?} is neither a file beside this one nor shipped{}",
                    instead(&base, known)
                );
                return Err(place.complain(words));
            }
        };
        if !seen.insert(identity(&label, next.as_deref())) {
            return Err(place.complain(format!("extends itself in a circle, through {base:?}")));
        }
        if layers.len() >= EXTENDS_MAX {
            return Err(place.complain(format!("extends more than {EXTENDS_MAX} files in a row")));
        }
        layers.push(tree::read(&label, &text)?);
        here = next;
    }
    let layered = layers.into_iter().rev().map(Node::without_extends).reduce(|base, own| own.over(base));
    layered.ok_or_else(|| Place::start(label).complain("the file is empty"))
}

/// What a file extends, and where it says so.
fn base_of(layer: Option<&Node>) -> Option<(Place, String)> {
    let node = layer?.member("extends")?;
    node.text().map(|base| (node.place.clone(), base.to_owned()))
}

/// What two names of one file have in common.
fn identity(label: &str, path: Option<&Path>) -> PathBuf {
    path.and_then(|path| path.canonicalize().ok()).unwrap_or_else(|| PathBuf::from(label))
}

/// Fills in the pairs of a topology that stands in a file of its own.
fn read_pairs(scenario: &mut Scenario, merged: &Node, base: Option<&Path>, found: &mut Vec<Complaint>) {
    let Topology::File { path, pairs } = &mut scenario.topology else { return };
    if !pairs.is_empty() {
        return;
    }
    let place = &merged.at(&["topology", "path"]).place;
    let file = base.and_then(Path::parent).unwrap_or(Path::new("")).join(&*path);
    let label = file.to_string_lossy().into_owned();
    let text = match read_file(&file, &label) {
        Ok(text) => text,
        Err(complaint) => return found.push(place.complain(format!("{label}: {}", complaint.words))),
    };
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [a, b] => pairs.push(((*a).to_owned(), (*b).to_owned())),
            _ => {
                let here = Place { file: label.as_str().into(), line: number + 1, column: 1 };
                found.push(here.complain("a line names two nodes, with a blank between"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
version = 1
name = "t"
summary = "s"
learn = "l"
duration = "1m"

[[group]]
name = "east"
count = 3

[[fault]]
kind = "partition"
shape = "isolate"
count = 1
at = "10s"
for = "10s"

[expect]
converges_within = "30s"
"#;

    fn complaints(text: &str) -> Vec<String> {
        let found = load_text("t.toml", text, None).expect_err("this text has something wrong");
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_scenario_loads_and_survives_being_written_out() {
        let loaded = load_text("t.toml", WHOLE, None).expect("nothing is wrong");
        let again = load_text("t.toml", &loaded.toml, None).expect("what is written can be read");
        assert_eq!(loaded.scenario, again.scenario);
        assert_eq!((&loaded.toml, &loaded.digest), (&again.toml, &again.digest));
    }

    #[test]
    fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
        let rows = [
            ("count = 3", "cuont = 3", "t.toml:10:1: unknown key \"cuont\": did you mean \"count\"?"),
            ("count = 3", "count = 0", "t.toml:10:9: 0 is out of range: 1 to 2000"),
            ("count = 3", "count = \"3\"", "t.toml:10:9: this must be a whole number from 1 to 2000"),
            (
                "\"isolate\"",
                "\"izolate\"",
                "t.toml:14:9: \"izolate\" is not known here: did you mean \"isolate\"?",
            ),
            ("kind = \"partition\"", "kind = \"partitoin\"", "did you mean \"partition\"?"),
            ("at = \"10s\"", "at = \"70s\"", "this fault can never fire: the duration ends at 1m"),
            ("at = \"10s\"", "at = \"10s\"\non = \"esat\"", "did you mean \"east\"?"),
            ("for = \"10s\"", "for = \"ten\"", "\"ten\" is not a span of time"),
            ("converges_within = \"30s\"", "", "nothing is expected here"),
            ("duration = \"1m\"", "", "\"duration\" is missing here"),
            ("version = 1", "version = 2", "2 is out of range: 1 to 1"),
            ("version = 1", "version = ", "this is not TOML"),
        ];
        for (right, wrong, words) in rows {
            let found = complaints(&WHOLE.replacen(right, wrong, 1));
            assert!(found.iter().any(|line| line.contains(words)), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn one_mistake_is_one_complaint_that_says_what_to_write() {
        let second = "[[group]]\nname = \"west\"\ncount = 1\n\n[[fault]]";
        let rows = [
            ("count = 3", "cuont = 3", "unknown key \"cuont\": did you mean \"count\"?"),
            ("[[fault]]", "[fault]", "a list of tables: write [[fault]]"),
            ("[[group]]", "[group]", "a list of tables: write [[group]]"),
            ("[[fault]]", "[fault]\nkind = \"pause\"\nat = \"1s\"\nfor = \"1s\"\n[fault]", "write [[fault]]"),
            ("[expect]\nconverges_within = \"30s\"", "", "[expect], such as converges_within = \"90s\""),
            ("duration = \"1m\"", "", "such as duration = \"90s\""),
            (
                "kind = \"partition\"\nshape = \"isolate\"\ncount = 1",
                "kind = \"disk-full\"\non = \"esat\"",
                "\"esat\" selects nobody",
            ),
            ("[[fault]]", &second.replacen("[[group]]", "[group]", 1), "write [[group]]"),
        ];
        for (right, wrong, words) in rows {
            let found = complaints(&WHOLE.replacen(right, wrong, 1));
            assert!(found.len() == 1 && found[0].contains(words), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn a_scenario_that_extends_itself_is_refused() {
        let directory = std::env::temp_dir().join(format!("starling-extends-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for this test");
        let (a, b) = (directory.join("a.toml"), directory.join("b.toml"));
        std::fs::write(&a, "extends = \"b.toml\"\n").expect("a file");
        std::fs::write(&b, "version = 1\nextends = \"a.toml\"\n").expect("a file");
        let found = load(&a).expect_err("a circle");
        std::fs::remove_dir_all(&directory).expect("the directory goes");
        assert!(found[0].words.contains("circle"), "{found:?}");
        assert!(found[0].place.file.ends_with("b.toml") && found[0].place.line == 2, "{found:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_is_refused() {
        for text in [
            "extends = \"/dev/zero\"\n".to_owned(),
            WHOLE.replacen("[[fault]]", "[topology]\nkind = \"file\"\npath = \"/dev/zero\"\n\n[[fault]]", 1),
        ] {
            let found = complaints(&text);
            assert!(found[0].contains("it holds more than 1048576 bytes"), "{found:?}");
        }
    }

    #[test]
    fn a_fleet_beyond_every_bound_costs_no_more_than_its_file() {
        let group = |number| format!("[[group]]\nname = \"g{number}\"\ncount = 2000\n\n");
        let groups: String = (0..20_000).map(group).collect();
        let found = complaints(&WHOLE.replacen("[[group]]", &format!("{groups}[[group]]"), 1));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("40000003 nodes are more than a fleet may have, 2000"), "{found:?}");
    }

    #[test]
    fn what_extends_changes_groups_by_name_and_adds_faults() {
        let name = shipped::SHIPPED[0].name;
        let base = load_text("base", shipped::SHIPPED[0].text, None).expect("shipped").scenario;
        let group = &base.groups[0].name;
        let text = format!(
            "version = 1\nextends = {name:?}\nname = \"own\"\n[[group]]\nname = {group:?}\ncount = 7\n\
             [[fault]]\nkind = \"clock-step\"\nby = \"1h\"\nat = \"1s\"\n"
        );
        let own = load_text("own.toml", &text, None).expect("it loads").scenario;
        assert_eq!((own.groups[0].count, own.groups.len()), (7, base.groups.len()));
        assert_eq!(own.faults.len(), base.faults.len() + 1);
        assert_eq!((own.name.as_str(), &own.learn), ("own", &base.learn));
    }
}
