//! From redb's errors, and its panics, to the contract's.

use std::io::{Error as IoError, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use starling_crdt::store::StoreError;

/// What redb said, in the words of the contract.
pub(crate) fn store_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => io_error(&error),
        redb::Error::PreviousIo => StoreError::Io("an earlier error made it unusable".to_owned()),
        redb::Error::DatabaseClosed => StoreError::Io("the store was closed".to_owned()),
        redb::Error::Unsupported => StoreError::Io("an operation is not supported".to_owned()),
        redb::Error::ValueTooLarge(bytes) => {
            StoreError::Io(format!("a value of {bytes} bytes is larger than any store can hold"))
        }
        // What remains says that tables, pages or locks are not as this crate left them.
        other => StoreError::Corrupt(other.to_string()),
    }
}

/// What the operating system said, in the words of the contract.
pub(crate) fn io_error(error: &IoError) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}

/// Runs `work` and turns a panic into [`StoreError::Corrupt`]: redb asserts much about pages that a
/// damaged file can break.
///
/// Unwind safety: whoever calls this throws the redb handle away after an error, and keeps nothing
/// else that `work` could have left half done.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no reason given".to_owned());
        Err(StoreError::Corrupt(format!("a page is not as it was written ({why})")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let error = |kind| store_error(redb::StorageError::Io(IoError::from(kind)));
        assert_eq!(error(ErrorKind::StorageFull), StoreError::Full);
        assert_eq!(error(ErrorKind::QuotaExceeded), StoreError::Full);
        assert!(matches!(error(ErrorKind::Other), StoreError::Io(_)));
        assert!(matches!(store_error(redb::StorageError::PreviousIo), StoreError::Io(_)));
        let corrupt = redb::StorageError::Corrupted("x".to_owned());
        assert!(matches!(store_error(corrupt), StoreError::Corrupt(_)));
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let contained = contain::<()>(|| panic!("page {}", 7));
        assert_eq!(
            contained,
            Err(StoreError::Corrupt("a page is not as it was written (page 7)".to_owned()))
        );
    }
}
