//! Which space a person means: by name, by id, or by the first digits of the id.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use starling_api::{Code, Problem};
use starling_crdt::{
    charter::Genesis,
    id::SpaceId,
    limits::SPACES_MAX,
    store::{
        KeyRange, StoreError, StoreRead, Table,
        tables::{SpaceRecord, record},
    },
};

use super::{
    super::{answer::Refused, problems},
    Node,
};

/// Fewest digits of an id that stand for the whole.
const PREFIX_DIGITS_MIN: usize = 4;

/// Names of the spaces met so far. A name is part of a space's genesis, so it never changes.
#[derive(Default)]
pub(super) struct SpaceNames(Mutex<BTreeMap<SpaceId, String>>);

impl SpaceNames {
    /// The spaces that the store holds now.
    fn present(&self, store: &dyn StoreRead) -> Result<BTreeMap<SpaceId, String>, StoreError> {
        let rows = store.rows(Table::Spaces, KeyRange::ALL, SPACES_MAX)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeMap::new();
        for (key, value) in rows {
            let id = SpaceId::from_slice(&key)
                .ok_or_else(|| StoreError::Corrupt("a key of the spaces is malformed".to_owned()))?;
            let name = match known.get(&id) {
                Some(name) => name.clone(),
                None => {
                    let stored: SpaceRecord = record(&value, "space record")?;
                    let genesis: Genesis = record(&stored.genesis, "genesis")?;
                    genesis.name().as_str().to_owned()
                }
            };
            present.insert(id, name);
        }
        known.clone_from(&present);
        Ok(present)
    }
}

impl Node {
    /// The one space that a name, id or id prefix stands for.
    pub(in super::super) async fn space(&self, text: &str) -> Result<SpaceId, Refused> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let present = self.names.present(self.reader().store()).map_err(|error| problems::store(&error))?;
        one_of(&present, text)
    }
}

/// A name as a whole goes before prefixes of ids.
fn one_of(spaces: &BTreeMap<SpaceId, String>, text: &str) -> Result<SpaceId, Refused> {
    let named: Vec<_> = spaces.iter().filter(|(_, name)| *name == text).collect();
    let found = if named.is_empty() && text.len() >= PREFIX_DIGITS_MIN {
        let digits = text.to_ascii_lowercase();
        spaces.iter().filter(|(id, _)| id.to_string().starts_with(&digits)).collect()
    } else {
        named
    };
    match found.as_slice() {
        [(id, _)] => Ok(**id),
        [] => Err(Problem::new(Code::UnknownSpace, format!("this node holds no space {text:?}"))
            .with_hint("`starling space list` shows the spaces of this node")
            .into()),
        several => {
            let candidates = several.iter().map(|(id, name)| format!("{name} {id}")).collect();
            Err(Problem::new(Code::AmbiguousSpace, format!("{} spaces answer to {text:?}", several.len()))
                .with_hint("say more digits of the id")
                .with_candidates(candidates)
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_found_by_name_or_prefix_and_an_ambiguous_one_lists_candidates() {
        let ids = [SpaceId([0xaa; 32]), SpaceId([0xab; 32]), SpaceId([0xbb; 32]), SpaceId([0xbc; 32])];
        let names = ["shop", "shop", "aaaa", "ship"].map(str::to_owned);
        let spaces: BTreeMap<_, _> = ids.into_iter().zip(names).collect();
        let find = |text: &str| one_of(&spaces, text).map_err(|refused| refused.0.code);
        assert_eq!(find("ship"), Ok(ids[3]));
        assert_eq!(find("aaaa"), Ok(ids[2]), "a whole name goes first");
        assert_eq!(find("AAAAA"), Ok(ids[0]));
        assert_eq!(find("aaa"), Err(Code::UnknownSpace), "too short");
        assert_eq!(find("nope"), Err(Code::UnknownSpace));
        let problem = one_of(&spaces, "shop").expect_err("two").0;
        assert_eq!(problem.code, Code::AmbiguousSpace);
        assert_eq!(problem.candidates, [format!("shop {}", ids[0]), format!("shop {}", ids[1])]);
    }
}
