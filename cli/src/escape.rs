//! Keeps what others wrote from steering the terminal of the person who reads it.
//!
//! Promises: text that went through here holds no control character and no character that reorders
//! the line it stands in; other text passes unchanged. Leaves out: piped raw output, which a program
//! reads and which must stay byte for byte.

use std::borrow::Cow;
use std::fmt::Write as _;

/// True for characters that move the cursor, colour, ring, hide or reorder: C0, DEL, C1, and the
/// bidirectional controls of UAX #9 as listed in CVE-2021-42574.
fn steers_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line: every such character becomes `\n`, `\t`, `\r` or `\u{…}`.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, steers_a_terminal)
}

/// The text with its line breaks and tabs kept: for pretty JSON and other text of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers_a_terminal(c) && !matches!(c, '\n' | '\t'))
}

/// JSON text stays JSON: such characters can only stand inside strings, where `\uXXXX` means the same.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| steers_a_terminal(c) && !matches!(c, '\n' | '\t' | '\r')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers_a_terminal(c) && !matches!(c, '\n' | '\t' | '\r') {
            // Every one of them lies in the basic plane, so four digits always do.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn escaped(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !unwanted(c) {
            safe.push(c);
        } else if matches!(c, '\n' | '\r' | '\t') {
            safe.extend(c.escape_default());
        } else {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::{json, lines, one_line};

    #[test]
    fn harmless_text_passes_unchanged() {
        assert_eq!(one_line("Zürich → 東京 🚢"), "Zürich → 東京 🚢");
        assert_eq!(lines("a\n\tb"), "a\n\tb");
    }

    #[test]
    fn escape_sequences_and_reordering_become_visible() {
        assert_eq!(one_line("\u{1b}[2Jgone\nnext"), "\\u{1b}[2Jgone\\nnext");
        assert_eq!(one_line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(lines("txt\u{202e}fdp\n"), "txt\\u{202e}fdp\n");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "{\"a\":\"\u{7f}\u{9b}\u{202e}\"}";
        let safe = json(text);
        assert!(!safe.contains('\u{7f}') && !safe.contains('\u{9b}') && !safe.contains('\u{202e}'));
        let before: serde_json::Value = serde_json::from_str(text).unwrap();
        let after: serde_json::Value = serde_json::from_str(&safe).unwrap();
        assert_eq!(before, after);
    }
}
