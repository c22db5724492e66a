use redb::{Builder, Database, TableDefinition};

use super::*;
use crate::backend::LossyBackend;

const PAGE: usize = 4096;
const SMALL: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("small");
const NUMBERS: TableDefinition<'static, u64, u32> = TableDefinition::new("numbers");
const LARGE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("large");
const IDENTITY: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("us");

fn database(disk: &LossyBackend) -> Database {
    Builder::new().set_cache_size(1024 * 1024).create_with_backend(disk.clone()).unwrap()
}

/// Tables of every width, values of many pages, rows written over and removed, so that pages are free in between.
fn fill(database: &Database, rounds: std::ops::Range<u64>) {
    for round in rounds {
        let transaction = database.begin_write().unwrap();
        let mut small = transaction.open_table(SMALL).unwrap();
        let mut numbers = transaction.open_table(NUMBERS).unwrap();
        for row in 0..300_u64 {
            let key = (row * 7_919 % 1_000 + round).to_be_bytes();
            small.insert(&key[..], &vec![row as u8; (row % 90) as usize][..]).unwrap();
            numbers.insert(row * (round + 1), row as u32).unwrap();
            small.remove(&row.to_be_bytes()[..]).unwrap();
        }
        drop((small, numbers));
        let mut large = transaction.open_table(LARGE).unwrap();
        large.insert("one", &vec![round as u8; 40_000][..]).unwrap();
        large.insert(format!("{round}").as_str(), &vec![round as u8; 9_000][..]).unwrap();
        drop(large);
        transaction.open_table(IDENTITY).unwrap().insert("round", &[round as u8][..]).unwrap();
        transaction.commit().unwrap();
    }
}

fn looked(disk: &LossyBackend) -> Result<Option<Looked>, Refusal> {
    look(disk, 0, "us")
}

#[track_caller]
fn damage(disk: &LossyBackend) -> String {
    match looked(disk) {
        Err(Refusal::Store(StoreError::Corrupt(why))) => why,
        other => panic!("{other:?}"),
    }
}

/// Whether redb itself, which looks at every page, finds nothing wrong.
fn redb_finds_nothing(bytes: &[u8]) -> bool {
    let disk = LossyBackend::holding(bytes);
    let check = || Ok(Builder::new().create_with_backend(disk).and_then(|mut store| store.check_integrity()));
    matches!(crate::fault::contain(check), Ok(Ok(true)))
}

fn used_pages(bytes: &[u8]) -> Vec<usize> {
    (PAGE..bytes.len())
        .step_by(PAGE)
        .filter(|at| bytes[*at..].iter().take(64).any(|byte| *byte != 0))
        .collect()
}

#[test]
fn what_redb_finds_wrong_is_found_and_nothing_else() {
    let disk = LossyBackend::new();
    fill(&database(&disk), 0..5);
    let bytes = disk.contents();
    let sound = looked(&disk).unwrap().unwrap();
    assert_eq!(sound.identity.unwrap()[&b"round"[..]], [4]);
    assert!(sound.has_tables && redb_finds_nothing(&bytes));
    let (mut damaged, mut harmless) = (0, 0);
    for (number, page) in used_pages(&bytes).into_iter().enumerate() {
        for within in [0, 2, 9, 20 + number % 40, 100 + number * 37 % 3_900, PAGE - 1] {
            let mut bytes = bytes.clone();
            bytes[page + within] ^= 1 << (number % 8);
            let found = looked(&LossyBackend::holding(&bytes));
            let story = format!("byte {within} of the page at {page}: {found:?}");
            match &found {
                Ok(Some(_)) => harmless += 1,
                Err(Refusal::Store(StoreError::Corrupt(_))) => damaged += 1,
                _ => panic!("{story}"),
            }
            assert_eq!(found.is_ok(), redb_finds_nothing(&bytes), "{story}");
        }
    }
    assert!(damaged > 100 && harmless > 100, "{damaged} damaged, {harmless} harmless");
}

#[test]
fn damage_is_named_by_table_and_place() {
    let disk = LossyBackend::new();
    fill(&database(&disk), 0..3);
    let bytes = disk.contents();
    let value = bytes.windows(100).rposition(|bytes| bytes == [2; 100]).unwrap();
    disk.write(value as u64, &[7]).unwrap();
    let why = damage(&disk);
    assert!(why.starts_with("its table large, at byte "), "{why}");
    let cut = LossyBackend::holding(&bytes[..bytes.len() / 2 / PAGE * PAGE]);
    cut.set_len((bytes.len() / 4) as u64).unwrap();
    let why = damage(&cut);
    assert!(why.contains("behind the end of the file"), "{why}");
}

#[test]
fn after_a_kill_the_commit_before_counts_where_the_newest_was_cut_short() {
    let disk = LossyBackend::new();
    let database = database(&disk);
    fill(&database, 0..3);
    let before = disk.contents();
    fill(&database, 3..4);
    let after = disk.contents();
    let round =
        |bytes: &[u8]| looked(&LossyBackend::holding(bytes)).map(|looked| looked.unwrap().identity.unwrap());
    assert_eq!((round(&before).unwrap()[&b"round"[..]][0], round(&after).unwrap()[&b"round"[..]][0]), (2, 3));
    let (mut older, mut newer, mut neither) = (0, 0, 0);
    for page in used_pages(&after) {
        let mut bytes = after.clone();
        bytes[page] ^= 1;
        // The page is of one commit, of the other, of none, or of both: it is as redb says.
        let opened = crate::fault::contain(|| {
            let database = Builder::new().create_with_backend(LossyBackend::holding(&bytes));
            let round = database.ok().and_then(|database| {
                let transaction = redb::ReadableDatabase::begin_read(&database).ok()?;
                let table = transaction.open_table(IDENTITY).ok()?;
                Some(table.get("round").ok()??.value().to_vec())
            });
            Ok(round)
        });
        let found = round(&bytes).ok().and_then(|rows| rows.get(&b"round"[..]).cloned());
        assert_eq!(found, opened.ok().flatten(), "the page at {page}");
        match found.as_deref() {
            Some([2]) => older += 1,
            Some([3]) => newer += 1,
            _ => neither += 1,
        }
    }
    assert!(older > 0 && newer > 0 && neither > 0, "{older} {newer} {neither}");
}

#[test]
fn pages_are_read_in_large_pieces_and_each_once() {
    let disk = LossyBackend::new();
    fill(&database(&disk), 0..150);
    let (pages, before) = (used_pages(&disk.contents()).len() as u64, disk.reads());
    looked(&disk).unwrap();
    let reads = disk.reads() - before;
    assert!(pages > 400 && reads < pages / 20, "{reads} reads of {pages} pages");
}

#[test]
fn a_page_that_cannot_be_read_is_the_disks_fault() {
    let disk = LossyBackend::new();
    fill(&database(&disk), 0..2);
    disk.fail(crate::backend::Operation::Read, std::io::ErrorKind::Other);
    assert!(matches!(looked(&disk), Err(Refusal::Disk(_))));
}

#[test]
fn what_is_not_redbs_is_left_to_redb() {
    for bytes in [&b""[..], b"short", &[7; 5000], &[0; 5000]] {
        assert!(looked(&LossyBackend::holding(bytes)).unwrap().is_none());
    }
    let empty = LossyBackend::new();
    drop(database(&empty));
    let found = looked(&empty).unwrap().unwrap();
    assert!(found.identity.is_none() && !found.has_tables);
}
