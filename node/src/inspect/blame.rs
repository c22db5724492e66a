//! Who wrote each value of a document.

use std::collections::BTreeMap;

use starling_api::{
    Code,
    past::{BlameItem, BlamePage, BlameQuery, TextPart, WrittenValue},
};
use starling_crdt::{
    document::{self, BlameRange, ConflictValue, Document, Pointer},
    id::{ChangeHash, DocumentName},
    view::Witness,
};

use super::{
    Inspected, Inspector, PAGE_BYTES_MAX, broken, heads_of, moment, page_items, people::Writers, plain,
    problem, unread, unreadable,
};

impl Inspector<'_> {
    /// One page of a document's values, each with who wrote it.
    ///
    /// # Errors
    /// A problem, when the document, the pointer or the heads are unknown.
    pub fn blame(&mut self, name: &DocumentName, query: &BlameQuery) -> Inspected<BlamePage> {
        let pointer = query.pointer.as_deref().unwrap_or_default().parse::<Pointer>();
        let pointer = pointer.map_err(|error| problem(Code::BadPointer, error.to_string()))?;
        query.at.as_deref().map_or(Ok(()), moment::check)?;
        let mut witness = self.reader.witness(self.space).map_err(|fault| unread(&fault))?;
        let seen = self.reader.view(self.space, name, |view, known| {
            if known.deleted && query.at.is_none() {
                return Err(super::deleted(name));
            }
            self.blame_of(view.document(), name, &pointer, query, &mut witness)
        });
        let (page, poison) = seen.map_err(|fault| unread(&fault))?;
        if !poison.is_empty() {
            self.unbuilt.push((name.clone(), poison));
        }
        page
    }

    fn blame_of(
        &self,
        document: &Document,
        name: &DocumentName,
        pointer: &Pointer,
        query: &BlameQuery,
        witness: &mut Witness<'_>,
    ) -> Inspected<BlamePage> {
        let at = query.at.as_deref().map(|text| moment::heads(document, text)).transpose()?;
        let range = BlameRange {
            skip: query.skip.map_or(0, |skip| usize::try_from(skip).unwrap_or(usize::MAX)),
            limit: page_items(query.limit),
            weight: PAGE_BYTES_MAX,
        };
        let page = document.blame(pointer, at.as_deref(), range).map_err(|error| unreadable(&error))?;
        let writers = self.writers(document, name, &page, witness)?;
        let items = page.values.iter().map(|blamed| item(blamed, &writers)).collect::<Inspected<_>>()?;
        let heads = heads_of(&at.unwrap_or_else(|| document.heads()));
        Ok(BlamePage { heads, items, next: page.next.map(|next| next as u64) })
    }

    /// Who made the changes named in a page, each checked.
    fn writers(
        &self,
        document: &Document,
        name: &DocumentName,
        page: &document::BlamePage,
        witness: &mut Witness<'_>,
    ) -> Inspected<Writers> {
        let values = page.values.iter().flat_map(|blamed| {
            let values = std::iter::once(&blamed.shown).chain(&blamed.hidden).map(|value| value.change);
            values.chain(blamed.parts.iter().map(|part| part.change))
        });
        let mut changes = BTreeMap::<ChangeHash, _>::new();
        for hash in values {
            changes.extend(document.change(&hash).map(|change| (hash, change)));
        }
        let signed = witness.signed(name, changes.values().copied()).map_err(|error| broken(&error))?;
        let writer = |(hash, signed): (&ChangeHash, &starling_crdt::view::SignedChange)| {
            Some((*hash, self.writer(changes.get(hash)?, signed.author)))
        };
        Ok(Writers(signed.iter().filter_map(writer).collect()))
    }
}

fn item(blamed: &document::Blamed, writers: &Writers) -> Inspected<BlameItem> {
    let part = |part: &document::TextPart| {
        Ok(TextPart { text: part.text.clone(), writer: writers.of(&part.change)? })
    };
    Ok(BlameItem {
        pointer: blamed.pointer.to_string(),
        shown: written(&blamed.shown, writers)?,
        hidden: blamed.hidden.iter().map(|value| written(value, writers)).collect::<Inspected<_>>()?,
        parts: blamed.parts.iter().map(part).collect::<Inspected<_>>()?,
    })
}

fn written(value: &ConflictValue, writers: &Writers) -> Inspected<WrittenValue> {
    let json = value.value.as_ref().map_or(Ok(serde_json::Value::Null), plain)?;
    Ok(WrittenValue { value: json, writer: writers.of(&value.change)? })
}
