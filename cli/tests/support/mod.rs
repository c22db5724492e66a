//! Runs the built `starling` as a person or a script would: commands with a deadline, and nodes that
//! never outlive their test.
//!
//! Promises: nothing here waits for ever, no environment variable of Starling leaks in, every node is
//! killed when it is dropped. Leaves out: judging what the commands print.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long one command may take on a busy machine.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a node may take until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Pause between two looks.
pub const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The log of the node it was about, for whoever wonders why it failed.
    log: Option<PathBuf>,
}

/// Lines of a node's log that are told with a failure.
const LOG_LINES_TOLD: usize = 40;

impl Ran {
    /// Asserts the exit code and gives what was printed.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "stdout: {stdout}\nstderr: {stderr}{}", self.log());
        self
    }

    fn log(&self) -> String {
        let Some(log) = self.log.as_ref().and_then(|path| fs::read_to_string(path).ok()) else {
            return String::new();
        };
        let lines: Vec<&str> = log.lines().collect();
        let told = &lines[lines.len().saturating_sub(LOG_LINES_TOLD)..];
        format!("\nthe node's log ends:\n{}", told.join("\n"))
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The failure that `--output json` prints on standard error.
    #[track_caller]
    pub fn failure(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let value: Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", self.stderr));
        value["error"].clone()
    }

    /// Standard output without its final line break.
    pub fn line(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }
}

/// The program with these arguments and a clean environment.
pub fn starling<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"STARLING_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").args(args);
    command
}

/// Runs a command to its end, with this on its standard input.
#[track_caller]
pub fn run_with_input(mut command: Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut stdin = child.stdin.take().expect("piped");
    let (input, mut stdout, mut stderr) =
        (input.to_owned(), child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    // A command that does not read its input closes the pipe, which is no failure of the test.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let out = thread::spawn(move || read_all(&mut stdout));
    let err = thread::spawn(move || read_all(&mut stderr));
    let status = wait_for(&mut child, COMMAND_TIME_MAX).unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} did not end within {COMMAND_TIME_MAX:?}")
    });
    writer.join().expect("no writer panics");
    Ran {
        code: status.code(),
        stdout: out.join().expect("no reader panics"),
        stderr: err.join().expect("no reader panics"),
        log: None,
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run<I, S>(args: I) -> Ran
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    run_with_input(starling(args), "")
}

/// Waits until a process ends; nothing if it takes too long.
pub fn wait_for(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    let give_up = Instant::now() + most;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if Instant::now() > give_up {
            return None;
        }
        thread::sleep(LOOK_PAUSE);
    }
}

/// Waits until something holds, and panics with what was expected when it takes too long.
#[track_caller]
pub fn until(what: &str, most: Duration, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + most;
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: not within {most:?}");
        thread::sleep(LOOK_PAUSE);
    }
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A running node of its own directory, on loopback, at a free port, without mDNS.
pub struct Node {
    pub directory: PathBuf,
    process: Child,
}

impl Node {
    /// Starts a node on a directory and waits until it serves.
    #[track_caller]
    pub fn start(directory: &Path, more: &[&str]) -> Self {
        Self::spawn(directory, more).serving()
    }

    /// Waits until the node serves.
    #[track_caller]
    pub fn serving(mut self) -> Self {
        let give_up = Instant::now() + START_TIME_MAX;
        loop {
            if self.process.try_wait().expect("a child can be waited for").is_some() {
                panic!("the node ended: {}", self.log());
            }
            // Not `status`, which also answers for a node that does not run.
            if run(["--data-dir", &self.directory.display().to_string(), "peers"]).code == Some(0) {
                return self;
            }
            assert!(Instant::now() < give_up, "the node does not answer: {}", self.log());
            thread::sleep(LOOK_PAUSE);
        }
    }

    /// Starts a node and does not wait.
    pub fn spawn(directory: &Path, more: &[&str]) -> Self {
        let mut command = starling(["up", "--no-mdns", "--profile", "local"]);
        if !more.contains(&"--listen") {
            command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        }
        command.args(more);
        Self::launch(directory, command)
    }

    /// Starts a node on a directory with a command of the caller's own, and does not wait.
    pub fn launch(directory: &Path, mut command: Command) -> Self {
        fs::create_dir_all(directory).expect("a directory can be made");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .expect("a log can be made");
        let process = command
            .arg("--data-dir")
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn()
            .expect("the program was built");
        Self { directory: directory.to_owned(), process }
    }

    /// Runs a command against this node.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        let log = Some(self.directory.join("log"));
        Ran { log, ..run_with_input(self.command(args), "") }
    }

    /// A command against this node, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = starling(["--data-dir"]);
        command.arg(&self.directory).args(args);
        command
    }

    /// Everything the node printed and logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The process, to signal and to wait for.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// SIGKILL: the node gets no chance to tidy up.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}
