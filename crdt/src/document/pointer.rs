//! JSON Pointers (RFC 6901): where in a document something lies.

use std::fmt;
use std::str::FromStr;

/// Why a text is no JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not start with a slash.
    #[error("a pointer is empty or starts with `/`; this one is {0:?}")]
    NoSlash(String),
    /// A `~` without `0` or `1` after it.
    #[error("`~` in a pointer is written `~0`, and `/` inside a name `~1`; this one is {0:?}")]
    BadEscape(String),
}

/// A path from the root of a document: member names and list positions. The empty one is the root.
/// A special form, such as a counter, is one value that no pointer enters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The pointer to the document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The steps from the root, unescaped.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// The pointer one step further in.
    #[must_use]
    pub fn child(&self, step: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// The pointer to what holds this one, and the last step; none for the root.
    pub fn split_last(&self) -> Option<(Self, &str)> {
        let (last, rest) = self.0.split_last()?;
        Some((Self(rest.to_vec()), last))
    }

    /// Whether the pointer is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// The position a step names in a list: digits without leading zeros.
pub(super) fn list_position(step: &str) -> Option<usize> {
    let canonical = step == "0" || !step.starts_with('0');
    (canonical && step.bytes().all(|byte| byte.is_ascii_digit())).then(|| step.parse().ok())?
}

impl FromIterator<String> for Pointer {
    fn from_iter<I: IntoIterator<Item = String>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let steps = text.strip_prefix('/').ok_or_else(|| PointerError::NoSlash(text.to_owned()))?;
        let unescaped = steps.split('/').map(unescape).collect::<Option<_>>();
        unescaped.map(Self).ok_or_else(|| PointerError::BadEscape(text.to_owned()))
    }
}

fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push(match part.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        plain.push_str(&part[1..]);
    }
    Some(plain)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_of_the_rfc_round_trip() {
        for (text, steps) in [
            ("", vec![]),
            ("/foo", vec!["foo"]),
            ("/foo/0", vec!["foo", "0"]),
            ("/", vec![""]),
            ("/a~1b", vec!["a/b"]),
            ("/m~0n", vec!["m~n"]),
            ("/~01", vec!["~1"]),
            ("//é", vec!["", "é"]),
        ] {
            let pointer: Pointer = text.parse().expect(text);
            assert_eq!(pointer.steps(), steps, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
        for bad in ["foo", "#/foo", "/~", "/~2", "/a~é"] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn list_positions_have_one_spelling() {
        assert_eq!(list_position("0"), Some(0));
        assert_eq!(list_position("10"), Some(10));
        for bad in ["", "-", "01", "+1", "1x", "99999999999999999999999"] {
            assert_eq!(list_position(bad), None, "{bad}");
        }
    }
}
