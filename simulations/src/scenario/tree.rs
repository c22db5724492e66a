//! A TOML file as a tree that remembers where each value stands.
//!
//! What this is for: complaints that name file, line and column even after several files were merged.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Rc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// One thing that is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what would be right.
    pub words: String,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A value; in a table each key has its own place.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, (Place, Node)>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

impl Place {
    /// The beginning of a file.
    pub fn start(file: &str) -> Self {
        Self { file: file.into(), line: 1, column: 1 }
    }

    pub(crate) fn complain(&self, words: impl Into<String>) -> Complaint {
        Complaint { place: self.clone(), words: words.into() }
    }
}

/// A text being read: turns byte offsets into places.
struct Source<'a> {
    file: Rc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { file: self.file.clone(), line, column }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Result<Node, Complaint> {
        let place = self.place(value.span().start);
        let number = |text: &str| text.replace('_', "").parse::<f64>().ok();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(whole) => {
                let digits = whole.as_str().replace('_', "");
                let read = i64::from_str_radix(&digits, whole.radix());
                Value::Whole(read.map_err(|_| place.complain("this number is too large"))?)
            }
            DeValue::Float(float) => {
                let read = number(float.as_str()).filter(|read| read.is_finite());
                Value::Number(read.ok_or_else(|| place.complain("this is not a finite number"))?)
            }
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(_) => {
                return Err(
                    place.complain("a date has no meaning here: times count from the start, as \"90s\"")
                );
            }
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table)?,
        };
        Ok(Node { place, value })
    }

    fn table(&self, table: &DeTable<'_>) -> Result<Value, Complaint> {
        let mut members = BTreeMap::new();
        for (key, value) in table.iter() {
            let place = self.place(key.span().start);
            members.insert(key.get_ref().to_string(), (place, self.node(value)?));
        }
        Ok(Value::Table(members))
    }
}

/// Lists of tables in a scenario.
const LISTS: [&str; 3] = ["fault", "group", "network.link"];

/// The list whose next table this line begins with one pair of brackets instead of two.
fn single_header(text: &str, line: usize) -> Option<&'static str> {
    let line = text.lines().nth(line.checked_sub(1)?)?.split('#').next()?.trim();
    let name = line.strip_prefix('[')?.strip_suffix(']')?.trim();
    LISTS.into_iter().find(|list| *list == name)
}

/// The header under which a member of this name stands in a list of tables: `[[fault]]`.
pub(crate) fn list_header(key: &str) -> String {
    let list = LISTS.into_iter().find(|list| list.rsplit('.').next() == Some(key)).unwrap_or(key);
    format!("[[{list}]]")
}

/// Reads a file's text.
pub(crate) fn read(file: &str, text: &str) -> Result<Node, Complaint> {
    let source = Source { file: file.into(), text };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let place = source.place(offset);
        match single_header(text, place.line) {
            Some(list) => place.complain(format!("this is one of a list of tables: write [[{list}]]")),
            None => place.complain(format!("this is not TOML: {}", error.message())),
        }
    })?;
    Ok(Node { place: Place::start(file), value: source.table(table.get_ref())? })
}

impl Node {
    /// A member of a table.
    pub(crate) fn member(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(members) => members.get(key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The node at a path of keys and indices, or the deepest one on the way.
    pub(crate) fn at(&self, path: &[&str]) -> &Node {
        let Some((first, rest)) = path.split_first() else { return self };
        let next = match &self.value {
            Value::Table(members) => members.get(*first).map(|(_, node)| node),
            Value::List(items) => first.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        next.map_or(self, |node| node.at(rest))
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Without places, for serde.
    pub(crate) fn plain(&self) -> toml::Value {
        match &self.value {
            Value::Text(text) => toml::Value::String(text.clone()),
            Value::Whole(whole) => toml::Value::Integer(*whole),
            Value::Number(number) => toml::Value::Float(*number),
            Value::Flag(flag) => toml::Value::Boolean(*flag),
            Value::List(items) => toml::Value::Array(items.iter().map(Node::plain).collect()),
            Value::Table(members) => {
                let plain = members.iter().map(|(key, (_, node))| (key.clone(), node.plain()));
                toml::Value::Table(plain.collect())
            }
        }
    }

    /// This file over the one it extends: tables merge member by member, groups by name, faults and
    /// links are added to those of the base, anything else replaces.
    pub(crate) fn over(self, base: Node) -> Node {
        let place = self.place.clone();
        let value = match (self.value, base.value) {
            (Value::Table(own), Value::Table(mut merged)) => {
                for (key, (key_place, node)) in own {
                    let below = merged.remove(&key).map(|(_, below)| below);
                    let node = match (key.as_str(), below) {
                        ("group", Some(below)) => node.groups_over(below),
                        ("fault" | "link", Some(below)) => node.after(below),
                        (_, Some(below)) => node.over(below),
                        (_, None) => node,
                    };
                    merged.insert(key, (key_place, node));
                }
                Value::Table(merged)
            }
            (own, _) => own,
        };
        Node { place, value }
    }

    fn after(self, base: Node) -> Node {
        let value = match (self.value, base.value) {
            (Value::List(own), Value::List(mut all)) => {
                all.extend(own);
                Value::List(all)
            }
            (own, _) => own,
        };
        Node { place: self.place, value }
    }

    fn groups_over(self, base: Node) -> Node {
        let place = self.place.clone();
        let (Value::List(own), Value::List(mut all)) = (self.value.clone(), base.value.clone()) else {
            return self;
        };
        for group in own {
            let name = group.member("name").and_then(Node::text).map(str::to_owned);
            let same = |other: &&mut Node| {
                name.is_some() && other.member("name").and_then(Node::text) == name.as_deref()
            };
            match all.iter_mut().find(same) {
                Some(below) => *below = group.over(below.clone()),
                None => all.push(group),
            }
        }
        Node { place, value: Value::List(all) }
    }
}

impl Node {
    /// The file without the word that says what it extends, once that was followed.
    pub(crate) fn without_extends(mut self) -> Node {
        if let Value::Table(members) = &mut self.value {
            members.remove("extends");
        }
        self
    }
}
