//! A sparse byte image: what a simulated disk holds, or what was written beside a disk that refuses
//! writes. Blocks never written take no memory and read as zeros.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of one block: redb's page size, so that one page write touches one block.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// The bytes of one block.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// The image; cloning it shares the blocks.
#[derive(Clone, Default)]
pub(crate) struct Image {
    len: u64,
    blocks: BTreeMap<u64, Arc<Block>>,
}

/// The parts of the range of `len` bytes from `offset`, one per block: block, place in the block, place in the range.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % BLOCK_BYTES as u64) as usize;
        let taken = (len - done).min(BLOCK_BYTES - start);
        let part = (at / BLOCK_BYTES as u64, start, done..done + taken);
        done += taken;
        (taken > 0).then_some(part)
    })
}

impl Image {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Sets the length; what lies past it is gone, what is new is zero.
    pub(crate) fn resize(&mut self, len: u64) {
        if len < self.len {
            let partial = len / BLOCK_BYTES as u64;
            self.blocks.split_off(&len.div_ceil(BLOCK_BYTES as u64));
            if let Some(block) = self.blocks.get_mut(&partial) {
                Arc::make_mut(block)[(len % BLOCK_BYTES as u64) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Writes `bytes`, which the length grows to hold.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (block, start, range) in parts(offset, bytes.len()) {
            let taken = range.len();
            let block = self.blocks.entry(block).or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
            Arc::make_mut(block)[start..start + taken].copy_from_slice(&bytes[range]);
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    /// Writes the whole of one block, which the length grows to hold, without copying it.
    pub(crate) fn put(&mut self, number: u64, block: Arc<Block>) {
        self.blocks.insert(number, block);
        self.len = self.len.max((number + 1) * BLOCK_BYTES as u64);
    }

    /// Copies the blocks that were written over `out` and leaves the rest of it alone.
    pub(crate) fn lay_over(&self, offset: u64, out: &mut [u8]) {
        for (block, start, range) in parts(offset, out.len()) {
            if let Some(block) = self.blocks.get(&block) {
                let taken = range.len();
                out[range].copy_from_slice(&block[start..start + taken]);
            }
        }
    }

    /// Blocks written.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The blocks that `len` bytes from `offset` touch and that were never written.
    pub(crate) fn missing(&self, offset: u64, len: usize) -> Vec<u64> {
        parts(offset, len).map(|part| part.0).filter(|block| !self.blocks.contains_key(block)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(image: &Image) -> Vec<u8> {
        let mut out = vec![0; image.len() as usize];
        image.lay_over(0, &mut out);
        out
    }

    #[test]
    fn an_image_is_what_a_vector_would_be() {
        let mut image = Image::default();
        let mut model: Vec<u8> = Vec::new();
        let writes = [(0, 9000, 1), (4090, 20, 2), (8191, 2, 3), (20_000, 5000, 4)];
        for (offset, len, byte) in writes {
            image.write(offset as u64, &vec![byte; len]);
            model.resize(model.len().max(offset + len), 0);
            model[offset..offset + len].fill(byte);
            assert_eq!(bytes(&image), model);
        }
        for len in [4100, 4096, 30_000, 1, 0] {
            image.resize(len as u64);
            model.resize(len, 0);
            assert_eq!(bytes(&image), model);
        }
        assert_eq!(image.blocks(), 0);
    }

    #[test]
    fn a_block_put_is_a_block_written_and_shared_until_somebody_writes_into_it() {
        let (mut put, mut written) = (Image::default(), Image::default());
        put.put(2, Arc::new([7; BLOCK_BYTES]));
        written.write(2 * BLOCK_BYTES as u64, &[7; BLOCK_BYTES]);
        assert_eq!((put.len(), bytes(&put)), (written.len(), bytes(&written)));
        let before = put.clone();
        put.write(2 * BLOCK_BYTES as u64 + 5, b"five");
        assert_eq!(bytes(&before), bytes(&written));
        assert_ne!(bytes(&put), bytes(&written));
    }

    #[test]
    fn clones_do_not_see_later_writes() {
        let mut image = Image::default();
        image.write(0, b"one");
        let before = image.clone();
        image.write(0, b"two");
        assert_eq!(bytes(&before), b"one");
        assert_eq!(bytes(&image), b"two");
    }
}
