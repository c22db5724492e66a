//! Rust source as its words: comments, literals and test code blanked out, places kept.
//!
//! Leaves out macros that build names and raw identifiers; the code they hide has still to compile
//! against a manifest, which the rules check as well.

/// `source` with everything blanked (line breaks stay) that is no code.
pub fn code(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out: Vec<char> = chars.clone();
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).min(chars.len());
        blank(&mut out, at, end);
        at = if end > at { end } else { word_end(&chars, at) };
    }
    out.into_iter().collect()
}

/// `code` without what only tests see: the item after each `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut out: Vec<char> = code.chars().collect();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + mark.len() <= out.len() {
        if out[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let end = item_end(&out, at + mark.len());
        blank(&mut out, at, end);
        at = end;
    }
    out.into_iter().collect()
}

fn blank(out: &mut [char], from: usize, to: usize) {
    out[from..to].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of the word at `at`, or the next place.
fn word_end(chars: &[char], at: usize) -> usize {
    let word = chars[at..].iter().take_while(|c| is_word(**c)).count();
    at + word.max(1)
}

/// Where the comment or literal that starts at `at` ends; `at` when none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |ahead: usize| chars.get(at + ahead).copied();
    match (chars[at], next(1)) {
        ('/', Some('/')) => at + chars[at..].iter().take_while(|c| **c != '\n').count(),
        ('/', Some('*')) => comment_end(chars, at),
        ('"', _) => string_end(chars, at + 1),
        ('b' | 'c', Some('"')) => string_end(chars, at + 2),
        ('r', Some('"' | '#')) => raw_end(chars, at, at + 1),
        ('b' | 'c', Some('r')) if matches!(next(2), Some('"' | '#')) => raw_end(chars, at, at + 2),
        ('\'', Some('\\')) => at + 3 + chars[at + 3..].iter().take_while(|c| **c != '\'').count() + 1,
        ('\'', Some(_)) if next(2) == Some('\'') => at + 3,
        _ => at,
    }
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut here) = (0_usize, at);
    while here < chars.len() {
        match (chars[here], chars.get(here + 1)) {
            ('/', Some('*')) => (depth, here) = (depth + 1, here + 2),
            ('*', Some('/')) => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
        if depth == 0 {
            break;
        }
    }
    here
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The end of the raw string whose hashes begin at `hashes`; `start` when it is none (`r#type`).
fn raw_end(chars: &[char], start: usize, hashes: usize) -> usize {
    let count = chars[hashes..].iter().take_while(|c| **c == '#').count();
    if chars.get(hashes + count) != Some(&'"') {
        return start;
    }
    let mut at = hashes + count + 1;
    while at < chars.len() {
        let closing = chars[at + 1..].iter().take(count).take_while(|c| **c == '#').count();
        at += 1;
        if chars[at - 1] == '"' && closing == count {
            return at + count;
        }
    }
    at
}

/// The end of the item that starts at `at`: its closing brace, or a semicolon before any brace.
fn item_end(code: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    for (place, c) in code.iter().enumerate().skip(at) {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *c == '}' {
                    return place + 1;
                }
            }
            ';' if depth == 0 => return place + 1,
            _ => {}
        }
    }
    code.len()
}

/// The words of `code`, each with its line number from 1 and what follows it.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    code.lines().enumerate().flat_map(|(line, text)| {
        let mut rest = text;
        std::iter::from_fn(move || {
            let start = rest.find(is_word)?;
            let after = &rest[start..];
            let len = after.find(|c| !is_word(c)).unwrap_or(after.len());
            rest = &after[len..];
            Some((line + 1, &after[..len], rest))
        })
    })
}

/// The first names after each `root` path in `code`, with the line: of `crate::{a, b::c}` `a` and `b`.
pub fn first_names<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices(root) {
        if code[..start].ends_with(|c| is_word(c) || c == ':' || c == '$') {
            continue;
        }
        let line = code[..start].matches('\n').count() + 1;
        let after = &code[start + root.len()..];
        match after.strip_prefix('{') {
            None => names.extend(leading_name(after).map(|name| (line, name))),
            Some(group) => {
                names.extend(group_members(group).filter_map(leading_name).map(|name| (line, name)))
            }
        }
    }
    names
}

fn leading_name(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let len = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (len > 0).then_some(&text[..len])
}

/// The members of a `use` group whose opening brace was taken off.
fn group_members(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let end = group.find(|c| {
        depth = if c == '{' { depth + 1 } else { depth };
        let closed = c == '}' && depth == 0;
        depth = if c == '}' { depth.saturating_sub(1) } else { depth };
        closed
    });
    let mut inner = 0_usize;
    group[..end.unwrap_or(group.len())].split(move |c| {
        inner = match c {
            '{' => inner + 1,
            '}' => inner.saturating_sub(1),
            _ => inner,
        };
        c == ',' && inner == 0
    })
}
