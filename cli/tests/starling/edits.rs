//! Parts of documents changed through the command line: patches, texts, lists, lines of a batch, and what
//! a write says of other nodes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::node_with_shop;
use crate::support::{run_with_input, until, wait_for};

#[test]
fn patches_are_told_apart_and_hold_as_a_whole() {
    let (directory, node) = node_with_shop("one");
    node.run(&["put", "a", r#"{"port":80,"hosts":["x","z"],"old":1}"#]).expect(0);
    let heads = node.run(&["patch", "a", r#"{"port":81,"old":null}"#]).expect(0);
    assert_eq!(heads.line().len(), 64, "a pipe gets the heads alone: {}", heads.stdout);
    let file = directory.path().join("patch.json");
    fs::write(
        &file,
        r#"[{"op":"test","path":"/port","value":81},{"op":"add","path":"/hosts/1","value":"y"}]"#,
    )
    .expect("a file");
    node.run(&["patch", "a", &format!("@{}", file.display())]).expect(0);
    let from_stdin = node.command(&["patch", "a", "-", "--type", "merge"]);
    run_with_input(from_stdin, r#"{"n":{"$counter":1}}"#).expect(0);
    let expected = json!({"port": 81, "hosts": ["x", "y", "z"], "n": {"$counter": 1}});
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), expected);

    let text = r#"[{"op":"remove","path":"/n"},{"op":"test","path":"/port","value":80}]"#;
    let failed = node.run(&["--output", "json", "patch", "a", text]).expect(5);
    assert_eq!(failed.failure()["code"], "patch-test-failed");
    node.run(&["patch", "a", r#"[{"op":"remove","path":"/none"}]"#]).expect(3);
    assert!(node.run(&["patch", "a", "3"]).expect(2).stderr.contains("--help"));
    node.run(&["patch", "a", "{}", "--type", "json"]).expect(2);
    node.run(&["patch", "a", "{}", "--if-heads", heads.line()]).expect(5);
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), expected);
}

#[test]
fn texts_are_spliced_and_lists_inserted_into() {
    let (_directory, node) = node_with_shop("one");
    node.run(&["put", "a", r#"{"t":{"$text":"grüße"},"l":[1]}"#]).expect(0);
    node.run(&["splice", "a", "/t", "2", "1", "u"]).expect(0);
    node.run(&["splice", "a", "/t", "5", "0", "-end"]).expect(0);
    node.run(&["splice", "a", "/t", "0", "1"]).expect(0);
    node.run(&["insert", "a", "/l/0", "\"first\""]).expect(0);
    node.run(&["insert", "a", "/l/-", "{\"last\":true}"]).expect(0);
    let expected = json!({"t": {"$text": "ruße-end"}, "l": ["first", 1, {"last": true}]});
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), expected);
    node.run(&["splice", "a", "/t", "99", "0", "x"]).expect(2);
    node.run(&["splice", "a", "/none", "0", "0", "x"]).expect(3);
    node.run(&["insert", "a", "/t/0", "1"]).expect(2);
    assert!(node.run(&["insert", "a", "/l/0", "bare"]).expect(2).stderr.contains("quotes"));
}

#[test]
fn a_batch_writes_what_is_good_and_names_the_lines_that_are_not() {
    let (directory, node) = node_with_shop("one");
    let lines = concat!(
        r#"{"op":"put","doc":"a","value":{"n":1,"t":{"$text":"x"}}}"#,
        "\n\n",
        "nonsense\n",
        r#"{"op":"increment","doc":"a","pointer":"/c","by":2}"#,
        "\n",
        r#"{"op":"set","doc":"a","pointer":"/n/deeper","value":1}"#,
        "\n",
        r#"{"op":"patch","doc":"b","patch":[{"op":"add","path":"/x","value":[]}]}"#,
        "\n",
        r#"{"op":"burn","doc":"a"}"#,
        "\n",
        r#"{"op":"splice","doc":"a","pointer":"/t","at":1,"insert":"y"}"#,
    );
    let ran = run_with_input(node.command(&["batch"]), lines).expect(2);
    let names: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(names, ["a", "a", "b", "a"]);
    for line in ["-:3: ", "-:5: a: ", "-:7: "] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    let expected = json!({"n": 1, "t": {"$text": "xy"}, "c": {"$counter": 2}});
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), expected);

    let file = directory.path().join("lines.ndjson");
    fs::write(
        &file,
        "{\"op\":\"delete\",\"doc\":\"a\"}\n{\"op\":\"merge\",\"doc\":\"b\",\"patch\":{\"y\":1}}\n",
    )
    .expect("a file");
    let path = file.display().to_string();
    assert_eq!(node.run(&["batch", "--dry-run", &path]).expect(0).stdout, "a\nb\n");
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "a\nb\n");
    let ran = node.run(&["--output", "json", "batch", &path]).expect(0);
    let results: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(results.len(), 2);
    assert!(
        results.iter().all(|result| result["ok"] == true && result["heads"].is_array()),
        "{}",
        ran.stdout
    );
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "b\n");
    node.run(&["batch", "/nonexistent/lines"]).expect(2);
}

#[test]
fn a_batch_of_many_lines_is_answered_to_the_last() {
    let (_directory, node) = node_with_shop("one");
    let lines: String = (0..20_000)
        .map(|number| {
            format!("{{\"op\":\"set\",\"doc\":\"d{}\",\"pointer\":\"/n\",\"value\":{number}}}\n", number % 50)
        })
        .collect();
    let ran = run_with_input(node.command(&["batch"]), &lines).expect(0);
    assert_eq!(ran.stdout.lines().count(), 20_000);
    assert_eq!(node.run(&["get", "d7", "/n"]).expect(0).line(), "19957");
}

#[test]
fn a_write_that_too_few_confirm_is_durable_and_ends_with_6() {
    let (directory, node) = node_with_shop("one");
    let ran = node.run(&["put", "a", "{\"n\":1}", "--confirm", "1", "--timeout", "100ms"]).expect(6);
    assert_eq!(ran.line().len(), 64, "the heads are printed all the same: {}", ran.stdout);
    assert!(ran.stderr.contains("confirmed by 0 others, asked for 1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("no other member"), "{}", ran.stderr);
    assert_eq!(node.run(&["get", "a", "/n"]).expect(0).line(), "1");
    node.run(&["set", "a", "/n", "2", "--confirm", "all"]).expect(0);
    let json = node.run(&["--output", "json", "inc", "a", "/c", "--confirm", "all"]).expect(0).json();
    assert_eq!((&json["confirmed"]["count"], &json["confirmed"]["satisfied"]), (&json!(0), &json!(true)));
    let failed = node.run(&["--output", "json", "rm", "a", "--confirm", "3", "--timeout", "100ms"]).expect(6);
    assert_eq!(failed.failure()["code"], "unconfirmed");
    let file = directory.path().join("x.json");
    fs::write(&file, "{}").expect("a file");
    let path = file.display().to_string();
    node.run(&["import", &path, "--confirm", "1", "--timeout", "100ms"]).expect(6);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "x\n");
    node.run(&["rm", "--prefix", "x", "--yes", "--confirm", "1", "--timeout", "100ms"]).expect(6);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "");
    let from_stdin = node.command(&["batch", "--confirm", "1", "--timeout", "100ms"]);
    run_with_input(from_stdin, "{\"op\":\"put\",\"doc\":\"y\",\"value\":{}}").expect(6);
    node.run(&["put", "a", "{}", "--timeout", "1s"]).expect(2);
    node.run(&["put", "a", "{}", "--confirm", "some"]).expect(2);
}

#[test]
fn a_bench_says_how_long_and_leaves_no_document() {
    let (_directory, node) = node_with_shop("one");
    for workload in ["write", "read", "mixed", "watch", "batch"] {
        let args = ["--output", "json", "bench", "--clients", "2", "--seconds", "1", "--workload", workload];
        let report = node.run(&args).expect(0).json();
        assert_eq!((&report["workload"], &report["errors"]), (&json!(workload), &json!(0)), "{report}");
        let figure = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("no {name}: {report}"));
        assert!(figure("done") > 0.0 && figure("per_second") > 0.0, "{report}");
        assert!(figure("p50_us") > 0.0 && figure("p50_us") <= figure("p99_us"), "{report}");
        assert!(figure("p99_us") <= figure("max_us"), "{report}");
        assert_eq!(node.run(&["ls"]).expect(0).stdout, "", "{workload}");
    }
    node.run(&["put", "mine", "{}"]).expect(0);
    let refused = node.run(&["bench", "--seconds", "1"]).expect(2);
    assert!(refused.stderr.contains("--yes") && refused.stderr.contains("1 document"), "{}", refused.stderr);
    let ran = node.run(&["bench", "--seconds", "1", "--yes"]).expect(0);
    assert_eq!((ran.stdout.lines().count(), ran.stdout.split('\t').count()), (1, 9), "{}", ran.stdout);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "mine\n");
    node.run(&["bench", "--clients", "0"]).expect(2);
}

#[test]
fn a_bench_that_is_interrupted_leaves_no_document() {
    let (_directory, node) = node_with_shop("one");
    let mut command = node.command(&["bench", "--clients", "2", "--seconds", "600"]);
    let mut bench = command.stdout(Stdio::null()).spawn().expect("the program was built");
    until("it writes", Duration::from_secs(30), || node.run(&["ls", "--count"]).expect(0).line() != "0");
    let sent = Command::new("kill").args(["-INT", &bench.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let status = wait_for(&mut bench, Duration::from_secs(30)).expect("it ends once it has cleaned up");
    assert_eq!(status.code(), Some(130));
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "");
}
