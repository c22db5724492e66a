//! Roles, name prefixes, and what one right says about another.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::id::{DocumentName, IdError};
use crate::limits::PREFIX_BYTES_MAX;

/// What somebody may do: each role includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// May read documents.
    Reader,
    /// May also write documents.
    Writer,
    /// May also issue statements.
    Admin,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Role; 3] = [Role::Reader, Role::Writer, Role::Admin];

    /// Name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Admin => "admin",
        }
    }

    /// Number in messages and signed bytes.
    pub(crate) fn number(self) -> u8 {
        match self {
            Role::Reader => 0,
            Role::Writer => 1,
            Role::Admin => 2,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected reader, writer or admin, found {0:?}")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| RoleError(text.chars().take(80).collect()))
    }
}

impl<C> Encode<C> for Role {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Role {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let number = d.u8()?;
        let found = Role::ALL.into_iter().find(|role| role.number() == number);
        found.ok_or_else(|| minicbor::decode::Error::message(format!("unknown role {number}")))
    }
}

/// Why a text is no name prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Nothing there; the whole space is said by leaving the prefix out.
    #[error("prefix is empty; leave it out to mean the whole space")]
    Empty,
    /// No document name could start like this.
    #[error("no document name starts with this prefix: a name {0}")]
    MatchesNothing(&'static str),
}

/// How document names start that a right is limited to.
///
/// Compared character by character, as `ls PREFIX` does: `team/` covers `team/a` and not `teams`;
/// `team` covers both, so a right should end in `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Prefix(#[n(0)] String);

impl Prefix {
    /// Checks that some document name can start with `text`.
    ///
    /// # Errors
    /// [`PrefixError`] with the rule that is broken.
    pub fn new(text: impl Into<String>) -> Result<Self, PrefixError> {
        let text = text.into();
        if text.is_empty() {
            return Err(PrefixError::Empty);
        }
        if text.len() > PREFIX_BYTES_MAX {
            return Err(PrefixError::MatchesNothing("is at most 512 bytes long"));
        }
        let name = text.strip_suffix('/').unwrap_or(&text);
        match DocumentName::new(name) {
            Ok(_) => Ok(Self(text)),
            Err(IdError::BadName(rule)) => Err(PrefixError::MatchesNothing(match rule {
                "holds a control character" => "holds no control character",
                _ => "has no empty segment",
            })),
            Err(IdError::NotHex { .. }) => Err(PrefixError::MatchesNothing("is text")),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'b, C> Decode<'b, C> for Prefix {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(|error| minicbor::decode::Error::message(error.to_string()))
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Self::new(text)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A role, in the whole space or in the documents whose names start with a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Right {
    /// What may be done.
    pub role: Role,
    /// Where; absent means everywhere.
    pub prefix: Option<Prefix>,
}

impl Right {
    /// What every founder holds.
    pub const FOUNDER: Right = Right { role: Role::Admin, prefix: None };

    /// Whether this right includes `role` wherever `prefix` reaches.
    pub fn covers(&self, role: Role, prefix: Option<&Prefix>) -> bool {
        self.role >= role
            && match (&self.prefix, prefix) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(own), Some(other)) => other.as_str().starts_with(own.as_str()),
            }
    }

    /// Whether this right includes `role` for `document`.
    pub fn allows(&self, role: Role, document: &DocumentName) -> bool {
        let reaches = |prefix: &Prefix| document.as_str().starts_with(prefix.as_str());
        self.role >= role && self.prefix.as_ref().is_none_or(reaches)
    }
}

/// Whether one of `rights` includes `role` wherever `prefix` reaches.
pub fn covers(rights: &[Right], role: Role, prefix: Option<&Prefix>) -> bool {
    rights.iter().any(|right| right.covers(role, prefix))
}

/// The rights that no other of them implies, sorted.
pub(crate) fn strongest(rights: impl Iterator<Item = Right>) -> Vec<Right> {
    let mut kept: Vec<Right> = Vec::new();
    for right in rights {
        if covers(&kept, right.role, right.prefix.as_ref()) {
            continue;
        }
        kept.retain(|weaker| !right.covers(weaker.role, weaker.prefix.as_ref()));
        kept.push(right);
    }
    kept.sort();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(role: Role, prefix: &str) -> Right {
        Right { role, prefix: (!prefix.is_empty()).then(|| Prefix::new(prefix).unwrap()) }
    }

    #[test]
    fn prefixes_follow_the_rules() {
        for good in ["a", "a/", "config/web", &"x".repeat(512)] {
            assert!(Prefix::new(good).is_ok(), "{good}");
        }
        assert_eq!(Prefix::new(""), Err(PrefixError::Empty));
        for bad in ["/", "/a", "a//", "a//b", "a\n", &"x".repeat(513)] {
            assert!(matches!(Prefix::new(bad), Err(PrefixError::MatchesNothing(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_right_covers_what_is_weaker_and_narrower() {
        let rows = [
            (right(Role::Admin, ""), Role::Admin, None, true),
            (right(Role::Admin, ""), Role::Reader, Some("a/"), true),
            (right(Role::Writer, ""), Role::Admin, None, false),
            (right(Role::Admin, "a/"), Role::Reader, None, false),
            (right(Role::Admin, "a/"), Role::Writer, Some("a/b/"), true),
            (right(Role::Admin, "a/b/"), Role::Writer, Some("a/"), false),
            (right(Role::Admin, "a/"), Role::Writer, Some("b/"), false),
        ];
        for (right, role, prefix, expected) in rows {
            let prefix = prefix.map(|prefix| Prefix::new(prefix).unwrap());
            assert_eq!(right.covers(role, prefix.as_ref()), expected, "{right:?} {role} {prefix:?}");
        }
    }

    #[test]
    fn a_right_allows_documents_under_its_prefix() {
        let name = |text: &str| DocumentName::new(text).unwrap();
        let writer = right(Role::Writer, "team/");
        assert!(writer.allows(Role::Reader, &name("team/a")));
        assert!(writer.allows(Role::Writer, &name("team/a/b")));
        assert!(!writer.allows(Role::Admin, &name("team/a")));
        assert!(!writer.allows(Role::Reader, &name("team")));
        assert!(!writer.allows(Role::Reader, &name("teams/a")));
        assert!(right(Role::Reader, "").allows(Role::Reader, &name("anything")));
    }

    #[test]
    fn only_the_strongest_rights_remain() {
        let all = [
            right(Role::Reader, "a/"),
            right(Role::Writer, "a/b/"),
            right(Role::Writer, "a/"),
            right(Role::Reader, ""),
            right(Role::Writer, "a/"),
        ];
        let expected = [right(Role::Reader, ""), right(Role::Writer, "a/")];
        assert_eq!(strongest(all.clone().into_iter()), expected);
        assert_eq!(strongest(all.into_iter().rev()), expected);
    }

    #[test]
    fn roles_round_trip_as_text_and_refuse_unknown_numbers() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(minicbor::decode::<Role>(&minicbor::to_vec(role).unwrap()).unwrap(), role);
        }
        assert!("owner".parse::<Role>().is_err());
        let error = minicbor::decode::<Role>(&[3]).unwrap_err();
        assert!(error.to_string().contains("unknown role 3"), "{error}");
    }
}
