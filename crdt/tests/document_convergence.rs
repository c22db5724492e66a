//! Replicas that edit at once and hear of each other in any order end with one document.

use std::collections::BTreeMap;

use proptest::prelude::*;
use starling_crdt::document::{Commit, Document, Edit, Json, canonical};
use starling_crdt::id::{Actor, ChangeHash};

const REPLICAS: usize = 3;

#[derive(Debug, Clone)]
enum Action {
    Edit {
        edit: Edit,
        on_old_base: usize,
    },
    /// Hears of the first so many changes of another.
    Hear {
        from: usize,
        count: usize,
    },
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        (0_i64..4).prop_map(Json::Integer),
        "[xy]".prop_map(Json::String),
        (0_i64..4).prop_map(Json::Counter),
        "[pq]{0,6}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            proptest::collection::btree_map("[ab]", inner, 0..3).prop_map(Json::Map),
        ]
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let path = "(/[ab0-1\\-]){1,3}".prop_map(|text| text.parse().expect("a pointer"));
    let put = proptest::collection::btree_map("[ab]", value(), 0..3)
        .prop_map(|members| Edit::Put { value: Json::Map(members), base: None });
    let set = (path.clone(), value()).prop_map(|(pointer, value)| Edit::Set { pointer, value });
    let increment = (path.clone(), -3_i64..4).prop_map(|(pointer, by)| Edit::Increment { pointer, by });
    let insert = (path.clone(), value()).prop_map(|(pointer, value)| Edit::Insert { pointer, value });
    let splice = (path.clone(), 0_usize..4, 0_usize..3, "[rs]{0,3}")
        .prop_map(|(pointer, at, delete, insert)| Edit::Splice { pointer, at, delete, insert });
    let merge = (path.clone(), value()).prop_map(|(pointer, patch)| Edit::Merge { pointer, patch });
    prop_oneof![
        4 => put,
        4 => set,
        2 => increment,
        1 => insert,
        2 => splice,
        1 => merge,
        1 => path.prop_map(|pointer| Edit::Unset { pointer }),
        1 => Just(Edit::Remove),
    ]
}

fn action() -> impl Strategy<Value = (usize, Action)> {
    let act = prop_oneof![
        3 => (edit(), 0_usize..4).prop_map(|(edit, on_old_base)| Action::Edit { edit, on_old_base }),
        2 => (0..REPLICAS, 0_usize..20).prop_map(|(from, count)| Action::Hear { from, count }),
    ];
    (0..REPLICAS, act)
}

struct Replica {
    document: Document,
    /// Everything in the document, in the order it came.
    log: Vec<Vec<u8>>,
    /// Heads at earlier times.
    past: Vec<Vec<ChangeHash>>,
    /// Documents read at those times.
    read: Vec<Json>,
}

impl Replica {
    fn new() -> Self {
        Self { document: Document::new(), log: Vec::new(), past: Vec::new(), read: Vec::new() }
    }

    fn remember(&mut self) {
        self.past.push(self.document.heads());
        self.read.push(self.document.read(None, None).expect("readable"));
    }

    fn edit(&mut self, actor: usize, edit: &Edit, on_old_base: usize) -> Result<(), TestCaseError> {
        let mut edit = edit.clone();
        if let Edit::Put { base, .. } = &mut edit
            && on_old_base > 0
        {
            *base = self.past.iter().rev().nth(on_old_base - 1).cloned();
        }
        let commit = Commit { actor: Actor([actor as u8 + 1; 16]), time_seconds: 0, message: None };
        let before = (self.document.heads(), self.document.read(None, None));
        match self.document.edit(commit, &edit) {
            Err(_) => prop_assert_eq!((self.document.heads(), self.document.read(None, None)), before),
            Ok(edited) => {
                prop_assert!(edited.changes.len() <= 1);
                for change in edited.changes {
                    prop_assert!(canonical(&change.bytes).is_ok());
                    prop_assert_eq!(self.document.heads(), vec![change.chunk.hash]);
                    self.log.push(change.bytes);
                }
                if let Edit::Put { value, base: None } = &edit {
                    prop_assert_eq!(&self.document.read(None, None).expect("readable"), value);
                }
                if let Edit::Set { pointer, value } = &edit
                    && pointer.steps().last().is_some_and(|step| step != "-")
                {
                    prop_assert_eq!(&self.document.read(Some(pointer), None).expect("readable"), value);
                }
            }
        }
        Ok(())
    }

    /// A client that read an old version and sends it back unchanged changes nothing.
    fn send_back(&mut self, actor: usize) -> Result<(), TestCaseError> {
        for (heads, read) in self.past.iter().zip(&self.read) {
            if self.document.heads().is_empty() || self.document.is_deleted(None) {
                continue;
            }
            let commit = Commit { actor: Actor([actor as u8 + 1; 16]), time_seconds: 0, message: None };
            let edit = Edit::Put { value: read.clone(), base: Some(heads.clone()) };
            let edited = self.document.edit(commit, &edit);
            prop_assert_eq!(edited.map(|edited| edited.changes), Ok(vec![]));
            self.send_back_altered(commit, read, heads)?;
        }
        Ok(())
    }

    /// One that adds a member adds just that; one that removes a member removes at most that.
    fn send_back_altered(
        &self,
        commit: Commit<'_>,
        read: &Json,
        heads: &[ChangeHash],
    ) -> Result<(), TestCaseError> {
        let members = |json: Json| match json {
            Json::Map(members) => members,
            other => panic!("the root is a map, not {other:?}"),
        };
        let put = |body: &BTreeMap<String, Json>| {
            let mut document = self.document.clone();
            let edit = Edit::Put { value: Json::Map(body.clone()), base: Some(heads.to_vec()) };
            document.edit(commit, &edit).expect("fits");
            members(document.read(None, None).expect("readable"))
        };
        let mut expected = members(self.document.read(None, None).expect("readable"));
        let mut body = members(read.clone());
        body.insert("new".to_owned(), Json::Null);
        let mut with_new = expected.clone();
        with_new.insert("new".to_owned(), Json::Null);
        prop_assert_eq!(put(&body), with_new);
        body.remove("new");
        if body.remove("a").is_some() {
            let mut shown = put(&body);
            if !shown.contains_key("a") {
                expected.remove("a");
            }
            prop_assert_eq!(&mut shown, &mut expected);
        }
        Ok(())
    }

    fn hear(&mut self, changes: &[Vec<u8>]) -> Result<(), TestCaseError> {
        let batch: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(self.document.apply(&batch), vec![]);
        for change in changes {
            if !self.log.contains(change) {
                self.log.push(change.clone());
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn replicas_that_heard_the_same_show_the_same(actions in proptest::collection::vec(action(), 1..40)) {
        let mut replicas: Vec<Replica> = (0..REPLICAS).map(|_| Replica::new()).collect();
        for (who, action) in &actions {
            replicas[*who].remember();
            match action {
                Action::Edit { edit, on_old_base } => replicas[*who].edit(*who, edit, *on_old_base)?,
                Action::Hear { from, count } => {
                    let heard: Vec<_> = replicas[*from].log.iter().take(*count).cloned().collect();
                    replicas[*who].hear(&heard)?;
                }
            }
        }
        // Each hears the others' logs, whole or change by change, its own changes among them.
        let logs: Vec<_> = replicas.iter().map(|replica| replica.log.clone()).collect();
        for (who, replica) in replicas.iter_mut().enumerate() {
            for from in (0..REPLICAS).map(|step| (who + step) % REPLICAS) {
                if (who + from) % 2 == 0 {
                    replica.hear(&logs[from])?;
                } else {
                    logs[from].iter().try_for_each(|change| replica.hear(std::slice::from_ref(change)))?;
                }
            }
        }
        for (who, replica) in replicas.iter_mut().enumerate() {
            replica.send_back(who)?;
        }
        let shown = replicas[0].document.read(None, None).expect("readable");
        for replica in &replicas {
            prop_assert_eq!(replica.document.heads(), replicas[0].document.heads());
            prop_assert_eq!(&replica.document.read(None, None).expect("readable"), &shown);
            prop_assert_eq!(replica.document.conflicts(), replicas[0].document.conflicts());
            prop_assert_eq!(replica.document.is_deleted(None), replicas[0].document.is_deleted(None));
            for (heads, read) in replica.past.iter().zip(&replica.read) {
                prop_assert_eq!(&replica.document.read(None, Some(heads)).expect("readable"), read);
            }
            let loaded = automerge::Automerge::load(&replica.document.to_automerge_file());
            prop_assert!(loaded.is_ok());
        }
    }
}
