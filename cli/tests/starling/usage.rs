//! What needs no node: arguments, exit codes, help, the shapes of output, import without sending.

use std::fs;

use crate::support::{run, run_with_input, starling};

/// A data directory in which no node ever ran.
fn nowhere() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let rows: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["fly"], "fly"),
        (&["get"], "DOC"),
        (&["up", "--no-such-flag"], "--no-such-flag"),
        (&["up", "--profile", "moon"], "lan, wan, local"),
        (&["up", "--http", "0.0.0.0:4711"], "loopback"),
        (&["up", "--name", ""], "1 to 64 bytes"),
        (&["--output", "xml", "version"], "table"),
        (&["put", "a", "{}", "--if-absent", "--if-heads", "00"], "heads"),
        (&["get", "a", "--at", "zz"], "64 hex digits"),
        (&["rm"], "required"),
        (&["rm", "a", "--prefix", "b"], "cannot be used"),
        (&["invite", "--role", "king"], "reader"),
        (&["invite", "--uses", "0"], "0"),
        (&["invite", "--expires", "tomorrow"], "24h"),
        (&["wait", "--nodes", "some"], "all"),
        (&["inc", "a", "/n", "many"], "many"),
        (&["--node", "ftp://x", "status"], "unix:"),
        (&["--node", "http://127.0.0.1", "status"], "port"),
        (&["import"], "PATH"),
        (&["import", "x.json", "--split", "--key-field", "id"], "cannot be used"),
        (&["completions", "cobol"], "bash"),
        (&["watch", "--jobs", "2"], "--exec"),
        (&["watch", "--exec", "true", "--jobs", "0"], "1..=64"),
        (&["watch", "--resume", "../x"], "letters, digits"),
        (&["watch", "--resume", "a", "--since", "b"], "cannot be used"),
        (&["watch", "--state-dir", "x"], "--resume"),
    ];
    for (args, said) in rows {
        let ran = run(*args).expect(2);
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn help_and_version_are_data_and_end_with_0() {
    for args in [&["--help"][..], &["help", "put"], &["up", "-h"], &["--version"], &["version"]] {
        let ran = run(args).expect(0);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{args:?}");
    }
    assert_eq!(run(["version"]).line(), format!("starling {}", env!("CARGO_PKG_VERSION")));
    let json = run(["--output", "json", "version"]).json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_command_explains_itself() {
    let commands = crate::routes::commands();
    assert!(commands.len() > 40, "{commands:?}");
    for command in commands {
        // What `help` says is what every command says of itself.
        let asked: &[&str] = if command == "help" { &["help"] } else { &[&command, "--help"] };
        let told = run(asked).expect(0).stdout;
        assert!(told.contains("Usage: starling") && told.lines().count() > 5, "{command}: {told}");
    }
}

#[test]
fn without_a_node_every_path_tried_is_named_and_the_code_is_7() {
    let home = nowhere();
    let mut command = starling(["space", "list"]);
    command.env("HOME", home.path()).env("XDG_DATA_HOME", home.path());
    let ran = run_with_input(command, "").expect(7);
    for path in ["/run/starling/api.sock", "/var/lib/starling/api.sock"] {
        assert!(ran.stderr.contains(path), "{}", ran.stderr);
    }
    assert!(ran.stderr.contains("starling up"), "{}", ran.stderr);

    let directory = home.path().display().to_string();
    let ran = run(["--data-dir", &directory, "--output", "json", "members"]).expect(7);
    let failure = ran.failure();
    assert_eq!((&failure["code"], &failure["exit"]), (&"unreachable".into(), &7.into()));
    assert!(failure["why"][0].as_str().is_some_and(|why| why.contains(&directory)), "{failure}");
    assert!(!ran.stderr.contains("/run/starling"), "another node must not be tried: {}", ran.stderr);

    let ran = run(["--node", &format!("unix:{directory}/none.sock"), "peers"]).expect(7);
    assert!(ran.stderr.contains("none.sock"), "{}", ran.stderr);
}

#[test]
fn flags_have_environment_twins_and_win_over_them() {
    let mut command = starling(["version"]);
    command.env("STARLING_OUTPUT", "json");
    assert!(run_with_input(command, "").expect(0).stdout.starts_with('{'));

    let mut command = starling(["version", "--output", "table"]);
    command.env("STARLING_OUTPUT", "json");
    assert!(run_with_input(command, "").expect(0).stdout.starts_with("starling"));

    let mut command = starling(["status"]);
    command.env("STARLING_NODE", "unix:/nonexistent/twin.sock");
    assert!(run_with_input(command, "").expect(7).stderr.contains("twin.sock"));

    let mut command = starling(["up"]);
    command.env("STARLING_PROFILE", "moon");
    let told = run_with_input(command, "").expect(2).stderr;
    assert!(told.contains("moon") && told.contains("the value comes from STARLING_PROFILE\n"), "{told}");
    let mut command = starling(["up", "--profile=sun"]);
    command.env("STARLING_PROFILE", "moon");
    let told = run_with_input(command, "").expect(2).stderr;
    assert!(told.contains("sun") && !told.contains("comes from"), "{told}");

    let mut command = starling(["version"]);
    command.env("STARLING_OUTPUT", "");
    run_with_input(command, "").expect(0);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    // `true` reads nothing, so the script below meets a pipe that is closed already or soon.
    let script =
        format!("{} completions bash | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_starling"));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]);
    let ran = run_with_input(command, "").expect(0);
    assert_eq!((ran.line(), ran.stderr.as_str()), ("0", ""));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(["completions", shell]).expect(0).stdout;
        assert!(script.contains("conflicts") && script.contains("no-mdns"), "{shell}");
    }
}

#[test]
fn a_dry_import_prints_names_and_complains_with_file_and_line() {
    let directory = nowhere();
    let good = directory.path().join("good.ndjson");
    fs::write(&good, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n").expect("a file");
    let ran =
        run(["import", "--dry-run", "--key-field", "id", "--prefix", "x/", &good.display().to_string()])
            .expect(0);
    assert_eq!(ran.stdout, "x/a\nx/b\n");

    let bad = directory.path().join("bad.ndjson");
    fs::write(&bad, "{\"id\":\"a\"}\n{\"id\":1,\"id\":2}\nnonsense\n").expect("a file");
    let ran = run(["import", "--dry-run", "--key-field", "id", &bad.display().to_string()]).expect(2);
    assert_eq!(ran.stdout, "a\n");
    for line in [2, 3] {
        assert!(ran.stderr.contains(&format!("{}:{line}: ", bad.display())), "{}", ran.stderr);
    }

    let from_stdin = starling(["--output", "json", "import", "--dry-run", "--key-field", "id", "-"]);
    let ran = run_with_input(from_stdin, "{\"id\":7}\n").expect(0);
    assert_eq!(ran.json(), serde_json::json!({ "doc": "7", "from": "-:1" }));
}

#[test]
fn what_cannot_be_read_is_bad_usage_before_any_node_is_asked() {
    assert!(run(["put", "a", "@/nonexistent/file"]).expect(2).stderr.contains("/nonexistent/file"));
    let ran = run(["set", "a", "/b", "unquoted"]).expect(2);
    assert!(ran.stderr.contains("quotes"), "{}", ran.stderr);
    let ran = run(["set", "a", "/b", "{\"x\":1,\"x\":2}"]).expect(2);
    assert!(ran.stderr.contains("twice"), "{}", ran.stderr);
    assert!(run_with_input(starling(["join", "-"]), " \n").expect(2).stderr.contains("ticket"));
}

#[test]
fn an_unusable_configuration_is_named_with_file_and_line() {
    let directory = nowhere();
    let at = directory.path().display().to_string();
    fs::write(directory.path().join("starling.toml"), "name = \"a\"\nnmae = \"b\"\n").expect("a file");
    let ran = run(["up", "--data-dir", &at]).expect(2);
    assert!(
        ran.stderr.contains(&format!("{at}/starling.toml:2: ")) && ran.stderr.contains("nmae"),
        "{}",
        ran.stderr
    );

    let long = format!("/tmp/{}", "x".repeat(120));
    let ran = run(["up", "--data-dir", &long]).expect(2);
    assert!(ran.stderr.contains("107"), "{}", ran.stderr);
}
