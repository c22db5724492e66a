//! What comes out of files of every format, and what is said about bad ones.

use std::fs;
use std::path::PathBuf;

use super::{LINE_BYTES_MAX, Naming, Reader, sources};

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

/// Names and bodies of what was read; the messages of what was not.
fn read(naming: Naming, prefix: &str, paths: &[PathBuf]) -> (Vec<(String, String)>, Vec<String>) {
    let reader = Reader { naming, prefix: prefix.to_owned() };
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for source in sources(paths).0 {
        match source {
            Ok(source) => {
                for record in reader.read(&source) {
                    match record {
                        Ok(record) => records.push((record.name, record.body.to_string())),
                        Err(fault) => faults.push(fault.to_string()),
                    }
                }
            }
            Err(fault) => faults.push(fault.to_string()),
        }
    }
    (records, faults)
}

fn key(field: &str) -> Naming {
    Naming::KeyField(field.to_owned())
}

fn pairs(records: &[(String, String)]) -> Vec<(&str, &str)> {
    records.iter().map(|(name, body)| (name.as_str(), body.as_str())).collect()
}

#[test]
fn a_directory_gives_one_document_per_file_named_by_its_path() {
    let directory = Directory::new();
    directory.file("web/prod.json", "{\n  \"port\": 80\n}\n");
    directory.file("web/test.yaml", "port: 8080\nhosts: [a, b]\n");
    directory.file("db.toml", "port = 5432\nsince = 2026-01-02T03:04:05Z\n");
    directory.file("readme.txt", "not data");
    directory.file(".hidden.json", "{}");
    let (records, faults) = read(Naming::PerFile, "config/", &[directory.0.path().to_owned()]);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(
        pairs(&records),
        [
            ("config/db", r#"{"port":5432,"since":{"$time":"2026-01-02T03:04:05Z"}}"#),
            ("config/web/prod", r#"{"port":80}"#),
            ("config/web/test", r#"{"hosts":["a","b"],"port":8080}"#),
        ]
    );
    assert_eq!(sources(&[directory.0.path().to_owned()]).1, 1);
}

#[test]
fn a_record_a_line_is_named_by_a_member() {
    let directory = Directory::new();
    let path = directory.file("r.ndjson", "{\"id\":\"a\",\"n\":18446744073709551615}\n\n{\"id\":7}\n");
    let (records, faults) = read(key("id"), "r/", &[path]);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(pairs(&records), [("r/a", r#"{"id":"a","n":18446744073709551615}"#), ("r/7", r#"{"id":7}"#)]);
}

#[test]
fn lists_and_yaml_streams_are_records_too() {
    let directory = Directory::new();
    let list = directory.file("list.json", "[{\"meta\":{\"id\":\"a\"}},\n {\"meta\":{\"id\":\"b\"}}]");
    let stream = directory.file("stream.yml", "meta: {id: c}\n---\nmeta: {id: d}\n");
    let (records, faults) = read(key("/meta/id"), "", &[list, stream]);
    assert_eq!(faults, Vec::<String>::new());
    let names: Vec<_> = records.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[test]
fn splitting_gives_one_document_per_member() {
    let directory = Directory::new();
    let path = directory.file("db.json", "{\"text/css\":{\"x\":1},\n\"text/html\":{},\n\"odd\":3}");
    let (records, faults) = read(Naming::Split, "mime/", std::slice::from_ref(&path));
    assert_eq!(pairs(&records), [("mime/text/css", r#"{"x":1}"#), ("mime/text/html", "{}")]);
    assert_eq!(faults, [format!("{}:3: is no object, and a document's root must be one", path.display())]);
}

#[test]
fn faults_name_file_and_line_and_stop_nothing() {
    let directory = Directory::new();
    let lines = directory.file("l.ndjson", "{\"id\":\"a\"}\n{broken\n{\"no\":1}\n[1]\n{\"id\":\"z\"}\n");
    let (records, faults) = read(key("id"), "", std::slice::from_ref(&lines));
    assert_eq!(records.len(), 2);
    assert_eq!(faults.len(), 3);
    for (fault, number) in faults.iter().zip([2, 3, 4]) {
        assert!(fault.starts_with(&format!("{}:{number}: ", lines.display())), "{fault}");
    }
    let rows = [
        ("b.json", "{\"a\":\n1,,}", ":2: is no JSON"),
        ("twice.json", "{\"a\":1,\n\"a\":2}", ":2: is no JSON that can be stored"),
        ("large.json", "{\"a\":\n\n99999999999999999999}", ":3: is no JSON that can be stored"),
        ("b.yaml", "a: 1\nb: [\n", ": is no YAML"),
        ("twice.yaml", "a: 1\na: 2\n", ": is no YAML"),
        ("inf.yaml", "a: .inf\n", "which JSON cannot say"),
        ("b.toml", "a = 1\nb = \n", ":2: is no TOML"),
        ("list.json", "[1]", "must be one"),
        ("many.yaml", "a: 1\n---\na: 2\n", "--key-field"),
        ("n.ndjson", "{}\n", "--key-field"),
        ("plain.txt", "x", "extension"),
    ];
    for (name, text, expected) in rows {
        let path = directory.file(name, text);
        let (records, faults) = read(Naming::PerFile, "", std::slice::from_ref(&path));
        assert_eq!(records, [], "{name}");
        assert_eq!(faults.len(), 1, "{name}");
        assert!(
            faults[0].starts_with(&path.display().to_string()) && faults[0].contains(expected),
            "{}",
            faults[0]
        );
    }
    let (_, faults) = read(Naming::PerFile, "", &[directory.0.path().join("absent.json")]);
    assert!(faults[0].contains("absent.json"), "{}", faults[0]);
}

#[test]
fn an_endless_line_is_refused_without_being_held() {
    let directory = Directory::new();
    let path = directory.file("long.ndjson", &"x".repeat(LINE_BYTES_MAX + 10));
    let (records, faults) = read(key("id"), "", &[path]);
    assert_eq!(records, []);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("longer than 8 MiB"), "{}", faults[0]);
}
