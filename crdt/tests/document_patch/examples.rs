//! Patches, documents before and after: the RFCs' own examples and what their text says beyond them.

/// What a row expects: the document afterwards, or the code of the refusal.
pub type Expected = Result<&'static str, &'static str>;

/// Name, document, patch, what comes of it. Appendix A of RFC 6902, whole.
pub const APPENDIX_A: &[(&str, &str, &str, Expected)] = &[
    (
        "A.1",
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/baz","value":"qux"}]"#,
        Ok(r#"{"baz":"qux","foo":"bar"}"#),
    ),
    (
        "A.2",
        r#"{"foo":["bar","baz"]}"#,
        r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
        Ok(r#"{"foo":["bar","qux","baz"]}"#),
    ),
    ("A.3", r#"{"baz":"qux","foo":"bar"}"#, r#"[{"op":"remove","path":"/baz"}]"#, Ok(r#"{"foo":"bar"}"#)),
    (
        "A.4",
        r#"{"foo":["bar","qux","baz"]}"#,
        r#"[{"op":"remove","path":"/foo/1"}]"#,
        Ok(r#"{"foo":["bar","baz"]}"#),
    ),
    (
        "A.5",
        r#"{"baz":"qux","foo":"bar"}"#,
        r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
        Ok(r#"{"baz":"boo","foo":"bar"}"#),
    ),
    (
        "A.6",
        r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
        r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
        Ok(r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#),
    ),
    (
        "A.7",
        r#"{"foo":["all","grass","cows","eat"]}"#,
        r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
        Ok(r#"{"foo":["all","cows","eat","grass"]}"#),
    ),
    (
        "A.8",
        r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
        Ok(r#"{"baz":"qux","foo":["a",2,"c"]}"#),
    ),
    ("A.9", r#"{"baz":"qux"}"#, r#"[{"op":"test","path":"/baz","value":"bar"}]"#, Err("test-failed")),
    (
        "A.10",
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
        Ok(r#"{"foo":"bar","child":{"grandchild":{}}}"#),
    ),
    (
        "A.11",
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
        Ok(r#"{"foo":"bar","baz":"qux"}"#),
    ),
    ("A.12", r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz/bat","value":"qux"}]"#, Err("missing-parent")),
    ("A.14", r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":10}]"#, Ok(r#"{"/":9,"~1":10}"#)),
    ("A.15", r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":"10"}]"#, Err("test-failed")),
    (
        "A.16",
        r#"{"foo":["bar"]}"#,
        r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
        Ok(r#"{"foo":["bar",["abc","def"]]}"#),
    ),
];

/// What the RFC's text says beyond its examples, and what this store adds.
pub const BEYOND: &[(&str, &str, &str, Expected)] = &[
    ("nothing", r#"{"a":1}"#, "[]", Ok(r#"{"a":1}"#)),
    ("add over a member", r#"{"a":1}"#, r#"[{"op":"add","path":"/a","value":[2]}]"#, Ok(r#"{"a":[2]}"#)),
    ("add null", "{}", r#"[{"op":"add","path":"/a","value":null}]"#, Ok(r#"{"a":null}"#)),
    ("add at the end", r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/1","value":2}]"#, Ok(r#"{"a":[1,2]}"#)),
    ("add past the end", r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/2","value":2}]"#, Err("no-position")),
    ("add at 01", r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/01","value":2}]"#, Err("no-position")),
    ("add at a word", r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/one","value":2}]"#, Err("no-position")),
    ("add into a number", r#"{"a":1}"#, r#"[{"op":"add","path":"/a/b","value":2}]"#, Err("not-a-container")),
    ("the root", r#"{"a":1,"b":2}"#, r#"[{"op":"add","path":"","value":{"b":2}}]"#, Ok(r#"{"b":2}"#)),
    ("replace the root", r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{"b":[]}}]"#, Ok(r#"{"b":[]}"#)),
    ("a root that is a list", "{}", r#"[{"op":"add","path":"","value":[]}]"#, Err("root-not-object")),
    ("remove the root", r#"{"a":1}"#, r#"[{"op":"remove","path":""}]"#, Err("root-not-object")),
    ("remove nothing", r#"{"a":1}"#, r#"[{"op":"remove","path":"/b"}]"#, Err("not-found")),
    ("remove behind the end", r#"{"a":[1]}"#, r#"[{"op":"remove","path":"/a/-"}]"#, Err("not-found")),
    ("remove in nothing", r#"{"a":1}"#, r#"[{"op":"remove","path":"/b/c"}]"#, Err("missing-parent")),
    ("replace nothing", r#"{"a":1}"#, r#"[{"op":"replace","path":"/b","value":1}]"#, Err("not-found")),
    (
        "replace behind the end",
        r#"{"a":[1]}"#,
        r#"[{"op":"replace","path":"/a/-","value":1}]"#,
        Err("not-found"),
    ),
    (
        "replace an element",
        r#"{"a":[1,2]}"#,
        r#"[{"op":"replace","path":"/a/1","value":{"b":1}}]"#,
        Ok(r#"{"a":[1,{"b":1}]}"#),
    ),
    (
        "replace by another kind",
        r#"{"a":{"b":1}}"#,
        r#"[{"op":"replace","path":"/a","value":"x"}]"#,
        Ok(r#"{"a":"x"}"#),
    ),
    ("move onto itself", r#"{"a":[1]}"#, r#"[{"op":"move","from":"/a","path":"/a"}]"#, Ok(r#"{"a":[1]}"#)),
    (
        "move into itself",
        r#"{"a":{"b":1}}"#,
        r#"[{"op":"move","from":"/a","path":"/a/b"}]"#,
        Err("into-itself"),
    ),
    ("move to a name alike", r#"{"a":1}"#, r#"[{"op":"move","from":"/a","path":"/ab"}]"#, Ok(r#"{"ab":1}"#)),
    ("move nothing", r#"{"a":1}"#, r#"[{"op":"move","from":"/b","path":"/c"}]"#, Err("not-found")),
    (
        "move over a member",
        r#"{"a":1,"b":2}"#,
        r#"[{"op":"move","from":"/a","path":"/b"}]"#,
        Ok(r#"{"b":1}"#),
    ),
    (
        "move out of what it replaces",
        r#"{"a":{"b":1}}"#,
        r#"[{"op":"move","from":"/a/b","path":"/a"}]"#,
        Ok(r#"{"a":1}"#),
    ),
    (
        "move to the end",
        r#"{"a":[1,2,3]}"#,
        r#"[{"op":"move","from":"/a/0","path":"/a/-"}]"#,
        Ok(r#"{"a":[2,3,1]}"#),
    ),
    (
        "copy",
        r#"{"a":{"b":[1]}}"#,
        r#"[{"op":"copy","from":"/a","path":"/a/c"}]"#,
        Ok(r#"{"a":{"b":[1],"c":{"b":[1]}}}"#),
    ),
    (
        "copy into a list",
        r#"{"a":[1,2]}"#,
        r#"[{"op":"copy","from":"/a/1","path":"/a/0"}]"#,
        Ok(r#"{"a":[2,1,2]}"#),
    ),
    ("copy nothing", r#"{"a":1}"#, r#"[{"op":"copy","from":"/b","path":"/c"}]"#, Err("not-found")),
    ("test by value", r#"{"a":10}"#, r#"[{"op":"test","path":"/a","value":1e1}]"#, Ok(r#"{"a":10}"#)),
    (
        "test without order",
        r#"{"a":{"x":1,"y":2}}"#,
        r#"[{"op":"test","path":"/a","value":{"y":2,"x":1}}]"#,
        Ok(r#"{"a":{"x":1,"y":2}}"#),
    ),
    ("test null against nothing", "{}", r#"[{"op":"test","path":"/a","value":null}]"#, Err("test-failed")),
    ("test the root", r#"{"a":1}"#, r#"[{"op":"test","path":"","value":{"a":1}}]"#, Ok(r#"{"a":1}"#)),
    (
        "a failed test undoes all",
        r#"{"a":1}"#,
        r#"[{"op":"replace","path":"/a","value":2},{"op":"test","path":"/a","value":1}]"#,
        Err("test-failed"),
    ),
    (
        "steps build on steps",
        "{}",
        r#"[{"op":"add","path":"/a","value":[]},{"op":"add","path":"/a/-","value":{}},{"op":"add","path":"/a/0/b","value":1},{"op":"move","from":"/a/0/b","path":"/b"},{"op":"remove","path":"/a/0"}]"#,
        Ok(r#"{"a":[],"b":1}"#),
    ),
    (
        "a counter is one value",
        r#"{"n":{"$counter":3}}"#,
        r#"[{"op":"test","path":"/n","value":{"$counter":3}},{"op":"replace","path":"/n","value":{"$counter":5}}]"#,
        Ok(r#"{"n":{"$counter":5}}"#),
    ),
    (
        "no pointer enters a counter",
        r#"{"n":{"$counter":3}}"#,
        r#"[{"op":"add","path":"/n/$counter","value":5}]"#,
        Err("not-a-container"),
    ),
    (
        "a text moves",
        r#"{"t":{"$text":"hi"}}"#,
        r#"[{"op":"move","from":"/t","path":"/u"}]"#,
        Ok(r#"{"u":{"$text":"hi"}}"#),
    ),
];

/// Appendix A of RFC 7396: original, patch, result. Below a member, because not all are objects.
pub const MERGE_APPENDIX_A: &[(&str, &str, &str)] = &[
    (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
    (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
    (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
    (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
    (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
    (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
    (r#"{"a":"foo"}"#, "null", "null"),
    (r#"{"a":"foo"}"#, "\"bar\"", "\"bar\""),
    (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
    ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
    ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
];
