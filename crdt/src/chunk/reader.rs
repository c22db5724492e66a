//! A cursor over bytes that may end or lie anywhere.

use super::ChunkError;

/// Bits of a number that one LEB128 byte carries.
const LEB_BITS: u32 = 7;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let end = self.position.checked_add(count).ok_or(ChunkError::Truncated)?;
        let taken = self.bytes.get(self.position..end).ok_or(ChunkError::Truncated)?;
        self.position = end;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ChunkError> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// An unsigned LEB128 number in its shortest form.
    pub(super) fn unsigned(&mut self) -> Result<u64, ChunkError> {
        let (bits, _, length) = self.leb128()?;
        let last = self.bytes[self.position - 1];
        // The tenth byte has room for one bit; a last byte of zero could have been left out.
        if (length == 10 && last > 1) || (length > 1 && last == 0) {
            return Err(ChunkError::Number);
        }
        Ok(bits)
    }

    /// A signed LEB128 number in its shortest form.
    pub(super) fn signed(&mut self) -> Result<i64, ChunkError> {
        let (bits, previous, length) = self.leb128()?;
        let last = self.bytes[self.position - 1];
        if length == 10 && last != 0 && last != 0x7f {
            return Err(ChunkError::Number);
        }
        // A last byte that only repeats the sign of the byte before could have been left out.
        if length > 1 && ((last == 0 && previous & 0x40 == 0) || (last == 0x7f && previous & 0x40 != 0)) {
            return Err(ChunkError::Number);
        }
        let used = length * LEB_BITS;
        let sign = if used < u64::BITS && last & 0x40 != 0 { u64::MAX << used } else { 0 };
        Ok((bits | sign).cast_signed())
    }

    /// A number of bytes or items that are to follow.
    pub(super) fn length(&mut self) -> Result<usize, ChunkError> {
        usize::try_from(self.unsigned()?).map_err(|_| ChunkError::Truncated)
    }

    /// The bits of a LEB128 number, its last but one byte (zero if there is none) and its length.
    fn leb128(&mut self) -> Result<(u64, u8, u32), ChunkError> {
        let mut bits = 0_u64;
        let mut previous = 0;
        for length in 1..=10 {
            let byte = self.byte()?;
            bits |= u64::from(byte & 0x7f) << (LEB_BITS * (length - 1));
            if byte & 0x80 == 0 {
                return Ok((bits, previous, length));
            }
            previous = byte;
        }
        Err(ChunkError::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        let unsigned = |bytes: &[u8]| Reader::new(bytes).unsigned();
        assert_eq!(unsigned(&[0]), Ok(0));
        assert_eq!(unsigned(&[0x80, 1]), Ok(128));
        assert_eq!(unsigned(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(u64::MAX));
        assert_eq!(unsigned(&[0x81, 0]), Err(ChunkError::Number));
        assert_eq!(
            unsigned(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            Err(ChunkError::Number)
        );
        assert_eq!(unsigned(&[0x80; 12]), Err(ChunkError::Number));
        assert_eq!(unsigned(&[0x80]), Err(ChunkError::Truncated));

        let signed = |bytes: &[u8]| Reader::new(bytes).signed();
        assert_eq!(signed(&[0x7f]), Ok(-1));
        assert_eq!(signed(&[0x3f]), Ok(63));
        assert_eq!(signed(&[0x40]), Ok(-64));
        assert_eq!(signed(&[0x80, 0x40]), Ok(-8192));
        assert_eq!(signed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]), Ok(i64::MIN));
        assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Ok(i64::MAX));
        assert_eq!(signed(&[0xbf, 0]), Err(ChunkError::Number));
        assert_eq!(signed(&[0x81, 0xff, 0x7f]), Err(ChunkError::Number));
    }
}
