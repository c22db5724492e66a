//! 18. Every fault requested really fired.

/// The faults that a scenario asked for and that did nothing: (name, times it fired).
pub fn check<'a>(requested: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<String> {
    requested
        .into_iter()
        .filter(|(_, fired)| *fired == 0)
        .map(|(name, _)| format!("the fault {name} was asked for and never did anything"))
        .collect()
}

/// The nodes that were to be hostile from the start and never did anything: (name, what they did).
pub fn check_behaviours<'a>(hostile: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<String> {
    hostile
        .into_iter()
        .filter(|(_, acts)| *acts == 0)
        .map(|(name, _)| format!("{name} was to be hostile and never did anything"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_did_nothing_is_named() {
        assert_eq!(check([("loss", 3)]), Vec::<String>::new());
        assert_eq!(check([("loss", 3), ("pause", 0)]).len(), 1);
    }

    #[test]
    fn a_hostile_node_that_did_nothing_is_named() {
        assert_eq!(check_behaviours([("liar-0", 3)]), Vec::<String>::new());
        assert!(check_behaviours([("liar-0", 3), ("liar-1", 0)])[0].starts_with("liar-1"));
    }
}
