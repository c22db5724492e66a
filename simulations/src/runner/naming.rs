//! Many nodes in few words: whole groups by their names, the others one by one.

/// Most names in one list; further nodes are counted.
const NAMES_MAX: usize = 6;

/// `shop-a, head-0 and 5 more`; `fleet` has for each node its name and its group's.
pub(super) fn named(nodes: &[usize], fleet: &[(&str, &str)]) -> String {
    let of = |node: usize| fleet.get(node).copied().unwrap_or(("unknown node", ""));
    let is_whole = |group: &str| {
        let mut members = (0..fleet.len()).filter(|node| of(*node).1 == group);
        let several = fleet.iter().filter(|(_, of)| *of == group).count() > 1;
        several && !group.is_empty() && members.all(|member| nodes.contains(&member))
    };
    let mut names: Vec<(&str, usize)> = Vec::new();
    for node in nodes {
        let (name, group) = of(*node);
        match names.iter_mut().find(|(known, _)| *known == group) {
            Some((_, count)) => *count += 1,
            None if is_whole(group) => names.push((group, 1)),
            None => names.push((name, 1)),
        }
    }
    let more: usize = names.iter().skip(NAMES_MAX).map(|(_, count)| count).sum();
    let listed: Vec<&str> = names.iter().take(NAMES_MAX).map(|(name, _)| *name).collect();
    match (listed.is_empty(), more) {
        (true, _) => "nobody".to_owned(),
        (false, 0) => listed.join(", "),
        (false, more) => format!("{} and {more} more", listed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_groups_are_named_and_other_nodes_listed() {
        let fleet = [("a-0", "a"), ("a-1", "a"), ("b-0", "b"), ("b-1", "b"), ("c-0", "c"), ("a-0-twin", "")];
        let rows: [(&[usize], &str); 6] = [
            (&[], "nobody"),
            (&[0, 1], "a"),
            (&[0], "a-0"),
            (&[0, 1, 3], "a, b-1"),
            (&[4, 5], "c-0, a-0-twin"),
            (&[0, 1, 2, 3, 4], "a, b, c-0"),
        ];
        for (nodes, words) in rows {
            assert_eq!(named(nodes, &fleet), words);
        }
    }

    #[test]
    fn what_finds_no_place_in_a_list_is_counted() {
        let names: Vec<String> = (0..10).map(|node| format!("n-{node}")).collect();
        let fleet: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "n")).collect();
        assert_eq!(named(&(0..9).collect::<Vec<_>>(), &fleet), "n-0, n-1, n-2, n-3, n-4, n-5 and 3 more");
    }
}
