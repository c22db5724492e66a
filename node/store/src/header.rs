//! What the first bytes of redb's pages say, before redb is asked.

use std::io::Result as IoResult;

use redb::StorageBackend;

use crate::layout::Layout;

/// Bytes of a redb file that its creation writes before the magic number, which comes last.
const REDB_HEADER_BYTES: usize = 512;
/// The magic number.
pub(crate) const REDB_MAGIC: &[u8; REDB_MAGIC_BYTES] = b"redb\x1a\x0a\xa9\x0d\x0a";
const REDB_MAGIC_BYTES: usize = 9;
/// A file larger than this was more than created: redb starts with less than 2 MiB.
const CREATION_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Whether the bytes are those of redb pages whose creation a crash cut short: no magic number yet,
/// which is written last, and nothing after the header.
pub(crate) fn creation_was_interrupted(backend: &dyn StorageBackend) -> IoResult<bool> {
    let start = Layout::read(backend).map_or(0, Layout::pages_start);
    let len = backend.len()?.saturating_sub(start);
    if len == 0 || len > CREATION_BYTES_MAX {
        return Ok(false);
    }
    let mut bytes = vec![0; len as usize];
    backend.read(start, &mut bytes)?;
    let blank = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let magic = &bytes[..REDB_MAGIC_BYTES.min(bytes.len())];
    let after_header = bytes.get(REDB_HEADER_BYTES..).unwrap_or_default();
    Ok(blank(magic) && blank(after_header))
}
