//! Log lines: each has an event with a stable name, and `docs/events.md` lists them all.

#[path = "import_rules/tree.rs"]
mod tree;

use std::collections::BTreeSet;

use tree::{Source, files};

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// Event and level of each log line of a source, or where a line has no event.
fn events(source: &Source) -> Vec<Result<(String, String), String>> {
    let code = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut found = Vec::new();
    for level in LEVELS {
        let opening = format!("tracing::{level}!(");
        for (at, _) in code.match_indices(&opening) {
            let rest = code[at + opening.len()..].trim_start();
            let name = rest.strip_prefix("event = \"").and_then(|rest| rest.split('"').next());
            let line = 1 + code[..at].matches('\n').count();
            found.push(match name {
                Some(name) => Ok((name.to_owned(), level.to_owned())),
                None => Err(format!("{}:{line}: a log line does not begin with its event", source.path)),
            });
        }
    }
    found
}

/// Event and level of each row of the table.
fn listed(document: &str) -> BTreeSet<(String, String)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let event = cells.next()?.trim_end_matches('`').to_owned();
        Some((event, cells.next()?.to_owned()))
    };
    document.lines().filter_map(row).collect()
}

#[test]
fn every_event_of_the_node_is_listed_and_the_other_way_round() {
    let sources = files("rs");
    let of_the_node =
        |source: &&Source| source.path.starts_with("node/src/") && !source.path.contains("/tests");
    let (mut logged, mut complaints) = (BTreeSet::new(), Vec::new());
    for event in sources.iter().filter(of_the_node).flat_map(events) {
        match event {
            Ok(event) => drop(logged.insert(event)),
            Err(complaint) => complaints.push(complaint),
        }
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(logged, listed(include_str!("../../docs/events.md")));
}

#[test]
fn a_planted_line_is_found() {
    let planted = |text: &str| events(&Source::planted("node/src/x.rs", text));
    assert_eq!(planted("tracing::warn!(event = \"x\", \"y\");"), [Ok(("x".into(), "warn".into()))]);
    assert!(planted("f();\ntracing::info!(\"y\");")[0].as_ref().is_err_and(|said| said.contains("x.rs:2")));
    assert!(planted("#[cfg(test)]\nmod tests { tracing::info!(\"y\"); }").is_empty());
    assert_eq!(listed("| `a` | warn | b | c |\n| event | level |").len(), 1);
}
