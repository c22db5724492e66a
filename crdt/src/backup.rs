//! The form of a backup: every row of one commit, portable and checked.
//!
//! A file begins with [`MAGIC`]. Frames follow: a byte of kind, the length of the content as 4 bytes
//! big-endian, the content in CBOR. First a header, then rows table by table in order of key, then an
//! end with the number of rows and the SHA-256 of every byte before that frame. After it there may be
//! one more: the node's identity, with a SHA-256 of its own.
//!
//! Promises: one commit gives one sequence of frames; a reader takes bytes in pieces of any size, holds
//! one frame at a time, and tells a file that was cut short or altered from one that is whole. Leaves
//! out files, and what the rows mean, which verification judges.

use std::ops::Bound;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::codec;
use crate::id::{AuthorKey, StoreId};
use crate::store::{KeyRange, Row, StoreError, StoreRead, Table};
use crate::time::WallTime;

/// The first bytes of every backup.
pub const MAGIC: &[u8; 16] = b"starling-backup\n";
/// The version this program writes, and the only one it reads: rows are kept as they lie in a store, and those of
/// version 1 were longer.
pub const VERSION: u32 = 2;

/// Bytes of rows after which a frame is closed.
const FRAME_BYTES: usize = 256 * 1024;
/// Rows read from the store at a time. A row holds up to about 1 MiB.
const PAGE_ROWS: usize = 64;
/// Longest frame that is read. One holds at most a page's rows, and of those past [`FRAME_BYTES`] one.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

const HEADER: u8 = 1;
const ROWS: u8 = 2;
const END: u8 = 3;
const IDENTITY: u8 = 4;

/// What a backup says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// Version of the form.
    #[n(0)]
    pub version: u32,
    /// The store it was made of. A restore makes a store with another id.
    #[n(1)]
    pub store: StoreId,
    /// The node's public key.
    #[n(2)]
    pub key: AuthorKey,
    /// When it was made, by the node's clock.
    #[n(3)]
    pub created: WallTime,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Rows {
    #[n(0)]
    table: String,
    /// Key, value, key, value, …
    #[n(1)]
    cells: Vec<ByteVec>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct End {
    #[n(0)]
    rows: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Identity {
    #[cbor(n(0), with = "minicbor::bytes")]
    pem: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
}

/// Makes a backup of what a store shows, piece by piece: a snapshot, so that all is of one commit.
pub struct BackupWriter<'s> {
    store: &'s dyn StoreRead,
    header: Option<Header>,
    tables: std::slice::Iter<'static, Table>,
    table: Option<Table>,
    after: Bound<Vec<u8>>,
    rows: u64,
    hash: Sha256,
    ended: bool,
}

static TABLES: [Table; 13] = Table::ALL;

impl<'s> BackupWriter<'s> {
    /// Of `store`, by the node with this key, at this time.
    pub fn new(store: &'s dyn StoreRead, key: AuthorKey, created: WallTime) -> Self {
        let header = Header { version: VERSION, store: store.store_id(), key, created };
        let mut tables = TABLES.iter();
        let table = tables.next().copied();
        let (header, after) = (Some(header), Bound::Unbounded);
        Self { store, header, tables, table, after, rows: 0, hash: Sha256::new(), ended: false }
    }

    /// The next bytes; none after the last.
    ///
    /// # Errors
    /// [`StoreError`] of the store: the backup is then worth nothing.
    pub fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = if let Some(header) = self.header.take() {
            [MAGIC.as_slice(), &frame(HEADER, &codec::encode(&header))].concat()
        } else if let Some(rows) = self.next_rows()? {
            frame(ROWS, &codec::encode(&rows))
        } else if self.ended {
            return Ok(None);
        } else {
            self.ended = true;
            let hash = self.hash.clone().finalize().into();
            return Ok(Some(frame(END, &codec::encode(&End { rows: self.rows, hash }))));
        };
        self.hash.update(&bytes);
        Ok(Some(bytes))
    }

    fn next_rows(&mut self) -> Result<Option<Rows>, StoreError> {
        while let Some(table) = self.table {
            let (mut cells, mut bytes) = (Vec::new(), 0);
            while bytes < FRAME_BYTES {
                let start = match &self.after {
                    Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
                    _ => Bound::Unbounded,
                };
                let range = KeyRange { start, end: Bound::Unbounded };
                let page = self.store.rows(table, range, PAGE_ROWS)?;
                let ended = page.is_empty();
                for (key, value) in page {
                    bytes += key.len() + value.len();
                    self.after = Bound::Excluded(key.clone());
                    self.rows += 1;
                    cells.extend([ByteVec::from(key), ByteVec::from(value)]);
                    if bytes >= FRAME_BYTES {
                        break;
                    }
                }
                if ended {
                    self.table = self.tables.next().copied();
                    self.after = Bound::Unbounded;
                    break;
                }
            }
            if !cells.is_empty() {
                return Ok(Some(Rows { table: table.name().to_owned(), cells }));
            }
        }
        Ok(None)
    }
}

/// The frame that adds a node's identity to the end of a backup.
pub fn identity_frame(pem: &[u8]) -> Vec<u8> {
    let identity = Identity { pem: pem.to_vec(), hash: Sha256::digest(pem).into() };
    frame(IDENTITY, &codec::encode(&identity))
}

fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&[kind], length.to_be_bytes().as_slice(), content].concat()
}

/// Why bytes are no backup to restore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// They begin otherwise.
    #[error("this is no backup made by Starling")]
    NotABackup,
    /// A later release made it.
    #[error(
        "the backup has version {found}, and this program reads version {VERSION} only; use a later release"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// An earlier release made it, of a store that this one does not read.
    #[error(
        "the backup has version {found}, and this program reads version {VERSION} only; use the release that made it"
    )]
    Older {
        /// Its version.
        found: u32,
    },
    /// It ends too early.
    #[error("the backup was cut short: it ends before its end")]
    Truncated,
    /// It is not what was written.
    #[error("the backup was altered or damaged: {0}")]
    Altered(&'static str),
}

/// A part of a backup, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// What it says of itself; comes first.
    Header(Header),
    /// Rows of a table.
    Rows(Table, Vec<Row>),
    /// The end of the rows: all of them came, as they were written.
    End {
        /// How many there were.
        rows: u64,
    },
    /// The node's identity, as the text of its file.
    Identity(Vec<u8>),
}

/// Reads a backup that comes in pieces. Rows are not trusted before [`Part::End`] came.
#[derive(Default)]
pub struct BackupReader {
    held: Vec<u8>,
    begun: bool,
    order: Order,
    hash: Sha256,
}

/// What came so far, and so what may come next.
#[derive(Default)]
struct Order {
    header: bool,
    ended: bool,
    identity: bool,
    rows: u64,
}

impl Order {
    /// Judges the next part; `hash` is of every byte before it.
    fn take(&mut self, part: &Read, hash: &Sha256) -> Result<(), BackupError> {
        match part {
            Read::Header(header) if !self.header => {
                self.header = true;
                if header.version > VERSION {
                    return Err(BackupError::Newer { found: header.version });
                }
                if header.version < VERSION {
                    return Err(BackupError::Older { found: header.version });
                }
            }
            Read::Rows(_, rows) if self.header && !self.ended => self.rows += rows.len() as u64,
            Read::End(end) if self.header && !self.ended => {
                let hash: [u8; 32] = hash.clone().finalize().into();
                if hash != end.hash || self.rows != end.rows {
                    return Err(BackupError::Altered("its checksum does not fit"));
                }
                self.ended = true;
            }
            Read::Identity(identity) if self.ended && !self.identity => {
                if <[u8; 32]>::from(Sha256::digest(&identity.pem)) != identity.hash {
                    return Err(BackupError::Altered("the checksum of its identity does not fit"));
                }
                self.identity = true;
            }
            _ => return Err(BackupError::Altered("its parts are out of order")),
        }
        Ok(())
    }
}

impl BackupReader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives the parts they complete.
    ///
    /// # Errors
    /// [`BackupError`]; nothing more can be read then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Part>, BackupError> {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        if !self.begun {
            let length = self.held.len().min(MAGIC.len());
            if self.held[..length] != MAGIC[..length] {
                return Err(BackupError::NotABackup);
            }
            if length < MAGIC.len() {
                return Ok(Vec::new());
            }
            self.begun = true;
            self.hash.update(MAGIC);
            at = MAGIC.len();
        }
        let mut parts = Vec::new();
        while let Some((kind, content)) = frame_at(&self.held[at..])? {
            let whole = &self.held[at..at + 5 + content.len()];
            let part = read_part(kind, content)?;
            at += whole.len();
            self.order.take(&part, &self.hash)?;
            self.hash.update(whole);
            parts.push(part.into());
        }
        self.held.drain(..at);
        Ok(parts)
    }

    /// Says that no more bytes follow.
    ///
    /// # Errors
    /// [`BackupError`] when something is missing.
    pub fn end(self) -> Result<(), BackupError> {
        match (self.begun, self.order.ended, self.held.is_empty()) {
            (false, ..) if self.held.is_empty() => Err(BackupError::NotABackup),
            (true, true, true) => Ok(()),
            _ => Err(BackupError::Truncated),
        }
    }
}

enum Read {
    Header(Header),
    Rows(Table, Vec<Row>),
    End(End),
    Identity(Identity),
}

impl From<Read> for Part {
    fn from(read: Read) -> Self {
        match read {
            Read::Header(header) => Self::Header(header),
            Read::Rows(table, rows) => Self::Rows(table, rows),
            Read::End(end) => Self::End { rows: end.rows },
            Read::Identity(identity) => Self::Identity(identity.pem),
        }
    }
}

/// The frame at the start of `bytes`, if all of it is there.
fn frame_at(bytes: &[u8]) -> Result<Option<(u8, &[u8])>, BackupError> {
    let Some((head, rest)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(BackupError::Altered("a part is longer than any that is written"));
    }
    Ok(rest.get(..length).map(|content| (head[0], content)))
}

fn read_part(kind: u8, content: &[u8]) -> Result<Read, BackupError> {
    let malformed = |_| BackupError::Altered("a part cannot be read");
    Ok(match kind {
        HEADER => Read::Header(codec::decode(content, "header").map_err(malformed)?),
        ROWS => {
            let Rows { table, cells } = codec::decode(content, "rows").map_err(malformed)?;
            let table = TABLES.iter().find(|known| known.name() == table);
            let table = *table.ok_or(BackupError::Altered("it has rows of an unknown table"))?;
            if !cells.len().is_multiple_of(2) {
                return Err(BackupError::Altered("a row has no value"));
            }
            let mut cells = cells.into_iter().map(Vec::from);
            let mut rows = Vec::new();
            while let (Some(key), Some(value)) = (cells.next(), cells.next()) {
                rows.push((key, value));
            }
            Read::Rows(table, rows)
        }
        END => Read::End(codec::decode(content, "end").map_err(malformed)?),
        IDENTITY => Read::Identity(codec::decode(content, "identity").map_err(malformed)?),
        _ => return Err(BackupError::Altered("it has a part of an unknown kind")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Store, WriteBatch};

    fn store() -> MemoryStore {
        let mut store = MemoryStore::new(StoreId([1; 16]));
        let mut batch = WriteBatch::default();
        for number in 0..500_u32 {
            let value = vec![number as u8; (number as usize * 37) % 5_000];
            batch.put(Table::Deltas, number.to_be_bytes().to_vec(), value);
        }
        batch.put(Table::Deltas, b"large".to_vec(), vec![7; 1_100_000]);
        batch.put(Table::Meta, b"".to_vec(), b"".to_vec());
        batch.put(Table::Peers, b"p".to_vec(), b"q".to_vec());
        store.commit(&batch).unwrap();
        store
    }

    fn backup(store: &MemoryStore) -> Vec<u8> {
        let mut writer = BackupWriter::new(store, AuthorKey([2; 32]), WallTime(3));
        let mut bytes = Vec::new();
        while let Some(more) = writer.next_bytes().unwrap() {
            bytes.extend(more);
        }
        bytes
    }

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Part>, BackupError> {
        let (mut reader, mut parts) = (BackupReader::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            parts.extend(reader.take(piece)?);
        }
        reader.end().map(|()| parts)
    }

    #[test]
    fn what_is_read_is_what_was_written_however_it_comes() {
        let store = store();
        let bytes = [backup(&store), identity_frame(b"secret")].concat();
        for piece in [1 << 20, 7_919, 13] {
            let parts = read(&bytes, piece).unwrap();
            let (id, key, created) = (StoreId([1; 16]), AuthorKey([2; 32]), WallTime(3));
            let header = Header { version: VERSION, store: id, key, created };
            assert_eq!(parts.first(), Some(&Part::Header(header)));
            assert_eq!(
                parts[parts.len() - 2..],
                [Part::End { rows: 503 }, Part::Identity(b"secret".to_vec())]
            );
            let mut copy = MemoryStore::new(StoreId([1; 16]));
            for part in parts {
                if let Part::Rows(table, rows) = part {
                    let mut batch = WriteBatch::default();
                    rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
                    copy.commit(&batch).unwrap();
                }
            }
            for table in Table::ALL {
                let all = |store: &MemoryStore| store.rows(table, KeyRange::ALL, 1_000).unwrap();
                assert_eq!(all(&copy), all(&store), "{table:?}");
            }
        }
    }

    #[test]
    fn a_backup_that_was_cut_short_is_told_wherever_it_was_cut() {
        let bytes = backup(&store());
        let cuts = (0..200).chain((200..bytes.len()).step_by(9_973)).chain(bytes.len() - 60..bytes.len());
        for cut in cuts {
            let expected = if cut == 0 { BackupError::NotABackup } else { BackupError::Truncated };
            assert_eq!(read(&bytes[..cut], 1 << 20), Err(expected), "{cut}");
        }
    }

    #[test]
    fn an_altered_byte_anywhere_is_told() {
        let bytes = [backup(&store()), identity_frame(b"secret")].concat();
        let places = (0..200).chain((200..bytes.len()).step_by(4_999)).chain(bytes.len() - 160..bytes.len());
        for place in places {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            assert!(read(&altered, 1 << 20).is_err(), "{place}");
        }
        assert!(read(&[bytes.as_slice(), b"x"].concat(), 1 << 20).is_err(), "something follows");
        assert_eq!(read(b"nonsense", 3), Err(BackupError::NotABackup));
    }

    #[test]
    fn another_version_is_named_before_anything_else() {
        let of = |version| {
            let header =
                Header { version, store: StoreId([1; 16]), key: AuthorKey([2; 32]), created: WallTime(3) };
            let bytes = [MAGIC.as_slice(), &frame(HEADER, &codec::encode(&header))].concat();
            read(&bytes, 1 << 20)
        };
        assert_eq!(of(VERSION + 1), Err(BackupError::Newer { found: 3 }));
        assert_eq!(of(VERSION - 1), Err(BackupError::Older { found: 1 }));
    }
}
