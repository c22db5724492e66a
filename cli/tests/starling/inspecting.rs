//! The guide `docs/inspecting.md` on a real fleet: every command of it is run on a terminal, in order, and
//! prints what the guide shows.

mod fleet;
mod told;

use std::fs;
use std::time::Duration;

use crate::support::until;
use crate::terminal::on_terminal;
use crate::top::Terminal;
use fleet::Fleet;
use told::Hashes;

const GUIDE: &str = include_str!("../../../docs/inspecting.md");

/// Most questions that a guide answers before it is no guide any more.
const QUESTIONS_MAX: usize = 12;

/// The terminal that the guide was written on.
const COLUMNS: u16 = 100;

/// Commands that end with something else than 0 where something is wrong, as it is in this fleet.
const EXITS: [(&str, i32); 2] = [("compare", 8), ("doctor", 8)];

const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the guide and what it shows below.
struct Shown {
    command: String,
    output: String,
}

/// What the guide's blocks show, in order.
fn shown(guide: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in guide.lines() {
        if line.starts_with("```") {
            inside = line == "```" && !inside;
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            all.push(Shown { command: command.to_owned(), output: String::new() });
        } else if inside && let Some(last) = all.last_mut() {
            last.output += &format!("{line}\n");
        }
    }
    all
}

#[test]
fn every_command_of_the_guide_prints_what_it_shows_on_a_fleet_in_trouble() {
    let home = tempfile::tempdir().expect("a directory");
    let fleet = Fleet::build(home.path());
    let work = home.path().join("work");
    fs::create_dir(&work).expect("a directory");
    let mut hashes = Hashes::default();
    let mut found = String::new();
    for Shown { command, output } in shown(GUIDE) {
        let words: Vec<String> = command.split(' ').map(|word| hashes.translated(word)).collect();
        assert_eq!(words[0], "starling", "{command}");
        if words[1] == "top" {
            top_shows(&fleet, &output);
            continue;
        }
        let exit = EXITS.iter().find(|(name, _)| *name == words[1]).map_or(0, |(_, exit)| *exit);
        fleet.settles();
        let rest: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let ran = on_terminal(&rest, COLUMNS, &work, &fleet.shore.directory);
        let printed = ran.stdout.replace(&fleet.shore.directory.display().to_string(), "/var/lib/starling");
        let compared = hashes.compare(&output, &printed);
        if ran.code != Some(exit) || compared.is_err() {
            found += &format!("$ {command}\n{printed}: exit {:?}, {compared:?}\n\n", ran.code);
        }
    }
    assert!(found.is_empty(), "what the guide shows is not what was printed:\n\n{found}");
}

/// The live picture shows every word of the one in the guide, while somebody writes.
fn top_shows(fleet: &Fleet, picture: &str) {
    let is_sign = |c: char| !c.is_alphabetic();
    let words: Vec<&str> =
        picture.split(is_sign).filter(|word| word.len() >= 3 && !word.ends_with("iB")).collect();
    assert!(words.len() > 20, "{picture}");
    let mut terminal = Terminal::start(&fleet.shore, (COLUMNS, 30));
    let mut number = 0;
    for word in words {
        until(&format!("top shows {word}"), PATIENCE, || {
            number += 1;
            fleet.shore.run(&["set", "config/web", "/replicas", &number.to_string()]).expect(0);
            terminal.sent().contains(word)
        });
    }
    terminal.press("q");
    terminal.ended("0");
}

#[test]
fn the_guide_answers_few_questions_with_one_command_each() {
    let questions: Vec<&str> =
        GUIDE.split("\n## ").skip(1).filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert!(questions.len() <= QUESTIONS_MAX, "{} questions", questions.len());
    for (number, question) in (1..).zip(&questions) {
        assert!(question.starts_with(&format!("{number}. ")), "{question:.40}");
        assert_eq!(shown(question).len(), 1, "commands of question {number}");
    }
}
