//! What was printed against what a guide shows: equal but for what differs from run to run.
//!
//! Keys, hashes, times, spans, sizes, ports and positions are masked by their form. A hash that the guide
//! shows twice must be one hash here, too, so a command of the guide can name a hash that an earlier answer
//! of the guide showed.

use std::collections::BTreeMap;

/// Digits from which hex counts as a hash: `history` and tables show twelve, people type eight.
const HASH_DIGITS_MIN: usize = 8;

/// Words behind a number that make it one of this run.
const UNITS: [&str; 8] = ["ms", "s", "min", "h", "d", "bytes", "MiB", "ago"];

/// Words in front of a number that make it one of this run.
const PLACES: [&str; 2] = ["commit", "at"];

/// A line in its pieces.
type Line = Vec<Piece>;

/// How much deeper the lines of a block stand than its first.
const DEEPER: usize = 2;

/// Which hash of the run each hash of the guide stands for.
#[derive(Default)]
pub struct Hashes(BTreeMap<String, String>);

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// The same in every run.
    Said(String),
    /// A key or hash, or the beginning of one.
    Hash(String),
    /// Something that differs from run to run.
    Varies(&'static str),
}

impl Hashes {
    /// What a word of the guide's command is in this run: a hash that no answer showed before stays.
    pub fn translated(&self, word: &str) -> String {
        let shown = |shown: &&String| is_hash(word) && shown.starts_with(word);
        let known = self.0.keys().find(shown).map(|shown| self.0[shown].as_str());
        known.unwrap_or(word).chars().take(word.chars().count()).collect()
    }

    /// Compares one answer, block by block: a line and those that stand deeper below it. Of two blocks that
    /// follow each other either may come first: changes that do not know of each other are ordered by hash.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn compare(&mut self, shown: &str, printed: &str) -> Result<(), String> {
        let (mut shown, printed) = (blocks(shown), blocks(printed));
        for block in &printed {
            let first = self.block(shown.first(), block);
            let place = match first {
                Ok(()) => 0,
                Err(why) => self.block(shown.get(1), block).map(|()| 1).map_err(|_| why)?,
            };
            shown.remove(place);
        }
        match shown.first() {
            None => Ok(()),
            Some(block) => Err(format!("{block:?} is shown and was not printed")),
        }
    }

    /// Compares one block; a difference leaves no trace.
    fn block(&mut self, shown: Option<&Vec<Line>>, printed: &[Line]) -> Result<(), String> {
        let shown = shown.ok_or_else(|| format!("{printed:?} was printed and is not shown"))?;
        let before = self.0.clone();
        let mut lines = shown.iter().zip(printed);
        let mut compared = lines.try_for_each(|(shown, printed)| self.line(shown, printed));
        if compared == Ok(()) && shown.len() != printed.len() {
            compared = Err(format!("{shown:?} is shown, {printed:?} was printed"));
        }
        if compared.is_err() {
            self.0 = before;
        }
        compared
    }

    fn line(&mut self, shown: &[Piece], printed: &[Piece]) -> Result<(), String> {
        if shown.len() != printed.len() {
            return Err(format!("{shown:?} is shown, {printed:?} was printed"));
        }
        for (shown, printed) in shown.iter().zip(printed) {
            let fits = match (shown, printed) {
                (Piece::Hash(shown), Piece::Hash(printed)) => self.stands_for(shown, printed),
                (shown, printed) => shown == printed,
            };
            if !fits {
                return Err(format!("{shown:?} is shown, {printed:?} was printed"));
            }
        }
        Ok(())
    }

    /// Whether a hash of the guide stands for this one; the first time says so.
    fn stands_for(&mut self, shown: &str, printed: &str) -> bool {
        if shown.len() != printed.len() {
            return false;
        }
        let fits = |(known, meant): (&String, &String)| {
            let digits = known.len().min(shown.len());
            (known[..digits] == shown[..digits]).then(|| meant[..digits] == printed[..digits])
        };
        let known: Vec<bool> = self.0.iter().filter_map(fits).collect();
        if known.is_empty() {
            self.0.insert(shown.to_owned(), printed.to_owned());
        }
        known.iter().all(|fits| *fits)
    }
}

fn is_hash(word: &str) -> bool {
    word.len() >= HASH_DIGITS_MIN
        && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit())
}

fn is_time(word: &str) -> bool {
    word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}

fn blocks(text: &str) -> Vec<Vec<Line>> {
    let mut all: Vec<Vec<Line>> = Vec::new();
    for line in text.lines() {
        let deep = line.len() - line.trim_start().len();
        match all.last_mut().filter(|_| deep >= DEEPER) {
            Some(block) => block.push(pieces(line.trim_end())),
            None => all.push(vec![pieces(line.trim_end())]),
        }
    }
    all
}

/// A line in pieces: words without the spaces between them, spans and runs of commits as one.
fn pieces(line: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    // Columns move with their contents; how deep a line stands does not.
    all.push(Piece::Said(" ".repeat(line.len() - line.trim_start().len())));
    for (place, word) in words.iter().enumerate() {
        let nearby = |steps: usize| place.checked_sub(steps).map_or("", |place| words[place]);
        let around = Around {
            before: [nearby(1), nearby(2)],
            after: words.get(place + 1).copied().unwrap_or_default(),
        };
        for piece in word_pieces(word, &around) {
            let again = matches!(piece, Piece::Varies(_)) && all.last() == Some(&piece);
            if !again {
                all.push(piece);
            }
        }
    }
    all
}

/// The words beside one.
struct Around<'a> {
    /// The one before it, and the one before that.
    before: [&'a str; 2],
    after: &'a str,
}

fn word_pieces(word: &str, around: &Around<'_>) -> Vec<Piece> {
    const MARKS: [char; 6] = ['(', ')', ',', ';', ':', '.'];
    let plain = |word: &'_ str| word.trim_matches(MARKS).to_owned();
    let core = word.trim_matches(MARKS);
    let (open, close) = word.split_once(core).unwrap_or(("", ""));
    let [before, further] = around.before;
    let after = plain(around.after);
    let is_place = |before: &str| PLACES.contains(&before);
    let masked = if is_hash(core) {
        Piece::Hash(core.to_owned())
    } else if is_time(core) {
        Piece::Varies("time")
    } else if is_number(core) && UNITS.contains(&after.as_str())
        || UNITS.contains(&core) && is_number(&plain(before))
    {
        Piece::Varies("span")
    } else if is_number(core) && is_place(before)
        || core == "to" && is_number(before) && is_place(further)
        || is_number(core) && before == "to" && is_number(further)
    {
        Piece::Varies("place")
    } else if core.split_once('-').is_some_and(|(store, commit)| is_hash(store) && is_number(commit)) {
        Piece::Varies("position")
    } else if core.contains("/tcp/") {
        Piece::Varies("address")
    } else {
        return vec![Piece::Said(word.to_owned())];
    };
    let said = |text: &str| (!text.is_empty()).then(|| Piece::Said(text.to_owned()));
    said(open).into_iter().chain([masked]).chain(said(close)).collect()
}

#[test]
fn what_differs_from_run_to_run_is_masked_and_nothing_else() {
    let mut hashes = Hashes::default();
    let shown =
        "bbab25ffc285  ship  claims 2026-11-21T14:06:25Z\n    set /n to 4\nheld 1 min 3 s, at commit 7 to 9;";
    let printed =
        "0123456789ab  ship  claims 2027-01-01T00:00:00Z\n    set /n to 4\nheld 12 s, at commit 41;";
    assert_eq!(hashes.compare(shown, printed), Ok(()));
    assert_eq!(hashes.translated("bbab25ff"), "01234567");
    assert_eq!(hashes.translated("config/web"), "config/web");
    for (shown, printed) in [
        ("bbab25ffc285", "ffffffffffff"),
        ("ship", "shore"),
        ("3 behind", "4 behind"),
        ("set /n to 4", "set /n to 5"),
        ("    deep", "deep"),
        ("one", "one\ntwo"),
        ("one two", "one"),
    ] {
        assert!(hashes.compare(shown, printed).is_err(), "{shown}");
    }
}
