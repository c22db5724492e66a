//! Decoding of lists that others send: their length is checked before anything is kept.

use minicbor::decode::{Decode, Decoder, Error};

/// Decodes a list of at most `max` elements; `what` names it in the error.
pub(crate) fn decode_list<'b, C, T: Decode<'b, C>>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
    max: usize,
    what: &str,
) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    for element in d.array_iter_with(ctx)? {
        if list.len() == max {
            return Err(Error::message(format!("more than {max} {what}")));
        }
        list.push(element?);
    }
    Ok(list)
}

/// Decodes a list of at most `max` elements that rise strictly.
pub(crate) fn decode_sorted<'b, C, T: Decode<'b, C> + Ord>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
    max: usize,
    what: &str,
) -> Result<Vec<T>, Error> {
    let list = decode_list(d, ctx, max, what)?;
    if list.is_sorted_by(|a, b| a < b) {
        Ok(list)
    } else {
        Err(Error::message(format!("{what} are not sorted and distinct")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(list: &[u32]) -> Result<Vec<u32>, Error> {
        let bytes = minicbor::to_vec(list).unwrap();
        decode_sorted(&mut Decoder::new(&bytes), &mut (), 3, "numbers")
    }

    #[test]
    fn lists_are_bounded_and_ordered() {
        assert_eq!(sorted(&[1, 2, 3]).unwrap(), [1, 2, 3]);
        assert_eq!(sorted(&[]).unwrap(), [0; 0]);
        assert!(sorted(&[1, 2, 3, 4]).unwrap_err().to_string().contains("more than 3 numbers"));
        assert!(sorted(&[1, 1]).unwrap_err().to_string().contains("not sorted and distinct"));
        assert!(sorted(&[2, 1]).is_err());
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        // An array header that claims 2^62 elements.
        let bytes = [0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0];
        assert!(decode_list::<(), u32>(&mut Decoder::new(&bytes), &mut (), 3, "numbers").is_err());
    }
}
