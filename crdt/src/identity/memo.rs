//! A memory of signatures found good, for whoever runs many nodes in one process.
//!
//! Promises: verdicts stay what they are, since only what was verified, or signed by the key itself, is
//! remembered, under a hash of key, bytes and signature; a signature that was never seen is always
//! checked. Outside [`remembering`] there is no memory at all: a node alone meets most signatures once.
//!
//! The memory belongs to a thread rather than to a replica, because the fleet of a simulation shares it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::Signature;
use crate::codec::Signable;
use crate::id::AuthorKey;

/// Signatures remembered at once, 32 bytes each. Past it all are forgotten, and each is checked once more.
pub const SIGNATURES_REMEMBERED_MAX: usize = 1 << 20;

thread_local! {
    static GOOD: RefCell<Option<BTreeSet<[u8; 32]>>> = const { RefCell::new(None) };
}

/// Does `work`, on this thread, with a memory of good signatures: the same signature over the same bytes
/// is checked once. Within another such call the outer memory serves both.
pub fn remembering<T>(work: impl FnOnce() -> T) -> T {
    /// Forgets everything, even when `work` panics.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            GOOD.with_borrow_mut(|good| *good = None);
        }
    }
    if GOOD.with_borrow(Option::is_some) {
        return work();
    }
    GOOD.with_borrow_mut(|good| *good = Some(BTreeSet::new()));
    let _forget = Forget;
    work()
}

/// The verdict of `check`, which is asked only when the signature is not remembered as good.
pub(super) fn verdict<E>(
    key: &AuthorKey,
    signable: &Signable,
    signature: &Signature,
    check: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    if GOOD.with_borrow(Option::is_none) {
        return check();
    }
    let name = name(key, signable, signature);
    if GOOD.with_borrow(|good| good.as_ref().is_some_and(|good| good.contains(&name))) {
        return Ok(());
    }
    check()?;
    remember(name);
    Ok(())
}

/// Notes what `key` itself has just signed.
pub(super) fn signed(key: impl FnOnce() -> AuthorKey, signable: &Signable, signature: &Signature) {
    if GOOD.with_borrow(Option::is_some) {
        remember(name(&key(), signable, signature));
    }
}

fn remember(name: [u8; 32]) {
    GOOD.with_borrow_mut(|good| {
        if let Some(good) = good {
            if good.len() >= SIGNATURES_REMEMBERED_MAX {
                good.clear();
            }
            good.insert(name);
        }
    });
}

fn name(key: &AuthorKey, signable: &Signable, signature: &Signature) -> [u8; 32] {
    let hash = Sha256::new().chain_update(key.0).chain_update(signature.0);
    hash.chain_update(signable.as_slice()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{BadSignature, Identity, verify};

    #[test]
    fn a_remembered_signature_is_not_checked_again_and_a_bent_one_is() {
        let (one, two) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let signable = Signable::new("starling/test").number(7);
        let other = Signable::new("starling/test").number(8);
        let signature = one.sign(&signable);
        let checks = |key: AuthorKey, signable: &Signable, signature: &Signature| {
            let mut checks = 0;
            let verdict = verdict(&key, signable, signature, || {
                checks += 1;
                verify(key, signable, signature)
            });
            (checks, verdict)
        };
        assert_eq!(checks(one.key(), &signable, &signature), (1, Ok(())), "nothing is remembered yet");
        remembering(|| {
            assert_eq!(checks(one.key(), &signable, &signature), (1, Ok(())));
            assert_eq!(checks(one.key(), &signable, &signature), (0, Ok(())));
            let own = two.sign(&other);
            assert_eq!(checks(two.key(), &other, &own), (0, Ok(())), "who signs knows that it is good");
            let mut bent = signature;
            bent.0[3] ^= 1;
            for _ in 0..2 {
                assert_eq!(checks(one.key(), &signable, &bent), (1, Err(BadSignature)));
                assert_eq!(checks(two.key(), &signable, &signature), (1, Err(BadSignature)));
                assert_eq!(checks(one.key(), &other, &signature), (1, Err(BadSignature)));
            }
        });
        assert_eq!(checks(one.key(), &signable, &signature), (1, Ok(())), "and forgotten afterwards");
    }
}
