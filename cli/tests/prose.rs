//! Prose names files that exist: every path in backticks in a Markdown file.

#[path = "import_rules/tree.rs"]
mod tree;

use std::path::Path;

use tree::{Source, files, root};

/// Endings by which a word in backticks is taken for a file.
const FILE_ENDINGS: [&str; 16] = [
    ".rs", ".toml", ".md", ".sh", ".json", ".ndjson", ".yml", ".yaml", ".cddl", ".service", ".html", ".css",
    ".js", ".py", ".lock", ".txt",
];

/// The words in backticks that name files, outside of code blocks, with their line.
fn named_files(prose: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for (number, line) in prose.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let quoted = line.split('`').skip(1).step_by(2);
            let is_path = |word: &&str| {
                let of_a_person = word.starts_with(['/', '~', '$', '<', '@']) || word.contains("://");
                let pattern = word.contains([' ', '<', '*', '{', '…', '$']) || word.contains("NNNN");
                word.contains('/')
                    && !of_a_person
                    && !pattern
                    && FILE_ENDINGS.iter().any(|ending| word.ends_with(ending))
            };
            found.extend(quoted.filter(is_path).map(|word| (number + 1, word)));
        }
    }
    found
}

fn missing_files(prose: &[Source], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for Source { path, text } in prose {
        let beside = Path::new(path).parent().unwrap_or(Path::new(""));
        for (line, name) in named_files(text) {
            if !exists(Path::new(name)) && !exists(&beside.join(name)) {
                complaints.push(format!("{path}:{line}: there is no {name}"));
            }
        }
    }
    complaints
}

#[test]
fn files_named_in_prose_exist() {
    let root = root();
    assert_eq!(missing_files(&files("md"), |path| root.join(path).exists()), Vec::<String>::new());
}

#[test]
fn a_planted_missing_file_is_found() {
    let there =
        |path: &Path| path == Path::new("crdt/src/id.rs") || path == Path::new("docs/decisions/0001-x.md");
    let prose = "see `crdt/src/id.rs`, `decisions/0001-x.md` and `crdt/src/gone.rs`\n```\n`no/such.rs`\n```\n`id.rs` `<dir>/a.toml` `docs/*.md`";
    let complaints = missing_files(&[Source::planted("docs/architecture.md", prose)], there);
    assert_eq!(complaints, ["docs/architecture.md:1: there is no crdt/src/gone.rs"]);
}
