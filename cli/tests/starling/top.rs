//! `top` on a real terminal, which `script` provides: what it shows at three sizes, and that it gives the
//! terminal back however it ends.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::node_with_shop;
use crate::support::{Node, until, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 12), (200, 60)];

/// `top`, or another command that goes on until it is stopped, in a terminal of its own. Killed when it is
/// dropped.
pub struct Terminal {
    directory: tempfile::TempDir,
    script: Child,
    /// Whether `top` has ended: its process id may be another's by then.
    over: bool,
}

impl Terminal {
    pub fn start(node: &Node, size: (u16, u16)) -> Self {
        Self::running(node, &["top"], size)
    }

    /// Any other command that does not end by itself.
    pub fn running(node: &Node, words: &[&str], (columns, rows): (u16, u16)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut top = node.command(words);
        let words = std::iter::once(top.get_program()).chain(top.get_args());
        let top_line: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
        fs::write(directory.path().join("top.sh"), format!("echo $$ > pid\nexec {}\n", top_line.join(" ")))
            .expect("a file");
        let session = format!(
            "stty cols {columns} rows {rows}; stty -g > before; sh top.sh; echo $? > code; stty -g > after.new; \
             mv after.new after"
        );
        top = Command::new("script");
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"STARLING_"))
        {
            top.env_remove(name);
        }
        let script = top
            .args(["-qfc", &session, "typescript"])
            .current_dir(directory.path())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("script is installed");
        Self { directory, script, over: false }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// Everything that was sent to the terminal.
    pub fn sent(&self) -> String {
        self.text("typescript")
    }

    #[track_caller]
    pub fn shows(&self, word: &str) {
        until(&format!("{word} is shown"), PATIENCE, || self.sent().contains(word));
    }

    pub fn press(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().expect("piped");
        stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush()).expect("script reads");
    }

    /// Waits for the end, and asserts the exit code and that the terminal is as it was.
    #[track_caller]
    pub fn ended(&mut self, code: &str) {
        until("top ends", PATIENCE, || self.path("after").exists());
        self.over = true;
        assert_eq!(self.text("code").trim(), code, "{}", self.sent());
        assert_eq!(self.text("after"), self.text("before"), "the terminal's settings");
        let sent = self.sent();
        for (ours, given_back) in [("\u{1b}[?1049h", "\u{1b}[?1049l"), ("\u{1b}[?25l", "\u{1b}[?25h")] {
            let (taken, back) = (sent.rfind(ours), sent.rfind(given_back));
            assert!(taken.is_some() && taken < back, "{given_back:?} must come last: {sent:?}");
        }
        self.script.stdin = None;
        wait_for(&mut self.script, PATIENCE).expect("script ends with it");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.over |= self.path("after").exists();
        if let Some(pid) = self.text("pid").trim().parse::<u32>().ok().filter(|_| !self.over) {
            // It may end just now.
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
        }
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn top_gives_the_terminal_back_at_every_size_and_however_it_ends() {
    let (_directory, node) = node_with_shop("harbour");
    let ends: &[(&str, &str)] = &[("q", "0"), ("\u{3}", "130"), ("TERM", "130"), ("\u{1b}[24~", "101")];
    // The key that panics is for tests, and so not in a release.
    let ends = &ends[..if cfg!(debug_assertions) { 4 } else { 3 }];
    for (number, (how, code)) in ends.iter().enumerate() {
        let mut terminal = Terminal::start(&node, SIZES[number % SIZES.len()]);
        terminal.shows("harbour");
        if *how == "TERM" {
            let pid = terminal.text("pid");
            assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().expect("kill runs").success());
        } else {
            terminal.press(how);
        }
        terminal.ended(code);
    }
}

#[test]
fn top_shows_changes_a_history_and_that_the_node_went_away_and_came_back() {
    let (directory, node) = node_with_shop("harbour");
    let mut terminals = SIZES.map(|size| Terminal::start(&node, size));
    terminals.iter().for_each(|terminal| terminal.shows("harbour"));
    let mut number = 0;
    for terminal in &terminals {
        until("the change is shown", PATIENCE, || {
            number += 1;
            node.run(&["put", "config/web", &format!("{{\"n\":{number}}}")]).expect(0);
            terminal.sent().contains("config/web")
        });
    }
    for terminal in &mut terminals {
        terminal.press("\r");
        terminal.shows("/n");
        terminal.press("\u{1b}");
    }
    node.kill();
    terminals.iter().for_each(|terminal| terminal.shows("answer"));
    let _node = Node::start(directory.path(), &["--name", "harbour"]);
    for terminal in &mut terminals {
        let before = terminal.sent().len();
        until("it draws again", PATIENCE, || terminal.sent().len() > before);
        terminal.press("q");
        terminal.ended("0");
    }
}

#[test]
fn top_without_a_terminal_says_what_to_use_instead() {
    let (_directory, node) = node_with_shop("harbour");
    let ran = node.run(&["top"]).expect(2);
    assert!(ran.stderr.contains("needs a terminal") && ran.stderr.contains("watch"), "{}", ran.stderr);
}
