//! The form of a delta in a store: as few bytes beside its changes as can be.
//!
//! A record is an array of arrival, number of changes in history, and one byte string: the signature, then the
//! changes, one behind the other. Each change says where it ends, so nothing lies between them.

use minicbor::bytes::ByteVec;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::chunk;
use crate::identity::Signature;
use crate::store::tables::DeltaRecord;

/// Fields of the array.
const FIELDS: u64 = 3;

impl<C> Encode<C> for DeltaRecord {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        let changes = self.changes.iter().map(|change| change.len()).sum::<usize>();
        e.array(FIELDS)?.u64(self.arrival)?.u64(self.admitted)?;
        e.bytes_len((Signature::LEN + changes) as u64)?;
        let writer = e.writer_mut();
        writer.write_all(&self.signature).map_err(encode::Error::write)?;
        self.changes.iter().try_for_each(|change| writer.write_all(change)).map_err(encode::Error::write)
    }
}

impl<'b, C> Decode<'b, C> for DeltaRecord {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(FIELDS) {
            return Err(decode::Error::message("it does not have three fields"));
        }
        let (arrival, admitted) = (d.u64()?, d.u64()?);
        let (signature, changes) = d
            .bytes()?
            .split_first_chunk()
            .ok_or_else(|| decode::Error::message("it is shorter than a signature"))?;
        let changes = chunk::split(changes).map_err(|error| decode::Error::message(error.to_string()))?;
        let changes = changes.into_iter().map(|change| ByteVec::from(change.to_vec())).collect();
        Ok(Self { arrival, changes, signature: *signature, admitted })
    }
}
