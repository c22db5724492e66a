//! Who may import whom, read from manifests and sources.
//!
//! A checker takes files and gives complaints; each is run on this repository, where it must find
//! nothing, and on a planted text, where it must find something.

#[path = "import_rules/text.rs"]
mod text;
#[path = "import_rules/tree.rs"]
mod tree;

use tree::{Source, files};

/// Whether `path` lies in one of the `places`, each a file or the start of a path.
fn lies_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

// Manifests

/// Members, and the fuzz targets beside them, and the members each may depend on.
const MEMBERS: [(&str, &str, &[&str]); 7] = [
    ("crdt/Cargo.toml", "starling-crdt", &[]),
    ("node/api/Cargo.toml", "starling-api", &[]),
    ("node/store/Cargo.toml", "starling-store", &["starling-crdt"]),
    ("node/Cargo.toml", "starling-node", &["starling-crdt", "starling-store", "starling-api"]),
    ("simulations/Cargo.toml", "starling-simulations", &["starling-crdt", "starling-store", "starling-api"]),
    (
        "cli/Cargo.toml",
        "starling-cli",
        &["starling-node", "starling-api", "starling-crdt", "starling-store", "starling-simulations"],
    ),
    ("fuzz/Cargo.toml", "starling-fuzz", &["starling-crdt", "starling-simulations"]),
];

/// Libraries that one member alone may depend on.
const LIBRARIES: [(&str, &str); 4] = [
    ("libp2p", "node/Cargo.toml"),
    ("redb", "node/store/Cargo.toml"),
    ("axum", "node/Cargo.toml"),
    ("prometheus-client", "node/Cargo.toml"),
];

/// The packages a manifest depends on, in whatever section, with their line.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let (mut found, mut inside) = (Vec::new(), false);
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let (section, name) =
                header.rsplit_once("dependencies").map_or((header, None), |(_, name)| (header, Some(name)));
            inside = name == Some("") && !section.starts_with("workspace.");
            let single = name.and_then(|name| name.strip_prefix('.'));
            found.extend(single.map(|name| (number + 1, name.trim_matches('"').to_owned())));
        } else if let Some((_, renamed)) = line.split_once("package").filter(|_| inside) {
            let package = renamed.split('"').nth(1).unwrap_or_default();
            found.push((number + 1, package.to_owned()));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
            found.push((number + 1, name.to_owned()));
        }
    }
    found
}

fn forbidden_dependencies(manifests: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for manifest in manifests.iter().filter(|manifest| manifest.path != "Cargo.toml") {
        let path = &manifest.path;
        let Some((.., allowed)) = MEMBERS.iter().find(|member| member.0 == path) else {
            complaints.push(format!("{path}: no rule says what this member may depend on"));
            continue;
        };
        for (line, name) in dependencies(&manifest.text) {
            let member = MEMBERS.iter().any(|member| member.1 == name);
            if member && !allowed.contains(&name.as_str()) {
                complaints.push(format!("{path}:{line}: must not depend on {name}"));
            }
            let owner = LIBRARIES
                .iter()
                .find(|(library, _)| name == *library || name.starts_with(&format!("{library}-")));
            if let Some((_, owner)) = owner.filter(|(_, owner)| owner != path) {
                complaints.push(format!("{path}:{line}: only {owner} may depend on {name}"));
            }
        }
    }
    complaints
}

#[test]
fn members_depend_only_on_what_the_design_allows() {
    let manifests =
        files("toml").into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect::<Vec<_>>();
    assert_eq!(manifests.len(), MEMBERS.len() + 1);
    assert!(
        manifests
            .iter()
            .any(|manifest| { dependencies(&manifest.text).iter().any(|found| found.1 == "redb") })
    );
    assert_eq!(forbidden_dependencies(&manifests), Vec::<String>::new());
}

#[test]
fn a_planted_dependency_is_found() {
    for (path, text) in [
        ("crdt/Cargo.toml", "[dev-dependencies]\nstarling-store.workspace = true"),
        ("node/api/Cargo.toml", "[dependencies]\nstarling-crdt = { path = \"../../crdt\" }"),
        ("node/store/Cargo.toml", "[dependencies.starling-api]\nworkspace = true"),
        ("simulations/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nstarling-node.workspace = true"),
        ("cli/Cargo.toml", "[build-dependencies]\nlibp2p = \"0.57\""),
        ("node/Cargo.toml", "[dependencies]\nkeeper = { package = \"redb\", version = \"4\" }"),
        ("cli/Cargo.toml", "[dependencies]\nlibp2p-core = \"0.44\""),
        ("new/Cargo.toml", "[dependencies]"),
    ] {
        assert_eq!(forbidden_dependencies(&[Source::planted(path, text)]).len(), 1, "{path}: {text}");
    }
    let fine = "[package]\nname = \"starling-node\"\n[dependencies]\n# redb\nlibp2p.workspace = true";
    assert_eq!(forbidden_dependencies(&[Source::planted("node/Cargo.toml", fine)]), Vec::<String>::new());
}

// Names in sources

/// A crate, where the rule holds, and the places there that may name it.
struct Confined {
    name: &'static str,
    within: &'static str,
    places: &'static [&'static str],
}

/// The parts of the CLI that run a node or read a data directory themselves.
const CLI_ON_THE_CORE: &[&str] = &[
    "cli/src/commands/up.rs",
    "cli/src/commands/demo",
    "cli/src/commands/offline.rs",
    "cli/src/commands/offline/",
];

const CONFINED: [Confined; 9] = [
    Confined { name: "libp2p", within: "", places: &["node/src/network.rs", "node/src/network/"] },
    Confined { name: "redb", within: "", places: &["node/store/"] },
    Confined { name: "axum", within: "", places: &["node/src/http.rs", "node/src/http/"] },
    Confined {
        name: "prometheus_client",
        within: "",
        places: &["node/src/metrics.rs", "node/src/metrics/collected.rs"],
    },
    Confined { name: "starling_node", within: "cli/src/", places: CLI_ON_THE_CORE },
    Confined { name: "starling_crdt", within: "cli/src/", places: CLI_ON_THE_CORE },
    Confined { name: "starling_store", within: "cli/src/", places: CLI_ON_THE_CORE },
    Confined { name: "starling_simulations", within: "cli/src/", places: &["cli/src/commands/sim.rs"] },
    Confined { name: "starling_crdt", within: "simulations/src/properties", places: &[] },
];

fn names_out_of_place(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Source { path, text } in sources {
        let code = text::code(text);
        for (line, word, after) in text::words(&code) {
            // `libp2p_core` is as much libp2p as libp2p is. A field or a method of that name is not.
            let named = |rule: &&Confined| word == rule.name || word.starts_with(&format!("{}_", rule.name));
            let rest = after.trim_start();
            let is_path = after.starts_with("::") || rest.starts_with(';') || rest.starts_with("as ");
            let broken = CONFINED.iter().filter(named).filter(|_| is_path);
            for rule in broken.filter(|rule| path.starts_with(rule.within) && !lies_in(path, rule.places)) {
                complaints.push(format!("{path}:{line}: {word} may only be named in {:?}", rule.places));
            }
        }
    }
    complaints
}

#[test]
fn libraries_and_members_are_named_only_where_they_belong() {
    let sources = files("rs");
    assert!(
        sources
            .iter()
            .any(|source| source.path.starts_with("node/store/")
                && text::code(&source.text).contains("redb::"))
    );
    assert_eq!(names_out_of_place(&sources), Vec::<String>::new());
}

#[test]
fn a_planted_name_is_found() {
    for (path, text) in [
        ("node/src/driver.rs", "use libp2p::PeerId;"),
        ("node/src/driver.rs", "fn f() -> libp2p_identity::Keypair { todo() }"),
        ("node/src/driver.rs", "use libp2p;"),
        ("node/src/network_names.rs", "use libp2p as p2p;"),
        ("crdt/src/store.rs", "#[cfg(test)] mod tests { use redb::Database; }"),
        ("node/tests/http.rs", "let app = ::axum::Router::new();"),
        ("node/src/network/mod.rs", "use prometheus_client::registry::Registry;"),
        ("cli/src/commands/put.rs", "use starling_node::Config;"),
        ("cli/src/commands/id.rs", "extern crate starling_crdt;"),
        ("cli/src/commands/up.rs", "use starling_simulations::run;"),
        ("simulations/src/properties/convergence.rs", "use starling_crdt::id::Actor;"),
    ] {
        assert_eq!(names_out_of_place(&[Source::planted(path, text)]).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "node/src/driver.rs",
            "// libp2p::PeerId\n/* redb:: */ let a = \"axum::x\"; let b = r#\"redb::\"#; let c = '\"';",
        ),
        ("node/src/network/transport.rs", "use libp2p::PeerId;"),
        ("cli/src/commands/offline/get.rs", "use starling_crdt::id::SpaceId;"),
        ("cli/src/commands/demo/acts.rs", "use starling_node::Config;"),
        ("node/src/config.rs", "struct Paths { redb: PathBuf }"),
        ("simulations/src/run.rs", "use starling_crdt::replica::Replica;"),
        ("cli/tests/kill.rs", "use starling_crdt::id::SpaceId;"),
    ] {
        assert_eq!(
            names_out_of_place(&[Source::planted(path, text)]),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }
}

// The core's layers

/// The core's modules from the top down. A module may import what stands in a later row.
const LAYERS: [&[&str]; 19] = [
    &["replica", "verify", "backup"],
    &["gossip"],
    &["exchange"],
    &["presence", "connect", "budget"],
    &["admission"],
    &["view"],
    &["charter"],
    &["document"],
    &["history"],
    &["proof"],
    &["delta"],
    &["incarnation"],
    &["chunk"],
    &["store"],
    &["identity", "seal", "address", "jitter"],
    &["bounded", "codec"],
    &["id"],
    &["time"],
    &["limits", "planted"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Whether a source holds tests only: those may use whatever makes what they test.
fn is_test(inner: &str) -> bool {
    inner.ends_with("/tests.rs") || inner.contains("/tests/")
}

fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Source { path, text } in sources {
        let Some(inner) =
            path.strip_prefix("crdt/src/").filter(|inner| *inner != "lib.rs" && !is_test(inner))
        else {
            continue;
        };
        let module = inner.split(['/', '.']).next().unwrap_or_default();
        let Some(here) = layer(module) else {
            complaints
                .push(format!("{path}: give the module {module} a place among the layers of this test"));
            continue;
        };
        let code = text::without_tests(&text::code(text));
        // The root as seen from `src/module.rs`, and from one file further down.
        let root = if inner.contains('/') { "super::super::" } else { "super::" };
        let mut names = text::first_names(&code, "crate::");
        names.extend(text::first_names(&code, root).into_iter().filter(|(_, name)| layer(name).is_some()));
        for (line, name) in names {
            match layer(name) {
                _ if name == module => {}
                Some(there) if there > here => {}
                Some(_) => complaints.push(format!("{path}:{line}: {module} must not import {name}")),
                None => complaints
                    .push(format!("{path}:{line}: crate::{name} is no module with a place among the layers")),
            }
        }
    }
    complaints
}

#[test]
fn the_core_imports_downward_only() {
    let sources = files("rs");
    let id = sources.iter().find(|source| source.path == "crdt/src/id.rs").unwrap();
    assert!(text::first_names(&text::code(&id.text), "crate::").iter().any(|found| found.1 == "limits"));
    assert_eq!(upward_imports(&sources), Vec::<String>::new());
}

#[test]
fn a_planted_upward_import_is_found() {
    for (path, text) in [
        ("crdt/src/store.rs", "use crate::history::History;"),
        ("crdt/src/store/tables.rs", "use crate::{id::SpaceId, delta::{Delta, Run}, time};"),
        ("crdt/src/delta.rs", "fn f(a: &crate::document::Document) {}"),
        ("crdt/src/chunk.rs", "use super::document::Document;"),
        ("crdt/src/chunk/reader.rs", "use super::super::view;"),
        ("crdt/src/presence.rs", "use crate::budget::Budget;"),
        ("crdt/src/view.rs", "use crate::Anything;"),
        ("crdt/src/novelty.rs", ""),
    ] {
        assert_eq!(upward_imports(&[Source::planted(path, text)]).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "crdt/src/delta.rs",
            "use crate::{chunk, incarnation::Incarnation};\n/// [`crate::replica`]\nfn f() {}",
        ),
        ("crdt/src/view/built.rs", "use super::cache; use crate::view::Look; use crate::document::Document;"),
        (
            "crdt/src/delta.rs",
            "#[cfg(test)]\nmod tests { use crate::replica::Replica; fn f() { g() } }\nfn h() {}",
        ),
        ("node/src/driver.rs", "use crate::anything;"),
    ] {
        assert_eq!(upward_imports(&[Source::planted(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}
