//! What can be wrong with a store's file, and what the operator reads then.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use redb::{Database, TableDefinition};
use sha2::{Digest, Sha256};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Store, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{OpenError, RedbStore, SCHEMA_VERSION, StoreOptions, Takeover};

fn options() -> StoreOptions {
    StoreOptions::create(StoreId([9; 16]))
}

#[test]
fn a_new_file_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let _store = RedbStore::open(&path, options()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_keeps_its_rows_and_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut batch = WriteBatch::default();
    batch.put(Table::Spaces, b"k".to_vec(), b"v".to_vec());
    RedbStore::open(&path, options()).unwrap().commit(&batch).unwrap();
    let store = RedbStore::open(&path, StoreOptions::existing()).unwrap();
    assert_eq!(store.store_id(), StoreId([9; 16]));
    assert_eq!(store.value(Table::Spaces, b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_second_handle_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = RedbStore::open(&path, options()).unwrap();
    let refused = RedbStore::open(&path, options()).err().unwrap();
    assert!(matches!(refused, OpenError::AlreadyOpen { .. }), "{refused}");
    assert!(refused.to_string().contains("in use by another node"), "{refused}");
    drop(store);
    RedbStore::open(&path, options()).unwrap();
}

/// The other process of the tests below: does nothing unless it is told where.
#[test]
fn as_the_second_process() {
    if let Ok(path) = std::env::var("STARLING_STORE_TEST_SECOND") {
        println!("second process: {:?}", RedbStore::open(path.as_ref(), options()).err());
    }
}

fn second_process(program: &Path, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "as_the_second_process", "--nocapture"]).env("STARLING_STORE_TEST_SECOND", path);
    command
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let _store = RedbStore::open(&path, options()).unwrap();
    let output = second_process(&std::env::current_exe().unwrap(), &path).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("second process: Some(AlreadyOpen"),
        "{output:?}"
    );
}

#[test]
fn a_file_of_another_user_is_named_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(RedbStore::open(&path, options()).unwrap());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if fs::metadata(&path).unwrap().uid() == 0 {
        // Root may open everything, so a copy of this program tries as nobody.
        let program = directory.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let output = second_process(&program, &path).uid(65_534).gid(65_534).output().unwrap();
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("second process: Some(NotPermitted"),
            "{output:?}"
        );
    } else {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let refused = RedbStore::open(&path, options()).err().unwrap();
        assert!(matches!(refused, OpenError::NotPermitted { .. }), "{refused}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let refused = RedbStore::open(&path, StoreOptions::existing()).err().unwrap();
    assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
    assert!(!path.exists());
    let refused = RedbStore::open(&directory.path().join("no/such/store.redb"), options()).err().unwrap();
    assert!(
        matches!(&refused, OpenError::NoDirectory { directory } if directory.ends_with("no/such")),
        "{refused}"
    );
    fs::write(&path, b"").unwrap();
    let refused = RedbStore::open(&path, StoreOptions::existing()).err().unwrap();
    assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
}

#[test]
fn what_is_no_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "a letter to my aunt").unwrap();
    let other = directory.path().join("other.redb");
    let database = Database::create(&other).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u8, u8>::new("theirs")).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for path in [&text, &other, &directory.path().to_owned()] {
        let refused = RedbStore::open(path, options()).err().unwrap();
        assert!(matches!(refused, OpenError::NotAStore { .. }), "{path:?}: {refused}");
    }
    assert_eq!(fs::read(&text).unwrap(), b"a letter to my aunt");
}

#[test]
fn a_newer_store_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(RedbStore::open(&path, StoreOptions { log_bytes: 0, ..options() }).unwrap());
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let newer = (SCHEMA_VERSION + 41).to_be_bytes();
    let identity = TableDefinition::<&str, &[u8]>::new("starling");
    transaction.open_table(identity).unwrap().insert("schema", &newer[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let refused = RedbStore::open(&path, options()).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 42, known: 1, .. }), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("version 42") && text.contains("up to 1") && text.contains("restore a backup"),
        "{text}"
    );
}

/// redb would recover it first, and write.
#[test]
fn what_is_refused_after_a_kill_is_left_as_it_is() {
    let killed = |rows: &dyn Fn(&redb::WriteTransaction)| {
        let disk = LossyBackend::new();
        let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
        let transaction = database.begin_write().unwrap();
        rows(&transaction);
        transaction.commit().unwrap();
        disk.contents()
    };
    let newer = killed(&|transaction| {
        let mut identity = transaction.open_table(TableDefinition::<&str, &[u8]>::new("starling")).unwrap();
        identity.insert("schema", &(SCHEMA_VERSION + 41).to_be_bytes()[..]).unwrap();
    });
    let foreign = killed(&|transaction| {
        transaction.open_table(TableDefinition::<u8, u8>::new("theirs")).unwrap().insert(1, 1).unwrap();
    });
    let empty = killed(&|_| ());
    for (name, bytes) in [("newer", newer), ("foreign", foreign), ("empty", empty)] {
        let disk = LossyBackend::holding(&bytes);
        let refused = RedbStore::with_backend(disk.clone(), StoreOptions::existing()).err().unwrap();
        let told = match name {
            "newer" => matches!(refused, OpenError::Newer { found, .. } if found == SCHEMA_VERSION + 41),
            "foreign" => matches!(refused, OpenError::NotAStore { .. }),
            _ => matches!(refused, OpenError::Missing { .. }),
        };
        assert!(told && disk.contents() == bytes, "{name}: {refused}");
    }
}

#[test]
fn a_store_of_an_earlier_form_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut identity = transaction.open_table(TableDefinition::<&str, &[u8]>::new("starling")).unwrap();
    identity.insert("schema", &0_u32.to_be_bytes()[..]).unwrap();
    identity.insert("id", &[7; 16][..]).unwrap();
    drop(identity);
    transaction.commit().unwrap();
    drop(database);
    let refused = RedbStore::open(&path, options()).err().unwrap();
    assert!(matches!(refused, OpenError::Older { found: 0, known: 1, .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("version 0") && text.contains("export") && text.contains("join"), "{text}");
}

#[test]
fn a_store_from_before_the_log_opens_and_keeps_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut identity = transaction.open_table(TableDefinition::<&str, &[u8]>::new("starling")).unwrap();
    identity.insert("schema", &SCHEMA_VERSION.to_be_bytes()[..]).unwrap();
    identity.insert("id", &[4; 16][..]).unwrap();
    drop(identity);
    let rows = TableDefinition::<&[u8], &[u8]>::new("spaces");
    transaction.open_table(rows).unwrap().insert(&b"k"[..], &b"v"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for round in 0..3_u8 {
        let mut store = RedbStore::open(&path, StoreOptions::existing()).unwrap();
        assert_eq!(store.store_id(), StoreId([4; 16]));
        assert_eq!(store.rows(Table::Spaces, KeyRange::ALL, 9).unwrap().len(), 1 + usize::from(round));
        let mut batch = WriteBatch::default();
        batch.put(Table::Spaces, vec![round], vec![]);
        store.commit(&batch).unwrap();
    }
}

/// The first block of a store of the version before, whose log has one part: its head, as that version wrote it.
fn first_block_of_version_1(log_blocks: u32) -> Vec<u8> {
    let mut first = b"starling\x00\x00\x00\x01".to_vec();
    first.extend_from_slice(&log_blocks.to_be_bytes());
    let digest = Sha256::digest(&first);
    first.extend_from_slice(&digest[..16]);
    first
}

#[test]
fn a_store_whose_log_has_one_part_opens_with_what_it_holds_and_goes_on() {
    let small = StoreOptions { log_bytes: 16 * 4096, takeover: Takeover::InTurn, ..options() };
    let disk = LossyBackend::new();
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    let put = |store: &mut RedbStore, number: u8| {
        let mut batch = WriteBatch::default();
        batch.put(Table::Spaces, vec![number], vec![number; 50]);
        store.commit(&batch).unwrap();
    };
    let count = |store: &RedbStore| store.rows(Table::Spaces, KeyRange::ALL, 99).unwrap().len();
    // The first part of two, in part full, is what the one part looks like.
    (0..5).for_each(|number| put(&mut store, number));
    let mut bytes = disk.contents();
    let first = first_block_of_version_1(16);
    bytes[..first.len()].copy_from_slice(&first);
    // It is not divided while its log holds batches, which go on across the middle.
    let disk = LossyBackend::holding(&bytes);
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    (5..12).for_each(|number| put(&mut store, number));
    assert_eq!((count(&store), disk.contents()[11]), (12, 1));
    let disk = disk.restart(Loss::All);
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    assert_eq!((count(&store), disk.contents()[11]), (12, 1));
    (12..20).for_each(|number| put(&mut store, number));
    drop(store);
    // Closed, its log is empty: the next open divides it.
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    assert_eq!((count(&store), disk.contents()[11]), (20, 2));
    (20..40).for_each(|number| put(&mut store, number));
    let store = RedbStore::with_backend(disk.restart(Loss::All), small).unwrap();
    assert_eq!(count(&store), 40);
}

#[test]
fn a_power_cut_while_a_log_is_divided_loses_nothing() {
    let small = StoreOptions { log_bytes: 16 * 4096, takeover: Takeover::InTurn, ..options() };
    let disk = LossyBackend::new();
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    let mut batch = WriteBatch::default();
    batch.put(Table::Spaces, vec![1], vec![2]);
    store.commit(&batch).unwrap();
    drop(store);
    let mut bytes = disk.contents();
    let first = first_block_of_version_1(16);
    bytes[..first.len()].copy_from_slice(&first);
    let whole = LossyBackend::holding(&bytes);
    drop(RedbStore::with_backend(whole.clone(), small).unwrap());
    for at in 0..whole.operations() {
        for loss in [Loss::All, Loss::Nothing, Loss::Some { seed: at }] {
            let disk = LossyBackend::holding(&bytes);
            disk.cut_power_after(at);
            drop(RedbStore::with_backend(disk.clone(), small));
            let store = RedbStore::with_backend(disk.restart(loss), small).unwrap();
            assert_eq!(store.value(Table::Spaces, &[1]).unwrap(), Some(vec![2]), "{at} {loss:?}");
        }
    }
}

#[test]
fn what_the_log_holds_is_there_after_the_process_died() {
    let disk = LossyBackend::new();
    let mut store = RedbStore::with_backend(disk.clone(), options()).unwrap();
    let mut copies = Vec::new();
    for number in 0..5_u8 {
        let mut batch = WriteBatch::default();
        batch.put(Table::Spaces, vec![number], vec![number]);
        batch.remove(Table::Spaces, vec![number / 2]);
        store.commit(&batch).unwrap();
        copies.push((disk.contents(), store.rows(Table::Spaces, KeyRange::ALL, 9).unwrap()));
    }
    for (bytes, rows) in copies {
        let store = RedbStore::with_backend(LossyBackend::holding(&bytes), options()).unwrap();
        assert_eq!(store.rows(Table::Spaces, KeyRange::ALL, 9).unwrap(), rows);
    }
}

#[test]
fn shrinking_takes_over_what_the_log_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut store = RedbStore::open(&path, options()).unwrap();
    for round in 0..40_u8 {
        let mut batch = WriteBatch::default();
        (0..200_u8).for_each(|row| batch.put(Table::Deltas, vec![round, row], vec![row; 700]));
        store.commit(&batch).unwrap();
    }
    let mut batch = WriteBatch::default();
    (0..40_u8).for_each(|round| (0..200).for_each(|row| batch.remove(Table::Deltas, vec![round, row])));
    batch.put(Table::Peers, vec![1], vec![2]);
    store.commit(&batch).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    store.shrink().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < before / 2);
    let store = RedbStore::open(&path, StoreOptions::existing()).unwrap();
    assert_eq!(store.value(Table::Peers, &[1]).unwrap(), Some(vec![2]));
    assert_eq!(store.rows(Table::Deltas, KeyRange::ALL, 9).unwrap(), vec![]);
}

#[test]
fn damage_ends_in_an_error_or_in_rows_but_never_in_a_panic() {
    let disk = LossyBackend::new();
    let small = StoreOptions { log_bytes: 64 * 1024, ..options() };
    let mut store = RedbStore::with_backend(disk.clone(), small).unwrap();
    for round in 0..6_u16 {
        let mut batch = WriteBatch::default();
        for row in 0..120_u16 {
            batch.put(Table::Deltas, (row * 7 + round).to_be_bytes().to_vec(), vec![round as u8; 150]);
            batch.put(Table::Frontiers, row.to_be_bytes().to_vec(), vec![round as u8; 30]);
        }
        store.commit(&batch).unwrap();
    }
    let unclean = disk.contents();
    drop(store);
    let clean = disk.contents();
    let mut state = 0x5eed_u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut refused, mut survived) = (0, 0);
    for round in 0..1_500 {
        let mut bytes = if round % 2 == 0 { clean.clone() } else { unclean.clone() };
        let used: Vec<usize> =
            (0..bytes.len()).step_by(4096).filter(|at| bytes[*at..*at + 8] != [0; 8]).collect();
        for _ in 0..=draw(3) {
            // The first bytes of a page say what it is; the rest are its pointers and rows.
            let page = used[draw(used.len())];
            let within = if draw(2) == 0 { draw(64) } else { draw(4096) };
            bytes[page + within] ^= 1 << draw(8);
        }
        if draw(20) == 0 {
            bytes.truncate(draw(bytes.len()));
        }
        if try_everything(&bytes) { survived += 1 } else { refused += 1 }
    }
    assert!(refused > 100 && survived > 100, "{refused} refused, {survived} survived");
}

/// Opens, reads and writes a damaged store; whether nothing reported the damage.
fn try_everything(bytes: &[u8]) -> bool {
    let Ok(mut store) = RedbStore::with_backend(LossyBackend::holding(bytes), options()) else {
        return false;
    };
    let mut well = true;
    for table in Table::ALL {
        well &= store.rows(table, KeyRange::ALL, 10_000).is_ok();
        well &= store.last_row(table, KeyRange::ALL).is_ok();
        well &= store.value(table, &[0, 9]).is_ok();
    }
    for number in 0..3 {
        let mut batch = WriteBatch::default();
        batch.put(Table::Deltas, vec![number; 3], vec![number; 500]);
        batch.put(Table::Peers, vec![number], vec![]);
        well &= store.commit(&batch).is_ok();
    }
    well
}
