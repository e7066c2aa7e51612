//! Where in a text the values lie that an edit is about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;

use super::super::error::JsonError;
use super::super::{Kind, Span, Step, Trail, Visitor, scan};
use super::token::Token;
use crate::limits::SCENARIO_MAX_BYTES;

/// A text, as far as a pattern asks for it.
pub(super) struct Outline<'t> {
    pub(super) root: Value<'t>,
    /// How deep arrays and objects nest in it.
    pub(super) levels: usize,
}

/// A value and where it is.
pub(super) struct Value<'t> {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// How many values it is, with all that are inside of it.
    pub(super) nodes: usize,
    /// Of arrays and objects.
    pub(super) inside: Option<Box<Inside<'t>>>,
}

/// What matters of the inside of an array or object.
#[derive(Default)]
pub(super) struct Inside<'t> {
    /// The members that the pattern asks for, in the order of the text.
    pub(super) members: Vec<Member<'t>>,
    /// With [`Pattern::All`]: which member counts for a key.
    keys: BTreeMap<Cow<'t, [u8]>, usize>,
    /// How many members there are, asked for or not.
    pub(super) count: usize,
    /// The last of them.
    pub(super) last: Option<Place>,
}

/// Where a member is. An element of an array has an empty key right before it.
pub(super) struct Place {
    pub(super) key: Span,
    pub(super) value: Span,
}

/// A member that the pattern asks for.
pub(super) struct Member<'t> {
    pub(super) key: Span,
    /// With [`Pattern::Patch`]: which member of the patch it belongs to.
    pub(super) tag: usize,
    /// With [`Pattern::All`]: a later one has the same key.
    pub(super) shadowed: bool,
    pub(super) value: Value<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn object(&self) -> Option<&Inside<'t>> {
        self.inside.as_deref().filter(|_| self.kind == Kind::Object)
    }

    /// The member that counts of those that a pointer leads to.
    pub(super) fn last_member(&self) -> Option<&Member<'t>> {
        self.inside.as_ref()?.members.last()
    }

    pub(super) fn count(&self) -> usize {
        self.inside.as_ref().map_or(0, |inside| inside.count)
    }
}

/// Which values matter, inside of the array or object at hand.
#[derive(Clone, Copy)]
pub(super) enum Pattern<'p> {
    /// All members of objects, and of the objects in them. What is inside of arrays does not matter.
    All,
    /// Those that this object, part of a patch, has too.
    Patch(&'p Inside<'p>),
    /// The one that this path leads to.
    Path(&'p [Token<'p>]),
}

/// A member that the pattern asks for, with what it asks for inside of it.
struct Hit<'p> {
    tag: usize,
    inner: Option<Pattern<'p>>,
}

impl<'p> Pattern<'p> {
    fn key(self, key: &[u8]) -> Option<Hit<'p>> {
        match self {
            Self::All => Some(Hit { tag: 0, inner: Some(Self::All) }),
            Self::Patch(patch) => {
                let tag = *patch.keys.get(key)?;
                let inner = patch.members.get(tag)?.value.object().map(Self::Patch);
                Some(Hit { tag, inner })
            }
            Self::Path(path) => {
                let (token, rest) = path.split_first()?;
                (token.text.as_bytes() == key).then(|| Self::rest(rest))
            }
        }
    }

    fn index(self, index: usize) -> Option<Hit<'p>> {
        match self {
            Self::All | Self::Patch(_) => None,
            Self::Path(path) => {
                let (token, rest) = path.split_first()?;
                (token.index == Some(index)).then(|| Self::rest(rest))
            }
        }
    }

    fn rest(rest: &'p [Token<'p>]) -> Hit<'p> {
        Hit { tag: 0, inner: (!rest.is_empty()).then_some(Self::Path(rest)) }
    }
}

/// Walks a text and notes what the pattern asks for.
pub(super) fn outline<'t>(text: &'t str, pattern: Option<Pattern<'_>>) -> Result<Outline<'t>, JsonError> {
    if text.len() > SCENARIO_MAX_BYTES {
        return Err(JsonError::too_large(text.len()));
    }
    let root = Value { kind: Kind::Null, span: 0..0, nodes: 0, inside: None };
    let outline = Outline { root, levels: 0 };
    let mut outliner = Outliner { text, pattern, open: Vec::new(), nodes: 0, outline };
    scan(text, &mut outliner)?;
    Ok(outliner.outline)
}

struct Outliner<'t, 'p> {
    text: &'t str,
    pattern: Option<Pattern<'p>>,
    /// The arrays and objects at hand that the pattern asks for: an unbroken chain from the top.
    open: Vec<Open<'t, 'p>>,
    /// How many values are complete.
    nodes: usize,
    outline: Outline<'t>,
}

/// An array or object that is not complete yet.
struct Open<'t, 'p> {
    depth: usize,
    pattern: Option<Pattern<'p>>,
    tag: usize,
    /// How many values were complete when it began.
    nodes: usize,
    inside: Box<Inside<'t>>,
}

impl Visitor for Outliner<'_, '_> {
    fn open(&mut self, trail: &Trail<'_>, _: Kind) {
        let depth = trail.depth();
        self.outline.levels = self.outline.levels.max(depth + 1);
        if let Some(Hit { tag, inner }) = self.hit(trail) {
            self.open.push(Open { depth, pattern: inner, tag, nodes: self.nodes, inside: Box::default() });
        }
    }

    fn value(&mut self, trail: &Trail<'_>, kind: Kind, span: Span) {
        let depth = trail.depth();
        let mut nodes = 1;
        let (tag, inside) = match kind {
            Kind::Array | Kind::Object => match self.open.pop_if(|open| open.depth == depth) {
                Some(open) => {
                    nodes += self.nodes - open.nodes;
                    (Some(open.tag), Some(open.inside))
                }
                None => (None, None),
            },
            _ => (self.hit(trail).map(|hit| hit.tag), None),
        };
        self.nodes += 1;
        let value = Value { kind, span, nodes, inside };
        let Some(step) = trail.step() else {
            self.outline.root = value;
            return;
        };
        let Some(parent) = self.open.last_mut().filter(|open| open.depth + 1 == depth) else { return };
        let key = match step {
            Step::Key(key) => key.clone(),
            Step::Index(_) => value.span.start..value.span.start,
        };
        let inside = &mut parent.inside;
        inside.count += 1;
        inside.last = Some(Place { key: key.clone(), value: value.span.clone() });
        let Some(tag) = tag else { return };
        if matches!(parent.pattern, Some(Pattern::All)) {
            let name = key_of(self.text.get(key.clone()).unwrap_or_default());
            let earlier = inside.keys.insert(name, inside.members.len());
            if let Some(earlier) = earlier.and_then(|earlier| inside.members.get_mut(earlier)) {
                earlier.shadowed = true;
            }
        }
        inside.members.push(Member { key, tag, shadowed: false, value });
    }
}

impl<'p> Outliner<'_, 'p> {
    /// Whether the pattern asks for the value at hand.
    fn hit(&self, trail: &Trail<'_>) -> Option<Hit<'p>> {
        let Some(step) = trail.step() else { return Some(Hit { tag: 0, inner: self.pattern }) };
        let parent = self.open.last().filter(|open| open.depth + 1 == trail.depth())?;
        match (parent.pattern?, step) {
            (pattern @ Pattern::All, Step::Key(_)) => pattern.key(b""), // no need to read it here
            (pattern, Step::Key(key)) => pattern.key(&key_of(trail.text(key.clone()))),
            (pattern, Step::Index(index)) => pattern.index(*index),
        }
    }
}

/// What a key stands for. A lone surrogate stands for its code point (as bytes: WTF-8), so that keys are equal just if
/// their UTF-16 is.
fn key_of(quoted: &str) -> Cow<'_, [u8]> {
    struct Bytes;
    impl serde::de::Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }

    let plain = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted).as_bytes();
    if !plain.contains(&b'\\') {
        return Cow::Borrowed(plain);
    }
    let bytes = serde_json::Deserializer::from_str(quoted).deserialize_bytes(Bytes);
    bytes.map_or(Cow::Borrowed(plain), Cow::Owned)
}
