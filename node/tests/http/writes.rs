//! Patches, operations, confirmation: how one document is written.

use starling_api::{
    client::{Confirm, PatchKind},
    document::Written,
};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_both_kinds_change_parts_of_a_document() {
    let node = start().await;
    node.put("d", json!({"a": {"b": 1, "c": 2}, "l": ["x", "z"]})).await;
    let patch = |kind, text: Value| {
        let client = &node.client;
        async move { client.patch("shop", "d", text.to_string(), kind, &WriteOptions::default()).await }
    };
    let merged = patch(PatchKind::Merge, json!({"a": {"b": null, "d": 3}})).await.expect("written");
    assert!(merged.changed && !merged.created);
    let steps = json!([
        {"op": "test", "path": "/a/c", "value": 2.0},
        {"op": "add", "path": "/l/1", "value": {"$counter": 4}},
        {"op": "move", "from": "/a/d", "path": "/e"},
        {"op": "remove", "path": "/l/0"},
        {"op": "copy", "from": "/l/1", "path": "/l/-"},
        {"op": "replace", "path": "/a", "value": {"c": 5}},
    ]);
    patch(PatchKind::Json, steps).await.expect("written");
    let expected = json!({"a": {"c": 5}, "e": 3, "l": [{"$counter": 4}, "z", "z"]});
    let before = node.client.document("shop", "d").await.expect("found");
    assert_eq!(before.value, expected);

    let first = json!({"op": "replace", "path": "/e", "value": 9});
    let cases = [
        (
            PatchKind::Json,
            json!([first, {"op": "test", "path": "/e", "value": 3}]),
            Code::PatchTestFailed,
            412,
        ),
        (PatchKind::Json, json!([first, {"op": "remove", "path": "/none"}]), Code::UnknownPointer, 404),
        (PatchKind::Json, json!([first, {"op": "add", "path": "/l/9", "value": 1}]), Code::BadPointer, 400),
        (
            PatchKind::Json,
            json!([first, {"op": "move", "from": "/a", "path": "/a/x"}]),
            Code::BadPointer,
            400,
        ),
        (PatchKind::Json, json!([first, {"op": "add", "path": "e", "value": 1}]), Code::BadPointer, 400),
        (PatchKind::Json, json!([first, {"op": "remove", "path": ""}]), Code::RootNotObject, 400),
        (PatchKind::Json, json!([first, {"op": "grow", "path": "/e"}]), Code::BadPatch, 400),
        (PatchKind::Json, json!({"e": 1}), Code::BadPatch, 400),
        (PatchKind::Merge, json!([1]), Code::RootNotObject, 400),
    ];
    for (kind, text, expected, status) in cases {
        let (found, found_status, _) = code(patch(kind, text.clone()).await);
        assert_eq!((found, found_status), (expected, status), "{text}");
    }
    assert_eq!(node.client.document("shop", "d").await.expect("found"), before, "nothing was written");

    let stale = WriteOptions { if_heads: Some(merged.heads), ..WriteOptions::default() };
    let outcome = node.client.patch("shop", "d", "{}", PatchKind::Merge, &stale).await;
    assert_eq!(code(outcome), (Code::PreconditionFailed, 412, ExitCode::Precondition));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_of_no_known_media_type_is_told_which_there_are() {
    let node = start().await;
    let answer = raw(
        &node,
        "PATCH /v1/spaces/shop/docs/d HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{}",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    assert!(
        answer.contains("accept-patch: application/merge-patch+json, application/json-patch+json\r\n"),
        "{answer}"
    );
    assert!(answer.contains("unsupported-media-type"), "{answer}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_texts_are_edited_in_place() {
    let node = start().await;
    node.put("d", json!({"l": [1, 2], "t": {"$text": "hällo"}, "s": "x"})).await;
    let none = WriteOptions::default();
    let at = |pointer: &str| pointer.to_owned();
    let splice = |pointer: &str, from, delete, insert: &str| Operation::Splice {
        pointer: at(pointer),
        at: from,
        delete,
        insert: insert.to_owned(),
    };
    let good = [
        Operation::Insert { pointer: at("/l/0"), value: json!("first") },
        Operation::Insert { pointer: at("/l/-"), value: json!({"$text": ""}) },
        Operation::Remove { pointer: at("/l/1") },
        splice("/t", 1, 1, "e"),
        splice("/t", 5, 0, " 😀"),
        Operation::Remove { pointer: at("/s") },
    ];
    for operation in &good {
        node.client.operate("shop", "d", operation, &none).await.expect("written");
    }
    let expected = json!({"l": ["first", 2, {"$text": ""}], "t": {"$text": "hello 😀"}});
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, expected);
    let bad = [
        (splice("/t", 7, 1, ""), Code::BadPointer),
        (splice("/l", 0, 0, "x"), Code::BadOperation),
        (splice("/none", 0, 0, "x"), Code::UnknownPointer),
        (Operation::Insert { pointer: at("/t/0"), value: json!(1) }, Code::BadOperation),
        (Operation::Insert { pointer: at("/l/4"), value: json!(1) }, Code::BadPointer),
        (Operation::Remove { pointer: at("/none") }, Code::UnknownPointer),
        (Operation::Remove { pointer: at("") }, Code::RootNotObject),
    ];
    for (operation, expected) in bad {
        let outcome = node.client.operate("shop", "d", &operation, &none).await;
        assert_eq!(code(outcome).0, expected, "{operation:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_knows_every_kind_of_edit() {
    let node = start().await;
    let (doc, at) = (|| "d".to_owned(), |pointer: &str| pointer.to_owned());
    let lines = [
        BatchLine::Put { doc: doc(), value: json!({"l": [], "t": {"$text": "ab"}}), base: None },
        BatchLine::Insert { doc: doc(), pointer: at("/l/-"), value: json!(1) },
        BatchLine::Splice { doc: doc(), pointer: at("/t"), at: 1, delete: 0, insert: "-".to_owned() },
        BatchLine::Patch { doc: doc(), patch: json!([{"op": "add", "path": "/p", "value": 2}]) },
        BatchLine::Patch { doc: doc(), patch: json!([{"op": "test", "path": "/p", "value": 3}]) },
        BatchLine::Merge { doc: doc(), patch: json!({"m": 4}) },
        BatchLine::Set { doc: doc(), pointer: at("/x"), value: json!(5) },
        BatchLine::Remove { doc: doc(), pointer: at("/x") },
        BatchLine::Increment { doc: doc(), pointer: at("/n"), by: 6 },
    ];
    let mut codes = Vec::new();
    let work = node.client.batch_all("shop", lines, |result| {
        codes.push(result.outcome.err().map(|problem| problem.code));
    });
    timeout(DEADLINE, work).await.expect("in time").expect("answered");
    let mut expected = vec![None; 9];
    expected[4] = Some(Code::PatchTestFailed);
    assert_eq!(codes, expected);
    let value = json!({"l": [1], "t": {"$text": "a-b"}, "p": 2, "m": 4, "n": {"$counter": 6}});
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, value);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_sent_again_under_one_name_happens_once_line_by_line() {
    let node = start().await;
    let batch = |key: &str, lines: &[&str]| {
        let body = lines.join("\n");
        format!(
            "POST /v1/spaces/shop/batch HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let add = |by: u8| format!("{{\"op\":\"increment\",\"doc\":\"d\",\"pointer\":\"/n\",\"by\":{by}}}");
    let count =
        async || node.client.document("shop", "d").await.expect("found").value["n"]["$counter"].clone();
    let (one, two, three) = (add(1), add(10), add(100));
    // Two lines alike are two writes; of a batch that broke off, those that came count.
    let first = raw(&node, &batch("nightly", &[&one, "{", &one])).await;
    assert_eq!(count().await, json!(2));
    let again = raw(&node, &batch("nightly", &[&one, "{", &one, &two])).await;
    assert_eq!(count().await, json!(12));
    let results = |answer: &str| -> Vec<String> {
        answer.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
    };
    assert_eq!(results(&again)[..3], results(&first)[..], "the answers are those of then");
    let other = raw(&node, &batch("nightly", &[&three])).await;
    assert!(other.contains("request-id-reused"), "{other}");
    raw(&node, &batch("weekly", &[&three])).await;
    assert_eq!(count().await, json!(112));
    let long = raw(&node, &batch(&"k".repeat(108), &[&one])).await;
    assert!(long.starts_with("HTTP/1.1 400 ") && long.contains("1 to 107 bytes"), "{long}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automerge_file_is_given_of_a_whole_present_document() {
    let node = start().await;
    let heads = node.put("d", json!({"a": 1})).await;
    let file = node.client.automerge_file("shop", "d").await.expect("a file");
    assert_eq!(file[..4], [0x85, 0x6f, 0x4a, 0x83], "the magic bytes of automerge");
    let gone = node.client.automerge_file("shop", "none").await;
    assert_eq!(code(gone), (Code::UnknownDocument, 404, ExitCode::NotFound));
    for query in [
        format!("format=automerge&at={heads}"),
        "format=automerge&pointer=/a".to_owned(),
        "format=yaml".to_owned(),
    ] {
        let answer = raw(&node, &get(&format!("/v1/spaces/shop/docs/d?{query}"))).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{query}: {answer}");
    }
    node.stop().await;
}

fn confirm(nodes: Nodes, timeout: Duration) -> WriteOptions {
    WriteOptions { confirm: Some(Confirm { nodes, timeout }), ..WriteOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_says_who_else_holds_it_who_does_not_and_who_was_not_waited_for() {
    let (a, b) = (start().await, start_in(tempfile::tempdir().expect("a directory")).await);
    let alone = a.client.put("shop", "d", "{}", &confirm(Nodes::AtLeast(1), Duration::from_millis(50))).await;
    let Written { changed, confirmed, .. } = alone.expect("it is durable here");
    let confirmed = confirmed.expect("it was asked for");
    assert!(changed && !confirmed.satisfied && confirmed.count == 0, "{confirmed:?}");
    let all = a.client.put("shop", "d", "{\"n\":0}", &confirm(Nodes::All, Duration::from_millis(50))).await;
    assert!(
        all.expect("written").confirmed.is_some_and(|confirmed| confirmed.satisfied && confirmed.count == 0)
    );

    let ask = CreateInvite { role: Role::Writer, prefix: None, uses: None, expires_in_s: None };
    let ticket = a.client.invite("shop", &ask).await.expect("a ticket").ticket;
    b.client.join(&ticket).await.expect("taken");
    until("the join", || async { b.client.document("shop", "d").await.ok() }).await;
    let options = confirm(Nodes::AtLeast(1), DEADLINE);
    let patched =
        a.client.patch("shop", "d", "{\"n\":1}", PatchKind::Merge, &options).await.expect("written");
    let confirmed = patched.confirmed.expect("it was asked for");
    assert_eq!((confirmed.satisfied, confirmed.count, confirmed.asked), (true, 1, Nodes::AtLeast(1)));
    let key = b.client.status().await.expect("a status").key;
    assert_eq!(confirmed.holders.iter().map(|holder| &holder.key).collect::<Vec<_>>(), [&key]);
    assert_eq!(b.client.document("shop", "d").await.expect("found").value, json!({"n": 1}));

    let too_many = confirm(Nodes::AtLeast(2), Duration::from_millis(300));
    let increment = Operation::Increment { pointer: "/c".into(), by: 1 };
    let written = a.client.operate("shop", "d", &increment, &too_many).await.expect("it is durable here");
    let confirmed = written.confirmed.expect("it was asked for");
    assert!(!confirmed.satisfied && confirmed.count <= 1, "{confirmed:?}");
    b.stop().await;
    // Its farewell may be lost on the way; then its silence tells.
    let is_gone = |state: MemberState| matches!(state, MemberState::Left | MemberState::Away);
    until("the other is known to be gone", || async {
        let members = a.client.members("shop").await.ok()?.items;
        members.iter().any(|member| is_gone(member.state)).then_some(())
    })
    .await;
    let deleted = a.client.delete("shop", "d", &confirm(Nodes::All, DEADLINE)).await.expect("written");
    let confirmed = deleted.confirmed.expect("it was asked for");
    assert!(confirmed.satisfied && confirmed.count == 0, "{confirmed:?}");
    assert_eq!(confirmed.not_waited_for.iter().map(|holder| &holder.key).collect::<Vec<_>>(), [&key]);

    let answer = raw(
        &a,
        "DELETE /v1/spaces/shop/docs/x?confirm=some HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let head = "PUT /v1/spaces/shop/docs/y?confirm=1&timeout=20ms HTTP/1.1\r\nHost: localhost\r\n";
    let answer = raw(&a, &format!("{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}")).await;
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("\"count\":0"), "{answer}");
    a.stop().await;
}
