//! 3. No acknowledged write is lost: it is in its document, or quarantined with a reason.

use std::collections::BTreeSet;

use super::Finding;

/// What became of one acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its number.
    pub number: u64,
    /// Who wrote it.
    pub author: usize,
    /// In which document.
    pub document: String,
    /// When it was acknowledged.
    pub acknowledged: u64,
    /// Whether its author holds it.
    pub at_author: bool,
    /// How many honest nodes hold it.
    pub holders: usize,
    /// It went with a disk that was destroyed, and nobody honest holds it.
    pub excused: bool,
}

/// A write that is gone.
pub fn check(fate: &Fate) -> Option<Finding> {
    if fate.excused || (fate.at_author && fate.holders > 0) {
        return None;
    }
    let words = if fate.holders == 0 {
        format!("acknowledged write {} is nowhere any more", fate.number)
    } else {
        format!("acknowledged write {} is gone from the node that acknowledged it", fate.number)
    };
    Some(Finding::at(3, fate.author, words).in_document(&fate.document).since(fate.acknowledged))
}

/// Changes of one run that a node holds and does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Where.
    pub node: usize,
    /// In which document.
    pub document: String,
    /// The places of those among them that no reason was given for.
    pub without_reason: Vec<u64>,
}

/// A change that is held, not shown, and not quarantined with a reason either.
pub fn check_hidden(hidden: &Hidden) -> Option<Finding> {
    let seq = hidden.without_reason.first()?;
    let words = format!("holds change {seq} of an actor, does not show it and gives no reason");
    Some(Finding::at(3, hidden.node, words).in_document(&hidden.document))
}

/// A change that came to a node, of which the node says that it has it, and which it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// Where.
    pub node: usize,
    /// In which document.
    pub document: String,
    /// Who wrote it.
    pub author: usize,
    /// Its number.
    pub write: u64,
    /// The name of whoever sent it.
    pub from: String,
    /// What it rests on and the node did not hold yet: a write and the name of who wrote it.
    pub before: Option<(u64, String)>,
}

/// What vanished where a node vouched for it: nobody will send it again.
pub fn check_vanished(vanished: &Vanished) -> Finding {
    let Vanished { node, document, author, write, from, before } = vanished;
    let words = match before {
        Some((rests_on, by)) => format!(
            "received write {write} of {{other}} from {from} before write {rests_on} of {by}, on which it rests, \
             vouched for it and let it vanish: a lost orphan"
        ),
        None => {
            format!("received write {write} of {{other}} from {from}, vouched for it and does not hold it")
        }
    };
    Finding::at(3, *node, words).in_document(document).about(*author)
}

/// Where a write puts its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At this member of the map.
    Member(u64),
    /// As an item of the list.
    Item,
    /// As the whole text.
    Text,
}

/// An acknowledged write whose change a node shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Where its value is.
    pub place: Place,
    /// Its value, which no other write has.
    pub value: String,
    /// A later write that the node shows as well was made knowing this one, in the same place.
    pub replaced: bool,
    /// Its node's disk was destroyed or set back, so that a repeated request may have done it twice.
    pub may_repeat: bool,
}

/// A document as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Where.
    pub node: usize,
    /// Which document.
    pub document: String,
    /// Its JSON.
    pub json: serde_json::Value,
    /// The acknowledged writes it is to show.
    pub effects: Vec<Effect>,
    /// Values of writes without an answer: each may be there or not.
    pub perhaps: Vec<(Place, String)>,
    /// Everything that anybody was asked to write there.
    pub asked: BTreeSet<(Place, String)>,
}

/// A document that shows less than its history says.
pub fn check_shown(reading: &Reading) -> Vec<Finding> {
    let found = |words: String| Finding::at(3, reading.node, words).in_document(&reading.document);
    let mut findings = Vec::new();
    let items: Vec<&str> = reading
        .json
        .get("list")
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str())
        .collect();
    findings.extend(invented(reading, &items).map(found));
    let mut places: Vec<Place> = reading.effects.iter().map(|effect| effect.place).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        match place {
            Place::Item => {
                let listed = reading.effects.iter().filter(|effect| effect.place == Place::Item);
                for effect in listed {
                    let times = items.iter().filter(|item| **item == effect.value).count();
                    if times != 1 && !(times > 1 && effect.may_repeat) {
                        let value = &effect.value;
                        findings.push(found(format!("lists the acknowledged item {value:?} {times} times")));
                    }
                }
            }
            Place::Member(_) | Place::Text => findings.extend(not_among(reading, place).map(found)),
        }
    }
    findings
}

/// Something that the document shows and nobody was asked to write.
fn invented(reading: &Reading, items: &[&str]) -> Option<String> {
    let members = reading.json.get("map").and_then(|map| map.as_object()).into_iter().flatten();
    let members = members.filter_map(|(name, value)| {
        let member = name.strip_prefix('k')?.parse().ok()?;
        Some((Place::Member(member), value.as_str()?))
    });
    let mut shown = items.iter().map(|item| (Place::Item, *item)).chain(members);
    let (_, value) = shown.find(|(place, value)| !reading.asked.contains(&(*place, (*value).to_owned())))?;
    Some(format!("shows {value:?}, which nobody was asked to write there"))
}

/// What is wrong with a place that holds one value: it must be of a write that no other replaced.
fn not_among(reading: &Reading, place: Place) -> Option<String> {
    let here = reading.effects.iter().filter(|effect| effect.place == place && !effect.replaced);
    let mut may_be: Vec<&str> = here.map(|effect| effect.value.as_str()).collect();
    let certain = may_be.len();
    let perhaps = reading.perhaps.iter().filter(|(at, _)| *at == place);
    may_be.extend(perhaps.map(|(_, value)| value.as_str()));
    let (name, shown) = match place {
        Place::Member(member) => {
            (format!("map/k{member}"), reading.json.get("map").and_then(|map| map.get(format!("k{member}"))))
        }
        // Concurrent texts are interleaved: only one that nobody disputes can be told.
        _ if may_be.len() > 1 => return None,
        _ => ("text".to_owned(), reading.json.get("text")),
    };
    let shown = shown.and_then(|shown| shown.get("$text").unwrap_or(shown).as_str());
    match shown {
        Some(shown) if may_be.contains(&shown) => None,
        Some(shown) => {
            Some(format!("shows {shown:?} at {name}, which is none of the last acknowledged writes"))
        }
        None if certain == 0 => None,
        None => Some(format!("shows nothing at {name}, where {:?} was acknowledged", may_be[0])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_write_that_is_gone_is_found_unless_its_disks_are() {
        let fate = Fate {
            number: 1,
            author: 0,
            document: "d".into(),
            acknowledged: 5,
            at_author: true,
            holders: 3,
            excused: false,
        };
        assert_eq!(check(&fate), None);
        let gone = Fate { at_author: false, holders: 0, ..fate.clone() };
        assert!(check(&gone).is_some());
        assert!(check(&Fate { at_author: false, ..fate }).is_some());
        assert_eq!(check(&Fate { excused: true, ..gone }), None);
    }

    #[test]
    fn a_change_hidden_without_a_reason_is_found() {
        let hidden = Hidden { node: 0, document: "d".into(), without_reason: Vec::new() };
        assert_eq!(check_hidden(&hidden), None);
        assert!(check_hidden(&Hidden { without_reason: vec![4], ..hidden }).is_some());
    }

    #[test]
    fn a_change_that_vanished_is_told_with_where_it_came_from_and_what_it_rests_on() {
        let vanished = Vanished {
            node: 2,
            document: "d".into(),
            author: 0,
            write: 41,
            from: "node-1".into(),
            before: Some((40, "node-3".into())),
        };
        let found = check_vanished(&vanished);
        assert_eq!((found.node, found.other), (Some(2), Some(0)));
        assert!(found.words.contains("from node-1 before write 40 of node-3"), "{}", found.words);
        let whole = check_vanished(&Vanished { before: None, ..vanished });
        assert!(whole.words.contains("does not hold it"), "{}", whole.words);
    }

    fn effect(place: Place, value: &str, replaced: bool) -> Effect {
        Effect { place, value: value.into(), replaced, may_repeat: false }
    }

    fn reading(json: serde_json::Value) -> Reading {
        let effects = vec![
            effect(Place::Member(1), "old", true),
            effect(Place::Member(1), "new", false),
            effect(Place::Member(1), "rival", false),
            effect(Place::Item, "one", false),
            effect(Place::Item, "two", false),
            effect(Place::Text, "words", false),
        ];
        let asked = effects.iter().map(|effect| (effect.place, effect.value.clone()));
        let asked = asked.chain([(Place::Member(1), "late".to_owned())]).collect();
        Reading { node: 0, document: "d".into(), json, effects, perhaps: Vec::new(), asked }
    }

    #[test]
    fn a_document_that_shows_every_last_write_is_sound() {
        let json = json!({"map": {"k1": "rival"}, "list": ["two", "one"], "text": {"$text": "words"}});
        assert_eq!(check_shown(&reading(json)), []);
    }

    #[test]
    fn a_write_that_a_document_does_not_show_is_found() {
        for wrong in [
            json!({"map": {"k1": "old"}, "list": ["one", "two"], "text": {"$text": "words"}}),
            json!({"map": {}, "list": ["one", "two"], "text": {"$text": "words"}}),
            json!({"map": {"k1": "new"}, "list": ["one"], "text": {"$text": "words"}}),
            json!({"map": {"k1": "new"}, "list": ["one", "two", "one"], "text": {"$text": "words"}}),
            json!({"map": {"k1": "new"}, "list": ["one", "two"], "text": {"$text": ""}}),
        ] {
            assert_eq!(check_shown(&reading(wrong.clone())).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn something_that_nobody_wrote_is_found() {
        let sound = json!({"map": {"k1": "new"}, "list": ["one", "two"], "text": {"$text": "words"}});
        for (place, value) in [("/map/k7", "new"), ("/list/2", "three")] {
            let mut wrong = sound.clone();
            match place.rsplit_once('/') {
                Some(("/map", member)) => wrong["map"][member] = json!(value),
                _ => wrong["list"].as_array_mut().expect("a list").push(json!(value)),
            }
            let found = check_shown(&reading(wrong));
            assert!(found.iter().any(|found| found.words.contains("nobody was asked")), "{place}: {found:?}");
        }
    }

    #[test]
    fn a_write_without_an_answer_may_be_there_or_not() {
        let perhaps = vec![(Place::Member(1), "late".to_owned())];
        for value in ["late", "new"] {
            let json = json!({"map": {"k1": value}, "list": ["one", "two"], "text": {"$text": "words"}});
            assert_eq!(check_shown(&Reading { perhaps: perhaps.clone(), ..reading(json) }), []);
        }
    }
}
