//! Who wrote each value: its change and actor, and the values that lost against it.
//!
//! Promises: values come in order of the document, in pages whose work and weight are bounded; the
//! answer follows from the heads read at. A counter's or a list's entry names who made it; a text's the
//! author of every stretch. Leaves out who authors are and when they wrote: changes say so.

use automerge::AutomergeError;

use super::conflicts::{ConflictValue, conflict, value};
use super::json::Json;
use super::pointer::Pointer;
use super::read::{Entry, Node, ReadError, View};
use super::{Document, bridge};
use crate::id::{Actor, ChangeHash};

/// A stretch of a text that one change inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPart {
    /// Its characters.
    pub text: String,
    /// The actor that inserted it.
    pub actor: Actor,
    /// The change that inserted it.
    pub change: ChangeHash,
}

/// A value without parts, or a container that is empty or contested, and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blamed {
    /// Where.
    pub pointer: Pointer,
    /// What is shown there; `value` is always present.
    pub shown: ConflictValue,
    /// What lost against it.
    pub hidden: Vec<ConflictValue>,
    /// The stretches of a text that several changes wrote; otherwise empty.
    pub parts: Vec<TextPart>,
}

/// A part of the values below a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlamePage {
    /// In order of the document.
    pub values: Vec<Blamed>,
    /// How many values to skip for the next page; none at the end.
    pub next: Option<usize>,
}

/// Which part of the values is wanted.
#[derive(Debug, Clone, Copy)]
pub struct BlameRange {
    /// Values to pass over.
    pub skip: usize,
    /// Most values of the page.
    pub limit: usize,
    /// Bytes of values after which the page ends.
    pub weight: usize,
}

impl Document {
    /// Who wrote the values at and below `pointer`, now or as of the heads `at`.
    ///
    /// # Errors
    /// [`ReadError`] when the heads are unknown or nothing is there.
    pub fn blame(
        &self,
        pointer: &Pointer,
        at: Option<&[ChangeHash]>,
        range: BlameRange,
    ) -> Result<BlamePage, ReadError> {
        let at = at.map(|heads| self.known_heads(heads)).transpose()?;
        let found = self.viewed(at.as_deref(), |view| {
            let Some(entry) = view.find(pointer.steps())? else { return Ok(None) };
            let mut walk = Walk { view, range, passed: 0, weight: 0, page: BlamePage::default() };
            if entry.values.is_empty() {
                walk.inside(&entry.node, pointer)?;
            } else {
                walk.visit(&entry, pointer)?;
            }
            Ok(Some(walk.page))
        })?;
        found.ok_or_else(|| ReadError::NotFound(pointer.clone()))
    }
}

type Walked = Result<(), AutomergeError>;

struct Walk<'a> {
    view: &'a View<'a, automerge::Automerge>,
    range: BlameRange,
    passed: usize,
    weight: usize,
    page: BlamePage,
}

impl Walk<'_> {
    fn is_over(&self) -> bool {
        self.page.next.is_some()
    }

    /// Recursion is bounded by the depth rule of the validator.
    fn inside(&mut self, node: &Node, pointer: &Pointer) -> Walked {
        match node {
            Node::Scalar(_) | Node::Text(_) => {}
            Node::Map(maps) => {
                for (key, entry) in self.view.members(maps)? {
                    if self.is_over() {
                        break;
                    }
                    self.visit(&entry, &pointer.child(key))?;
                }
            }
            Node::List(list) => {
                for (place, entry) in self.view.elements(list)?.into_iter().enumerate() {
                    if self.is_over() {
                        break;
                    }
                    self.visit(&entry, &pointer.child(place.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn visit(&mut self, entry: &Entry, pointer: &Pointer) -> Walked {
        let contested = entry.values.len() > 1;
        let whole = match &entry.node {
            Node::Scalar(_) | Node::Text(_) => true,
            Node::Map(maps) => contested || self.view.members(maps)?.is_empty(),
            Node::List(list) => contested || self.view.length(list) == 0,
        };
        if whole && self.takes() {
            let blamed = self.blamed(entry, pointer)?;
            self.page.values.extend(blamed);
        }
        if self.is_over() { Ok(()) } else { self.inside(&entry.node, pointer) }
    }

    /// Whether the next value belongs to the page; ends the page when it is full.
    fn takes(&mut self) -> bool {
        if self.passed < self.range.skip {
            self.passed += 1;
            return false;
        }
        let full = self.page.values.len() >= self.range.limit || self.weight >= self.range.weight;
        if full && !self.page.values.is_empty() {
            self.page.next = Some(self.passed);
            return false;
        }
        self.passed += 1;
        true
    }

    fn blamed(&mut self, entry: &Entry, pointer: &Pointer) -> Result<Option<Blamed>, AutomergeError> {
        let Some((_, id)) = entry.values.first() else { return Ok(None) };
        let mut values = match entry.values.len() {
            1 => Vec::new(),
            _ => conflict(self.view, entry, pointer)?.map(|found| found.values).unwrap_or_default(),
        };
        if values.is_empty() {
            // A container that only seemed contested: its members tell more than it does.
            if matches!(&entry.node, Node::Map(_)) && entry.values.len() > 1 {
                self.passed -= 1;
                return Ok(None);
            }
            values.extend(value(self.view, self.view.json(&entry.node)?, id));
        }
        let mut values = values.into_iter();
        let Some(shown) = values.next() else { return Ok(None) };
        let hidden: Vec<_> = values.collect();
        let weight = |value: &ConflictValue| value.value.as_ref().map_or(0, Json::weight);
        self.weight += weight(&shown) + hidden.iter().map(weight).sum::<usize>();
        let parts = match &entry.node {
            Node::Text(text) => self.parts(text)?,
            _ => Vec::new(),
        };
        Ok(Some(Blamed { pointer: pointer.clone(), shown, hidden, parts }))
    }

    /// The stretches of a text by change; none when one change wrote all of it.
    fn parts(&self, text: &automerge::ObjId) -> Result<Vec<TextPart>, AutomergeError> {
        let characters = self.view.text(text)?;
        let mut parts: Vec<TextPart> = Vec::new();
        for (character, id) in characters.chars().zip(self.view.ids(text)) {
            let Some((_, actor)) = bridge::op_id(&id) else { continue };
            let Some(change) = self.view.doc.hash_for_opid(&id).map(|hash| bridge::hash(&hash)) else {
                continue;
            };
            match parts.last_mut() {
                Some(last) if last.change == change => last.text.push(character),
                _ => parts.push(TextPart { text: character.to_string(), actor, change }),
            }
        }
        Ok(if parts.len() > 1 { parts } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Commit, Edit};

    const ALL: BlameRange = BlameRange { skip: 0, limit: 1_000, weight: 1 << 20 };

    fn edit(document: &mut Document, actor: u8, edit: &Edit) -> (ChangeHash, Vec<u8>) {
        let commit = Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None };
        let change = document.edit(commit, edit).expect("fits").changes.remove(0);
        (change.chunk.hash, change.bytes)
    }

    fn put(text: &str) -> Edit {
        Edit::Put { value: Json::parse(text).expect("JSON"), base: None }
    }

    fn set(pointer: &str, value: Json) -> Edit {
        Edit::Set { pointer: pointer.parse().expect("a pointer"), value }
    }

    fn told(page: &BlamePage) -> Vec<String> {
        let line = |blamed: &Blamed| {
            let by = |value: &ConflictValue| {
                let text = value.value.as_ref().map_or("-".to_owned(), Json::to_text);
                format!("{text} by {}", value.actor.0[0])
            };
            let hidden: Vec<_> = blamed.hidden.iter().map(by).collect();
            format!("{} {} {}", blamed.pointer, by(&blamed.shown), hidden.join(";")).trim_end().to_owned()
        };
        page.values.iter().map(line).collect()
    }

    #[test]
    fn every_value_names_who_wrote_it_last() {
        let mut document = Document::new();
        let (first, bytes) = edit(&mut document, 1, &put(r#"{"a": 1, "l": [1, 2], "m": {}, "n": {"x": 1}}"#));
        let mut other = Document::new();
        assert!(other.apply(&[&bytes]).is_empty());
        let (second, _) = edit(&mut other, 2, &set("/l/1", Json::Integer(9)));
        let page = other.blame(&Pointer::root(), None, ALL).expect("sound");
        assert_eq!(told(&page), ["/a 1 by 1", "/l/0 1 by 1", "/l/1 9 by 2", "/m {} by 1", "/n/x 1 by 1"]);
        assert_eq!((page.values[0].shown.change, page.values[2].shown.change), (first, second));
        let then = other.blame(&"/l".parse().expect("a pointer"), Some(&[first]), ALL).expect("known");
        assert_eq!(told(&then), ["/l/0 1 by 1", "/l/1 2 by 1"]);
        let absent = other.blame(&"/no".parse().expect("a pointer"), None, ALL);
        assert!(matches!(absent, Err(ReadError::NotFound(_))));
    }

    #[test]
    fn losing_values_stand_beneath_the_one_shown() {
        let mut here = Document::new();
        let (_, bytes) = edit(&mut here, 1, &put(r#"{"a": 1}"#));
        let mut there = Document::new();
        assert!(there.apply(&[&bytes]).is_empty());
        edit(&mut here, 1, &set("/a", Json::Integer(2)));
        let (_, bytes) = edit(&mut there, 2, &set("/a", Json::Integer(3)));
        assert!(here.apply(&[&bytes]).is_empty());
        let page = here.blame(&Pointer::root(), None, ALL).expect("sound");
        assert_eq!(told(&page), ["/a 3 by 2 2 by 1"]);
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let mut document = Document::new();
        let items: Vec<_> = (0..25).map(|n| format!("[{n}, {{\"k\": {n}}}]")).collect();
        edit(&mut document, 1, &put(&format!(r#"{{"l": [{}]}}"#, items.join(","))));
        let whole = document.blame(&Pointer::root(), None, ALL).expect("sound");
        assert_eq!((whole.values.len(), whole.next), (50, None));
        let mut gathered = Vec::new();
        let mut skip = Some(0);
        while let Some(from) = skip {
            let range = BlameRange { skip: from, limit: 7, weight: 1 << 20 };
            let page = document.blame(&Pointer::root(), None, range).expect("sound");
            assert!(page.values.len() <= 7);
            gathered.extend(page.values);
            skip = page.next;
        }
        assert_eq!(gathered, whole.values);
        let light = BlameRange { skip: 0, limit: 1_000, weight: 1 };
        let page = document.blame(&Pointer::root(), None, light).expect("sound");
        assert_eq!((page.values.len(), page.next), (1, Some(1)));
    }

    #[test]
    fn a_text_names_the_author_of_each_stretch() {
        let mut here = Document::new();
        let (_, bytes) = edit(&mut here, 1, &put(r#"{"t": {"$text": "good day"}}"#));
        let mut there = Document::new();
        assert!(there.apply(&[&bytes]).is_empty());
        let pointer: Pointer = "/t".parse().expect("a pointer");
        edit(
            &mut there,
            2,
            &Edit::Splice { pointer: pointer.clone(), at: 4, delete: 0, insert: " old".into() },
        );
        let page = there.blame(&pointer, None, ALL).expect("sound");
        let parts: Vec<_> =
            page.values[0].parts.iter().map(|part| (part.text.as_str(), part.actor.0[0])).collect();
        assert_eq!(parts, [("good", 1), (" old", 2), (" day", 1)]);
        assert_eq!(here.blame(&pointer, None, ALL).expect("sound").values[0].parts, []);
    }
}
