//! From what the core says to what a client reads: one code for each reason.

use starling_api::{Code, Problem};
use starling_crdt::{document::EditError, replica::Refusal, store::StoreError};

use starling_crdt::charter::{IssueError, VoidReason};

use super::answer::Refused;

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let new = |code| Problem::new(code, detail.clone());
        let problem = match refusal {
            Refusal::UnknownSpace(_) => {
                new(Code::UnknownSpace).with_hint("`starling space list` shows the spaces of this node")
            }
            Refusal::NotAllowed { .. } | Refusal::Issue(IssueError::Void(VoidReason::NotAdmin)) => {
                new(Code::NotAllowed)
                    .with_hint("`starling members` shows the roles; an admin of the space can grant another")
            }
            Refusal::KnownSpace(_) | Refusal::Issue(_) | Refusal::ThisNode => new(Code::WithoutEffect),
            Refusal::Precondition { heads } => precondition(&detail, &heads),
            Refusal::HeldNowhereElse => new(Code::OnlyCopy).with_hint(
                "let another member catch up (`starling wait`), or leave all the same with --force",
            ),
            Refusal::UnknownDocument(_) => new(Code::UnknownDocument),
            Refusal::Edit(error) => edit(&error),
            Refusal::RequestIdReused(_) => {
                new(Code::RequestIdReused).with_hint("use a new id for every write")
            }
            Refusal::Join(_) => new(Code::JoinRefused).with_hint("ask for a new ticket"),
            Refusal::SpaceFull { .. } => new(Code::SpaceFull)
                .with_hint("start this node with a larger --space-quota, or write at a node that keeps more; reads go on"),
            Refusal::CharterFull => new(Code::LimitReached),
            Refusal::TooMany { .. } => new(Code::Busy),
            Refusal::Store(error) => store(&error),
            Refusal::Internal => new(Code::Internal),
        };
        problem.into()
    }
}

fn precondition(detail: &str, heads: &[starling_crdt::id::ChangeHash]) -> Problem {
    let now = match heads {
        [] => "it does not exist".to_owned(),
        heads => {
            format!("its heads are {}", heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
    };
    Problem::new(Code::PreconditionFailed, format!("{detail}: {now}"))
        .with_hint("read it again, then write with the heads you read as base")
}

fn edit(error: &EditError) -> Problem {
    let code = match error {
        EditError::RootNotObject => Code::RootNotObject,
        EditError::MissingParent(_) | EditError::NotFound(_) => Code::UnknownPointer,
        EditError::NoPosition(_) | EditError::TextTooShort { .. } | EditError::IntoItself(_) => {
            Code::BadPointer
        }
        EditError::TestFailed(_) => Code::PatchTestFailed,
        EditError::NotAContainer(_)
        | EditError::NotACounter(_)
        | EditError::NotAText(_)
        | EditError::NotAList(_) => Code::BadOperation,
        EditError::CounterOverflow | EditError::NotFinite => Code::BadValue,
        EditError::TooDeep => Code::DocumentTooDeep,
        EditError::TooLarge => Code::ChangeTooLarge,
        EditError::MessageTooLong(_) | EditError::ReservedMessage => Code::BadRequest,
        EditError::UnknownBase(_) => Code::UnknownHeads,
        EditError::Exhausted => Code::DocumentExhausted,
        EditError::Damaged | EditError::Crash => Code::Internal,
    };
    Problem::new(code, error.to_string())
}

pub(super) fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::Full => Problem::new(Code::StorageFull, error.to_string())
            .with_hint("free some space; reads go on, and writes work again by themselves"),
        StoreError::Io(_) | StoreError::Corrupt(_) => {
            Problem::new(Code::StoreFailed, error.to_string()).with_hint("the log of the node says more")
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_crdt::id::ChangeHash;

    use super::*;

    #[test]
    fn each_reason_has_the_code_and_status_people_rely_on() {
        let cases = [
            (Refusal::NotAllowed { action: "write" }, Code::NotAllowed, 403),
            (Refusal::Precondition { heads: Vec::new() }, Code::PreconditionFailed, 412),
            (Refusal::Edit(EditError::RootNotObject), Code::RootNotObject, 400),
            (Refusal::Edit(EditError::TooLarge), Code::ChangeTooLarge, 413),
            (Refusal::Edit(EditError::TestFailed(Default::default())), Code::PatchTestFailed, 412),
            (Refusal::Edit(EditError::UnknownBase(ChangeHash([1; 32]))), Code::UnknownHeads, 404),
            (Refusal::RequestIdReused("a".into()), Code::RequestIdReused, 400),
            (Refusal::TooMany { what: "waits" }, Code::Busy, 503),
            (Refusal::SpaceFull { bytes: 9, most: 8 }, Code::SpaceFull, 507),
            (Refusal::Store(StoreError::Full), Code::StorageFull, 507),
            (Refusal::Store(StoreError::Io("gone".into())), Code::StoreFailed, 500),
            (Refusal::Internal, Code::Internal, 500),
        ];
        for (refusal, code, status) in cases {
            let text = refusal.to_string();
            let problem = Refused::from(refusal).0;
            assert_eq!((problem.code, problem.status), (code, status), "{text}");
            assert!(!problem.detail.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_failed_precondition_says_what_is_there_instead() {
        let problem = Refused::from(Refusal::Precondition { heads: vec![ChangeHash([0xab; 32])] }).0;
        assert!(problem.detail.contains(&"ab".repeat(32)), "{}", problem.detail);
    }
}
