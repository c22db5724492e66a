//! The description of the file format, from which the check and the JSON Schema come.
//!
//! One table says every key, its meaning, its type and its range. A test holds it against the types
//! that serde reads, so that the three never disagree.

use super::tree::{Complaint, Node, Place, Value, list_header};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Any text that is not empty.
    Text,
    /// A whole number between two bounds.
    Whole(i64, i64),
    /// A number between two bounds.
    Number(f64, f64),
    /// `true` or `false`.
    Flag,
    /// A span of time, `"90s"`.
    Span,
    /// A span of time that may be negative, `"-2s"`.
    Offset,
    /// A size, `"64KiB"`.
    Size,
    /// A bandwidth, `"10Mbit"`.
    Bandwidth,
    /// A span of time or `"healed"`.
    Until,
    /// Nodes.
    Selector,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Several of one shape.
    List(&'static Shape),
    /// Named members.
    Table(&'static [Field]),
    /// Named members, some of which depend on the word under `tag`.
    Tagged { tag: &'static str, common: &'static [Field], variants: &'static [Variant] },
}

/// A member of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub words: &'static str,
    pub shape: Shape,
    pub required: bool,
}

/// What goes with one word of a tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub name: &'static str,
    pub words: &'static str,
    pub fields: &'static [Field],
}

/// A member that must be there.
pub(crate) const fn must(name: &'static str, shape: Shape, words: &'static str) -> Field {
    Field { name, words, shape, required: true }
}

/// A member that may be there.
pub(crate) const fn may(name: &'static str, shape: Shape, words: &'static str) -> Field {
    Field { name, words, shape, required: false }
}

/// The members of a selector written as a table.
pub(crate) const SELECTOR_TABLE: &[Field] = &[
    may("of", Shape::List(&Shape::Text), "Names of groups or nodes; without it, every node."),
    may("percent", Shape::Number(0.1, 100.0), "Only so many percent of those."),
    may("random", Shape::Whole(1, super::NODES_MAX as i64), "Only so many of those."),
];

/// Checks `node` against `shape` and adds what is wrong to `found`.
pub(crate) fn check(node: &Node, shape: &Shape, found: &mut Vec<Complaint>) {
    let mut complain = |words: String| found.push(node.place.complain(words));
    match (shape, &node.value) {
        (Shape::Text, Value::Text(text)) if text.trim().is_empty() => {
            complain("this must not be empty".into())
        }
        (Shape::Text, Value::Text(_)) | (Shape::Flag, Value::Flag(_)) => {}
        (Shape::Whole(min, max), Value::Whole(whole)) => {
            if !(min..=max).contains(&whole) {
                complain(format!("{whole} is out of range: {min} to {max}"));
            }
        }
        (Shape::Number(min, max), Value::Whole(_) | Value::Number(_)) => {
            let number = number(&node.value);
            if !(*min..=*max).contains(&number) {
                complain(format!("{number} is out of range: {min} to {max}"));
            }
        }
        (Shape::Choice(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
            complain(format!("{text:?} is not known here{}", instead(text, words.iter().copied())));
        }
        (Shape::Choice(_), Value::Text(_)) => {}
        (Shape::Until, Value::Text(text)) if text == "healed" => {}
        (quantity, Value::Text(text)) if quantity.reads(text).is_some() => {
            if let Some(Err(words)) = quantity.reads(text) {
                complain(words);
            }
        }
        (Shape::Selector, Value::Text(_)) => {}
        (Shape::Selector, Value::List(_)) => check(node, &Shape::List(&Shape::Text), found),
        (Shape::Selector, Value::Table(_)) => check(node, &Shape::Table(SELECTOR_TABLE), found),
        (Shape::List(inner), Value::List(items)) => {
            items.iter().for_each(|item| check(item, inner, found));
        }
        (Shape::Table(fields), Value::Table(_)) => check_members(node, fields.iter(), found),
        (Shape::Tagged { tag, common, variants }, Value::Table(_)) => {
            check_tagged(node, tag, common, variants, found);
        }
        (shape, _) => complain(format!("this must be {}", shape.words())),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Whole(whole) => *whole as f64,
        Value::Number(number) => *number,
        _ => 0.0,
    }
}

fn check_tagged(
    node: &Node,
    tag: &'static str,
    common: &'static [Field],
    variants: &'static [Variant],
    found: &mut Vec<Complaint>,
) {
    let names = || variants.iter().map(|variant| variant.name);
    let Some(word) = node.member(tag) else {
        found.push(node.place.complain(format!("{tag:?} is missing: one of {}", join(names()))));
        return;
    };
    let Some(variant) = word.text().and_then(|text| variants.iter().find(|variant| variant.name == text))
    else {
        let text = word.text().unwrap_or_default();
        found.push(word.place.complain(format!("{text:?} is not known here{}", instead(text, names()))));
        return;
    };
    let tag_field = [must(tag, Shape::Text, "")];
    let fields = tag_field.iter().chain(common).chain(variant.fields);
    check_members(node, fields, found);
}

fn check_members<'a>(
    node: &Node,
    fields: impl Iterator<Item = &'a Field> + Clone,
    found: &mut Vec<Complaint>,
) {
    let Value::Table(members) = &node.value else { return };
    // Keys that another one was meant to be.
    let mut meant: Vec<&str> = Vec::new();
    for (key, (place, member)) in members {
        match (fields.clone().find(|field| field.name == key), &member.value) {
            (Some(Field { shape: Shape::List(inner), .. }), Value::Table(_)) if inner.is_table() => {
                let header = list_header(key);
                found.push(place.complain(format!("this is one of a list of tables: write {header}")));
            }
            (Some(field), _) => check(member, &field.shape, found),
            (None, _) => {
                let names = fields.clone().map(|field| field.name);
                meant.extend(near(key, names.clone()));
                found.push(place.complain(format!("unknown key {key:?}{}", instead(key, names))));
            }
        }
    }
    let is_there = |name: &str| members.contains_key(name) || meant.contains(&name);
    for field in fields.filter(|field| field.required && !is_there(field.name)) {
        let place: &Place = members.values().map(|(place, _)| place).min().unwrap_or(&node.place);
        let (name, words) = (field.name, field.words.trim_end_matches('.'));
        let example = field.shape.written(name).map_or(String::new(), |written| format!(" ({written})"));
        found.push(place.complain(format!("{name:?} is missing here: {words}{example}")));
    }
}

impl Shape {
    /// For a quantity, whether `text` is one; `None` for everything else.
    fn reads(&self, text: &str) -> Option<Result<(), String>> {
        match self {
            Self::Span => Some(text.parse::<super::Span>().map(drop)),
            Self::Offset => Some(text.parse::<super::Offset>().map(drop)),
            Self::Size => Some(text.parse::<super::Size>().map(drop)),
            Self::Bandwidth => Some(text.parse::<super::Bandwidth>().map(drop)),
            Self::Until => {
                let read = text.parse::<super::Span>().map(drop);
                Some(read.map_err(|words| format!("{words}, or write \"healed\"")))
            }
            _ => None,
        }
    }

    fn is_table(&self) -> bool {
        matches!(self, Self::Table(_) | Self::Tagged { .. })
    }

    /// How a member of this shape is written, where one example fits all.
    fn written(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Text => format!("{:?}", "…"),
            Self::Whole(min, _) => min.to_string(),
            Self::Span | Self::Until => "\"90s\"".into(),
            Self::Table(fields) => {
                let first = fields.first().and_then(|field| field.shape.written(field.name))?;
                return Some(format!("write [{name}], {first}"));
            }
            Self::List(inner) if inner.is_table() => return Some(format!("write {}", list_header(name))),
            _ => return None,
        };
        Some(format!("such as {name} = {value}"))
    }

    /// What it is, for "this must be …".
    fn words(&self) -> String {
        match self {
            Self::Text => "text in quotes".into(),
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Flag => "true or false".into(),
            Self::Span => "a span of time in quotes, such as \"90s\"".into(),
            Self::Offset => "a span of time in quotes, such as \"-2s\"".into(),
            Self::Size => "a size in quotes, such as \"64KiB\"".into(),
            Self::Bandwidth => "a bandwidth in quotes, such as \"10Mbit\"".into(),
            Self::Until => "a time in quotes, such as \"90s\", or \"healed\"".into(),
            Self::Selector => "\"all\", a group, a node, a list of those, or { of, percent, random }".into(),
            Self::Choice(words) => format!("one of {}", join(words.iter().copied())),
            Self::List(_) => "a list".into(),
            Self::Table(_) | Self::Tagged { .. } => "a table".into(),
        }
    }
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// `": did you mean …?"`, or the words there are.
pub(crate) fn instead<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match near(word, words.iter().copied()) {
        Some(known) => format!(": did you mean {known:?}?"),
        None if words.is_empty() => String::new(),
        None => format!(": known are {}", words.join(", ")),
    }
}

/// The word that was probably meant.
fn near<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (steps, known) = words.map(|known| (distance(word, known), known)).min()?;
    (steps <= 1 + word.chars().count() / 3).then_some(known)
}

/// Levenshtein's distance, with a swap of neighbours as one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The words under the tag of a list of tagged tables, for tests.
#[cfg(test)]
pub(crate) fn variant_names(shape: &Shape, member: &str) -> std::collections::BTreeSet<&'static str> {
    let Shape::Table(fields) = shape else { return Default::default() };
    let field = fields.iter().find(|field| field.name == member);
    match field.map(|field| field.shape) {
        Some(Shape::List(Shape::Tagged { variants, .. })) => {
            variants.iter().map(|variant| variant.name).collect()
        }
        _ => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_lists_all() {
        let words = ["duration", "drain", "seed"];
        assert_eq!(instead("druation", words.into_iter()), ": did you mean \"duration\"?");
        assert_eq!(instead("xyzzy-plugh", words.into_iter()), ": known are duration, drain, seed");
    }

    #[test]
    fn a_swap_is_one_step() {
        let rows = [("", "", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("abc", "", 3)];
        for (a, b, steps) in rows {
            assert_eq!(distance(a, b), steps, "{a} {b}");
        }
    }
}
