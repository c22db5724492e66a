//! A disk that cannot read some of its bytes any more: the store is refused for that, nothing is written, and what
//! lies elsewhere is saved, every table of it.

mod life;

use life::{ID, rows};
use starling_crdt::store::{KeyRange, MemoryStore, Store, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{Copied, OpenError, RedbStore, StoreOptions};

const PAGE: usize = 4096;
const LOG_BYTES: usize = 8 * PAGE;
const ROWS: u32 = 400;
/// What is found again among the pages.
const MARK: &[u8] = b"where a row lies";

fn options() -> StoreOptions {
    StoreOptions { log_bytes: LOG_BYTES, ..StoreOptions::create(ID) }
}

/// How the store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Closed,
    Killed,
}

/// A store in which every table has many pages, and the log a batch.
fn filled(left: Left) -> LossyBackend {
    let disk = LossyBackend::new();
    let mut store = RedbStore::with_backend(disk.clone(), options()).unwrap();
    let mut batch = WriteBatch::default();
    for table in Table::ALL {
        (0..ROWS).for_each(|row| batch.put(table, row.to_be_bytes().to_vec(), value(table, row)));
    }
    store.commit(&batch).unwrap();
    let mut batch = WriteBatch::default();
    batch.put(Table::Meta, b"last".to_vec(), b"committed".to_vec());
    store.commit(&batch).unwrap();
    if left == Left::Closed {
        drop(store);
    }
    disk.restart(Loss::Nothing)
}

fn value(table: Table, row: u32) -> Vec<u8> {
    [MARK, table.name().as_bytes(), &row.to_be_bytes()[..], &[0; 100]].concat()
}

/// The one page that holds the row.
fn page_of(disk: &LossyBackend, table: Table, row: u32) -> std::ops::Range<u64> {
    let (marked, bytes) = (value(table, row), disk.contents());
    let mut places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&marked));
    let at = places.next().unwrap() / PAGE * PAGE;
    assert_eq!(places.next(), None);
    at as u64..(at + PAGE) as u64
}

fn salvaged(disk: &LossyBackend) -> (Copied, MemoryStore) {
    let mut store = MemoryStore::new(ID);
    let copied = RedbStore::read_damaged_backend(disk.clone()).unwrap().copy_into(&mut store).unwrap();
    (copied, store)
}

fn count(store: &dyn StoreRead, table: Table) -> usize {
    store.rows(table, KeyRange::ALL, usize::MAX).unwrap().len()
}

#[test]
fn one_page_that_cannot_be_read_costs_its_own_rows_and_no_others() {
    for (table, left) in [(Table::ALL[0], Left::Closed), (Table::Deltas, Left::Killed)] {
        let disk = filled(left);
        let whole = rows(&RedbStore::with_backend(disk.restart(Loss::Nothing), options()).unwrap());
        let disk = LossyBackend::holding(&disk.contents());
        let before = disk.contents();
        disk.make_unreadable(page_of(&disk, table, ROWS / 2));
        let refused = RedbStore::with_backend(disk.clone(), options()).err().unwrap();
        assert!(matches!(refused, OpenError::Io { .. }), "{left:?}: {refused}");
        assert!(refused.to_string().contains("starling verify --repair"), "{refused}");
        let (copied, store) = salvaged(&disk);
        let saved = rows(&store);
        let lost: Vec<_> = whole.keys().filter(|key| !saved.contains_key(*key)).collect();
        assert!(
            (1..60).contains(&lost.len()) && lost.iter().all(|(of, _)| *of == table),
            "{left:?}: {lost:?}"
        );
        assert!(lost.iter().any(|(_, key)| *key == (ROWS / 2).to_be_bytes()));
        assert!(saved.iter().all(|(key, value)| whole.get(key) == Some(value)));
        let [(partly, why)] = &copied.partly[..] else { panic!("{left:?}: {:?}", copied.partly) };
        assert!(*partly == table && why.contains("cannot read there"), "{partly:?}: {why}");
        assert_eq!(copied.log_damage, None);
        assert_eq!(saved[&(Table::Meta, b"last".to_vec())], b"committed");
        disk.heal();
        assert!(disk.contents() == before, "something was written");
    }
}

#[test]
fn blocks_of_the_log_that_cannot_be_read_are_told_and_cost_what_is_behind_them() {
    let disk = filled(Left::Killed);
    let disk = LossyBackend::holding(&disk.contents());
    disk.make_unreadable(PAGE as u64..PAGE as u64 + 2);
    assert!(matches!(RedbStore::with_backend(disk.clone(), options()), Err(OpenError::Io { .. })));
    let (copied, store) = salvaged(&disk);
    let told = copied.log_damage.unwrap();
    assert!(told.contains("1 of the blocks of its log cannot be read"), "{told}");
    assert_eq!(copied.partly, []);
    assert_eq!(count(&store, Table::Deltas), ROWS as usize);
    assert_eq!(store.value(Table::Meta, b"last").unwrap(), None);
}

#[test]
fn the_rows_on_both_sides_of_a_damaged_page_are_saved() {
    let disk = filled(Left::Closed);
    let page = page_of(&disk, Table::Frontiers, ROWS / 2);
    let mut bytes = disk.contents();
    bytes[page.start as usize..page.end as usize].fill(0);
    let disk = LossyBackend::holding(&bytes);
    let refused = RedbStore::with_backend(disk.clone(), options()).err().unwrap();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
    assert!(
        refused.to_string().contains(&format!("its table frontiers, at byte {}", page.start)),
        "{refused}"
    );
    let (copied, store) = salvaged(&disk);
    assert_eq!(copied.partly.len(), 1);
    for row in [0, ROWS - 1] {
        let saved = store.value(Table::Frontiers, &row.to_be_bytes()).unwrap();
        assert_eq!(saved, Some(value(Table::Frontiers, row)));
    }
    assert!(count(&store, Table::Frontiers) < ROWS as usize);
    assert!(
        Table::ALL
            .iter()
            .filter(|table| **table != Table::Frontiers)
            .all(|table| { count(&store, *table) >= ROWS as usize })
    );
}
