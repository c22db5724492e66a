//! What people look at, at its worst: hostile content, odd names, a narrow terminal, and a node that dies in
//! the middle of an answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::evidence::hostile_directory;
use crate::node_with_shop;
use crate::support::{Node, run, run_with_input};
use crate::terminal::on_terminal;
use crate::top::Terminal;

/// Names that are allowed and awkward: spaces, what addresses and shells give a meaning, and a character that
/// reorders the line it stands in.
const NAMES: [&str; 7] =
    ["with space", "per%cent", "a?b#c", "-dash", "schräg/東京", "quote'\"$HOME", "bidi/\u{202e}txt"];

/// Values that would clear the screen, ring, rename the window and reorder the line.
const HOSTILE: &str = "\u{1b}[2J\u{7}\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}txt\nnext";

/// Whether a character does more than take its place in a line.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn odd_names_are_written_read_and_told_of_as_they_are() {
    let (_directory, node) = node_with_shop("harbour");
    for name in NAMES {
        let first = node.run(&["put", "--", name, "{\"n\":1}"]).expect(0).line().to_owned();
        node.run(&["set", "--", name, "/n", "2"]).expect(0);
        assert_eq!(node.run(&["get", "--", name, "/n"]).expect(0).line(), "2", "{name}");
        let history = node.run(&["--output", "json", "history", "--", name]).expect(0).json();
        assert_eq!(history["items"][0]["doc"], name);
        assert_eq!(node.run(&["diff", "--", name, &first[..8]]).expect(0).stdout, "- /n  1\n+ /n  2\n");
        node.run(&["blame", "--", name]).expect(0);
        node.run(&["conflicts", "--", name]).expect(0);
        node.run(&["quarantine", "--", name]).expect(0);
    }
    let listed = node.run(&["--output", "json", "ls"]).expect(0).json();
    let mut listed: Vec<_> =
        listed["items"].as_array().expect("a list").iter().map(|item| item["name"].clone()).collect();
    let mut names: Vec<_> = NAMES.iter().map(|name| json!(name)).collect();
    listed.sort_by_key(ToString::to_string);
    names.sort_by_key(ToString::to_string);
    assert_eq!(listed, names);
}

#[test]
fn no_view_lets_what_others_wrote_steer_the_terminal() {
    let (directory, node) = node_with_shop("harbour");
    let value = json!({ HOSTILE: HOSTILE, "list": [HOSTILE], "text": { "$text": HOSTILE } }).to_string();
    let name = NAMES[6];
    let first = run_with_input(node.command(&["put", name, "-"]), &value).expect(0);
    let changed = json!(format!("{HOSTILE}!")).to_string();
    node.run(&["set", name, "/list/0", &changed]).expect(0);
    let heads = &first.line()[..12];
    let views: [&[&str]; 11] = [
        &["get", name],
        &["get", name, "/list/0"],
        &["--output", "json", "get", name],
        &["ls"],
        &["ls", "--long"],
        &["history"],
        &["blame", name],
        &["diff", name, heads],
        &["revert", name, "--to", heads, "--dry-run"],
        &["--output", "json", "history", name],
        &["status"],
    ];
    for view in views {
        for columns in [40, 100] {
            let shown = on_terminal(view, columns, directory.path(), &node.directory).expect(0).stdout;
            assert!(!shown.is_empty() && !shown.contains(steers), "{view:?} at {columns}: {shown:?}");
        }
    }
    // In a pipe a whole document is the program's to judge, and every line of a listing is still one line.
    let piped = node.run(&["history", name]).expect(0).stdout;
    assert!(piped.lines().count() == 2 && !piped.contains('\u{1b}'), "{piped:?}");
}

#[test]
fn what_means_ill_is_told_of_without_steering_the_terminal() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a directory");
    // So long, too, that a line that is not cut fills the screen.
    hostile_directory(&data, NAMES[6], &HOSTILE.repeat(100));
    let conflict = format!("{}/conflict", NAMES[6]);
    let shows = |view: &[&str]| {
        for columns in [40, 100] {
            let shown = on_terminal(view, columns, home.path(), &data).expect(0).stdout;
            assert!(!shown.is_empty() && !shown.contains(steers), "{view:?} at {columns}: {shown:?}");
            let wide = |line: &&str| line.chars().count() > usize::from(columns);
            // What is said beside the data is a sentence of its own.
            let wide = shown.lines().filter(|line| !line.starts_with("no node runs")).find(wide);
            assert_eq!(wide, None, "{view:?} at {columns}");
        }
    };
    let stopped: [&[&str]; 4] = [&["quarantine"], &["forks"], &["history"], &["blame", &conflict]];
    stopped.iter().for_each(|view| shows(view));

    let node = Node::start(&data, &["--name", "one"]);
    stopped.iter().for_each(|view| shows(view));
    shows(&["conflicts"]);
    // From the value that lost to the one that shows there is always a difference.
    let found = node.run(&["--output", "json", "conflicts"]).expect(0).json();
    let lost = found["values"][1]["change"].as_str().expect("a change").to_owned();
    shows(&["diff", &conflict, &lost]);
    let piped = node.run(&["conflicts"]).expect(0).stdout;
    assert!(piped.lines().count() == 2 && !piped.contains('\u{1b}'), "{piped:.200}");

    let position = node.run(&["--output", "json", "status"]).expect(0).json();
    let position = position["store"]["position"].as_str().expect("a position").to_owned();
    let start = format!("{}-0", position.rsplit_once('-').expect("a store and a number").0);
    let watch = Terminal::running(&node, &["watch", "--since", &start], (40, 20));
    for part in ["conflict", "fork", "kept"] {
        watch.shows(&format!("\\u{{202e}}txt/{part}"));
    }
    assert!(!watch.sent().replace('\r', "").contains(steers), "{:?}", watch.sent());
}

#[test]
fn in_forty_columns_every_line_fits_and_without_colour_there_is_none() {
    let (directory, node) = node_with_shop("harbour");
    let long = "words ".repeat(30);
    let first = node.run(&["put", "config/web", &json!({ "a": long, "b": 1 }).to_string()]).expect(0);
    node.run(&["set", "config/web", "/a", &json!(long.to_uppercase()).to_string()]).expect(0);
    let heads = &first.line()[..8];
    let views: [&[&str]; 7] = [
        &["history", "config/web"],
        &["blame", "config/web"],
        &["diff", "config/web", heads],
        &["members"],
        &["ls", "--long"],
        &["doctor"],
        &["wait", "config/web"],
    ];
    for view in views {
        let shown = on_terminal(view, 40, directory.path(), &node.directory).stdout;
        let wide: Vec<_> = shown.lines().filter(|line| line.chars().count() > 40).collect();
        assert!(!shown.is_empty() && wide.is_empty(), "{view:?}: {wide:#?}");
        assert!(!shown.contains('\u{1b}'), "{view:?}: {shown:?}");
    }
    let members = on_terminal(&["members"], 40, directory.path(), &node.directory).stdout;
    assert!(members.contains("harbour") && members.contains("  role "), "{members}");
}

#[test]
fn a_document_of_any_size_is_told_of_whole() {
    let (_directory, node) = node_with_shop("harbour");
    let members: BTreeMap<String, usize> = (0..2_500).map(|n| (format!("k{n:04}"), n)).collect();
    run_with_input(node.command(&["put", "huge", "-"]), &json!(members).to_string()).expect(0);
    let blame = node.run(&["--output", "json", "blame", "huge"]).expect(0).json();
    let told: BTreeMap<String, usize> = blame["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| {
            let pointer = item["pointer"].as_str().expect("a pointer").trim_start_matches('/').to_owned();
            (pointer, item["value"].as_u64().expect("a number") as usize)
        })
        .collect();
    assert_eq!(told, members);
    assert_eq!(node.run(&["blame", "huge"]).expect(0).stdout.lines().count(), 2_500);
    // One change of so many operations: those past a thousand are counted.
    let history = node.run(&["--output", "json", "history", "huge"]).expect(0).json();
    assert_eq!(
        (&history["items"][0]["more"], history["items"].as_array().map(Vec::len)),
        (&json!(1_500), Some(1))
    );
    let told = node.run(&["history", "huge"]).expect(0).stdout;
    assert!(told.trim_end().ends_with("and 1500 operations more"), "{}", &told[told.len() - 80..]);
}

#[test]
fn a_node_that_dies_in_the_middle_of_an_answer_is_told_of_with_exit_code_7() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    // It begins a long answer to whatever is asked, and is gone.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                asked.push(byte[0]);
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
            // Whoever hung up meanwhile needs no answer.
            let _ = stream.write_all(format!("{head}{{\"items\":[{{\"name\":").as_bytes());
        }
    });
    let commands: [&[&str]; 14] = [
        &["status"],
        &["members"],
        &["peers"],
        &["ls"],
        &["get", "a"],
        &["history", "a"],
        &["blame", "a"],
        &["quarantine"],
        &["forks"],
        &["conflicts"],
        &["diff", "a", "now"],
        &["wait"],
        &["compare", "b"],
        &["export"],
    ];
    for words in commands {
        let ran = run([&["--node", &address, "--space", "shop", "--output", "json"][..], words].concat());
        assert_eq!(ran.code, Some(7), "{words:?}: {} {}", ran.stdout, ran.stderr);
        assert!(!ran.failure()["what"].as_str().unwrap_or_default().is_empty(), "{words:?}: {}", ran.stderr);
    }
}
