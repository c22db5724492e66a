//! 16. No panic, no deadlock; clock skew harms no safety property.

use super::Finding;

/// How a process misbehaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaved {
    /// It panicked.
    Panicked(String),
    /// It asks to be woken for ever without doing anything.
    Spins,
}

/// A process that panicked or spins.
pub fn check(node: usize, misbehaved: &Misbehaved) -> Finding {
    match misbehaved {
        Misbehaved::Panicked(words) => Finding::at(16, node, format!("panicked: {words}")),
        Misbehaved::Spins => Finding::at(16, node, "asks to be woken again and again and does nothing"),
    }
}

/// A fleet in which something happens without end and time does not pass.
pub fn stands_still(at: u64) -> Finding {
    Finding::fleet(16, format!("something happens without end at {at} µs: time stands still"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_words() {
        assert!(check(3, &Misbehaved::Panicked("overflow".into())).words.contains("overflow"));
        assert_eq!(check(3, &Misbehaved::Spins).node, Some(3));
        assert_eq!(stands_still(7).property, 16);
    }
}
