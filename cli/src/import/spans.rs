//! Where the items of a JSON list and the members of a JSON object stand in their text.
//!
//! Promises: the ranges cover each value exactly, so it can be passed on as written. Leaves out:
//! judging the values; the text must be one valid JSON value.

use std::ops::Range;

use serde::de::IgnoredAny;

/// One value's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// The line it starts at, counted from 1.
    pub(super) line: usize,
}

/// The items of the list that `text` is.
pub(super) fn items(text: &str) -> Result<Vec<Span>, String> {
    let mut scanner = Scanner { text, at: 0, line: 1 };
    scanner.token('[').ok_or("is no list")?;
    let mut items = Vec::new();
    while scanner.token(']').is_none() {
        items.push(scanner.value::<IgnoredAny>()?.1);
        let _ = scanner.token(',');
    }
    Ok(items)
}

/// The members of the object that `text` is, in their order.
pub(super) fn members(text: &str) -> Result<Vec<(String, Span)>, String> {
    let mut scanner = Scanner { text, at: 0, line: 1 };
    scanner.token('{').ok_or("is no object, so it has no members to split by")?;
    let mut members = Vec::new();
    while scanner.token('}').is_none() {
        let (name, _) = scanner.value::<String>()?;
        let _ = scanner.token(':');
        members.push((name, scanner.value::<IgnoredAny>()?.1));
        let _ = scanner.token(',');
    }
    Ok(members)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(space);
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.text[self.at..self.at + bytes];
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.at += bytes;
    }

    /// Passes one token if it comes next.
    fn token(&mut self, token: char) -> Option<()> {
        self.skip_space();
        self.text[self.at..].starts_with(token).then(|| self.advance(token.len_utf8()))
    }

    fn value<T: serde::Deserialize<'a>>(&mut self) -> Result<(T, Span), String> {
        self.skip_space();
        let (start, line) = (self.at, self.line);
        let mut values = serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<T>();
        let value = values.next().ok_or("ends too early")?.map_err(|error| error.to_string())?;
        self.advance(values.byte_offset());
        Ok((value, Span { range: start..self.at, line }))
    }
}

#[cfg(test)]
mod tests {
    use super::{items, members};

    #[test]
    fn items_keep_their_text_and_line() {
        let text = "[ {\"a\": 1},\n  2.50 ,[3],\n\"x\\\"]\" ]";
        let found: Vec<_> =
            items(text).unwrap().into_iter().map(|span| (&text[span.range], span.line)).collect();
        assert_eq!(found, [("{\"a\": 1}", 1), ("2.50", 2), ("[3]", 2), ("\"x\\\"]\"", 3)]);
        assert_eq!(items("[]").unwrap(), []);
    }

    #[test]
    fn members_keep_duplicates_for_the_node_to_judge() {
        let text = "{\"a\\n\": {\"x\": 1, \"x\": 2},\n \"b\" : true}";
        let found: Vec<_> = members(text)
            .unwrap()
            .into_iter()
            .map(|(name, span)| (name, &text[span.range], span.line))
            .collect();
        assert_eq!(found, [("a\n".to_owned(), "{\"x\": 1, \"x\": 2}", 1), ("b".to_owned(), "true", 2)]);
    }

    #[test]
    fn other_roots_are_refused() {
        assert!(items("{}").is_err());
        assert!(members("[1]").is_err());
    }
}
