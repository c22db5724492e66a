//! The oracle's own reader of automerge change chunks: what it needs and nothing more.
//!
//! Written from the format's description, not from the core: the two check each other. Format:
//! <https://automerge.org/automerge-binary-format-spec/>, change chunks.

use sha2::{Digest, Sha256};

/// A hash of a change.
pub type Hash = [u8; 32];

/// What a change says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// SHA-256 over the chunk behind its magic and checksum.
    pub hash: Hash,
    /// The changes it rests on.
    pub dependencies: Vec<Hash>,
    /// Its actor.
    pub actor: Vec<u8>,
    /// Its place among its actor's changes.
    pub seq: u64,
    /// How long its chunk is.
    pub bytes: u64,
}

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// Reads the head of a change chunk.
pub fn read(chunk: &[u8]) -> Option<Change> {
    let (magic, rest) = chunk.split_first_chunk::<4>()?;
    let (checksum, hashed) = rest.split_first_chunk::<4>()?;
    let hash: Hash = Sha256::digest(hashed).into();
    if *magic != MAGIC || hash[..4] != *checksum {
        return None;
    }
    let (kind, mut body) = hashed.split_first()?;
    if *kind != 1 || leb(&mut body)? != body.len() as u64 {
        return None;
    }
    let count = leb(&mut body)?;
    let mut dependencies = Vec::new();
    for _ in 0..count {
        let (dependency, rest) = body.split_first_chunk::<32>()?;
        dependencies.push(*dependency);
        body = rest;
    }
    let length = usize::try_from(leb(&mut body)?).ok()?;
    let actor = body.get(..length)?.to_vec();
    body = body.get(length..)?;
    let seq = leb(&mut body)?;
    Some(Change { hash, dependencies, actor, seq, bytes: chunk.len() as u64 })
}

fn leb(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk as the format describes it.
    pub(crate) fn chunk(dependencies: &[Hash], actor: &[u8], seq: u8) -> Vec<u8> {
        let mut body = vec![dependencies.len() as u8];
        dependencies.iter().for_each(|dependency| body.extend_from_slice(dependency));
        body.push(actor.len() as u8);
        body.extend_from_slice(actor);
        body.push(seq);
        let mut hashed = vec![1, body.len() as u8];
        hashed.extend_from_slice(&body);
        let hash = Sha256::digest(&hashed);
        [&MAGIC[..], &hash[..4], &hashed].concat()
    }

    #[test]
    fn a_chunk_reads_as_it_was_written_and_a_changed_byte_is_noticed() {
        let bytes = chunk(&[[7; 32]], &[1; 16], 5);
        let change = read(&bytes).unwrap();
        assert_eq!((change.dependencies, change.actor, change.seq), (vec![[7; 32]], vec![1; 16], 5));
        assert_eq!(change.bytes, bytes.len() as u64);
        for place in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[place] ^= 1;
            assert_eq!(read(&bent), None, "byte {place}");
        }
    }
}
