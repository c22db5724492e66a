//! Prose in lines that fit a terminal.

use crate::escape;

/// Text in lines of at most so many characters, broken between words where one fits; at least one line.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let text = escape::one_line(text);
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always one");
            let used = line.chars().count();
            let between = usize::from(used > 0);
            if used + between + word.len() <= columns {
                line.extend(std::iter::repeat_n(' ', between).chain(word));
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            // A word longer than a line, such as a key, is cut.
            let rest = word.split_off(columns);
            line.extend(word);
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn text_is_broken_between_words_and_nothing_is_lost() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("a\u{1b}[2J", 80), ["a\\u{1b}[2J"]);
        let text = "/dns/harbour.example.org/tcp/4710: refused: the host is there, but no node listens";
        for columns in 1..100 {
            let lines = wrapped(text, columns);
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""), "{columns}");
        }
    }
}
