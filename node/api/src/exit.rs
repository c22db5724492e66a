//! The exit codes of the command line, which the codes of [`crate::Problem`] map to.

/// How a command ended, as the number the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed for a reason none of the others names.
    Failed = 1,
    /// Wrong usage, or a name that more than one thing answers to.
    Usage = 2,
    /// What was asked for does not exist here.
    NotFound = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// A precondition did not hold; nothing was written.
    Precondition = 5,
    /// Durable here, but not confirmed by as many nodes as asked in time.
    Unconfirmed = 6,
    /// No node answered.
    Unreachable = 7,
    /// A check found something wrong.
    CheckFailed = 8,
    /// Refused for now; the same request may work later.
    TryLater = 9,
    /// Interrupted by the person at the keyboard.
    Interrupted = 130,
}

impl ExitCode {
    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What an HTTP status alone says, for an answer whose code this client does not know.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200 | 201 | 204 | 304 => Self::Done,
            202 => Self::Unconfirmed,
            401 | 403 => Self::NotAllowed,
            404 | 410 => Self::NotFound,
            412 => Self::Precondition,
            408 | 429 | 503 | 507 => Self::TryLater,
            400..=499 => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
