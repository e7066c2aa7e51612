//! The scanner: one pass over a JSON text that tells a visitor about every value.

use std::borrow::Cow;
use std::ops::Range;

use super::error::{Fault, JsonError};
use crate::limits::{JSON_MAX_DEPTH, JSON_MAX_NODES};

/// A range of bytes in the text.
pub(crate) type Span = Range<usize>;

/// A path longer than this is cut off when it is written out: a document with long keys and many references must not
/// become larger by naming them.
const PATH_MAX_BYTES: usize = 512;

/// A key longer than this, as it is spelled, is none that we look for. Keys are asked for at every value below them, so
/// their length must not count there.
const KEY_MAX_BYTES: usize = 128;

/// What kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

/// Is told about every value of a document, in the order of the text.
pub(crate) trait Visitor {
    /// An array or object begins.
    fn open(&mut self, _trail: &Trail<'_>, _kind: Kind) {}

    /// A value is complete. The span of a text includes its quotes.
    fn value(&mut self, _trail: &Trail<'_>, _kind: Kind, _span: Span) {}
}

/// The way from the top of the document to the value at hand.
#[derive(Debug)]
pub(crate) struct Trail<'a> {
    text: &'a str,
    frames: Vec<Frame>,
}

/// An array or object that is open.
#[derive(Debug)]
struct Frame {
    opened: usize,
    step: Step,
}

/// Which value of an array or object is at hand.
#[derive(Debug)]
pub(crate) enum Step {
    /// In an object: the span of the key, with its quotes.
    Key(Span),
    /// In an array.
    Index(usize),
}

impl<'a> Trail<'a> {
    /// How many keys and indices lead to the value: 0 for the document itself.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// The key at a level, decoded; `None` in an array, and for keys that are too long to be one we look for.
    pub(crate) fn key(&self, level: usize) -> Option<Cow<'a, str>> {
        match &self.frames.get(level)?.step {
            Step::Key(span) if span.len() <= KEY_MAX_BYTES => self.text.get(span.clone()).map(decode),
            _ => None,
        }
    }

    /// What leads from the array or object around the value to the value; `None` for the document itself.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.frames.last().map(|frame| &frame.step)
    }

    /// The text of a value.
    pub(crate) fn text(&self, span: Span) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// The path in writing, like `model.items[3].name`. A key that is no plain word stands in brackets.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match &frame.step {
                Step::Key(span) if span.is_empty() => break, // the key itself has not been read yet
                Step::Key(span) => {
                    let quoted = self.text(span.clone());
                    // No more than can be shown, and a little, by which it shows that there is more.
                    let end = quoted.floor_char_boundary(PATH_MAX_BYTES + 2);
                    let quoted = quoted.get(..end).unwrap_or(quoted);
                    let key = quoted.trim_matches('"');
                    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'$';
                    if !key.is_empty() && key.bytes().all(word) {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(key);
                    } else {
                        path.push('[');
                        path.extend(quoted.chars().flat_map(visible));
                        path.push(']');
                    }
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
            if path.len() > PATH_MAX_BYTES {
                path.truncate(path.floor_char_boundary(PATH_MAX_BYTES));
                path.push('…');
                break;
            }
        }
        path
    }
}

/// JSON escapes the controls below 0x20 itself; this hides what else would act on a terminal.
pub(super) fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = (!hidden).then_some(c);
    plain.into_iter().chain(hidden.then(|| c.escape_unicode()).into_iter().flatten())
}

/// The text that a JSON string stands for. One that stands for no text (a lone surrogate) stays as it is spelled.
pub(crate) fn decode(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// Walks a whole document.
pub(crate) fn scan<V: Visitor>(text: &str, visitor: &mut V) -> Result<(), JsonError> {
    let trail = Trail { text, frames: Vec::with_capacity(8) }; // real scenarios reach 6
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, nodes: 0, trail, visitor };
    match scanner.document() {
        Ok(()) => Ok(()),
        Err(fault) => Err(JsonError::found(text, scanner.at, scanner.trail.path(), fault)),
    }
}

/// Invariant: `at` is where the next token, or the fault, is.
struct Scanner<'a, 'v, V> {
    bytes: &'a [u8],
    at: usize,
    nodes: usize,
    trail: Trail<'a>,
    visitor: &'v mut V,
}

impl<V: Visitor> Scanner<'_, '_, V> {
    fn document(&mut self) -> Result<(), Fault> {
        self.space();
        loop {
            let inside = self.value()?;
            if !inside && !self.advance()? {
                break;
            }
        }
        if self.at < self.bytes.len() { Err(Fault::Expected("nothing more")) } else { Ok(()) }
    }

    /// Reads a scalar or an empty array or object, or steps inside one that is not empty (then true).
    fn value(&mut self) -> Result<bool, Fault> {
        self.nodes += 1;
        if self.nodes > JSON_MAX_NODES {
            return Err(Fault::TooManyNodes);
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => {
                self.string()?;
                Kind::Text
            }
            Some(b'{') => return self.open(Kind::Object, b'}'),
            Some(b'[') => return self.open(Kind::Array, b']'),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b't') => {
                self.literal(b"true")?;
                Kind::Bool
            }
            Some(b'f') => {
                self.literal(b"false")?;
                Kind::Bool
            }
            Some(b'n') => {
                self.literal(b"null")?;
                Kind::Null
            }
            _ => return Err(Fault::Expected("a value")),
        };
        self.visitor.value(&self.trail, kind, start..self.at);
        Ok(false)
    }

    fn open(&mut self, kind: Kind, closer: u8) -> Result<bool, Fault> {
        if self.trail.frames.len() == JSON_MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.visitor.open(&self.trail, kind);
        let opened = self.at;
        self.at += 1;
        self.space();
        if self.peek() == Some(closer) {
            self.at += 1;
            self.visitor.value(&self.trail, kind, opened..self.at);
            return Ok(false);
        }
        let step = if kind == Kind::Object { Step::Key(0..0) } else { Step::Index(0) };
        self.trail.frames.push(Frame { opened, step });
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: closes what ends here and moves on to the next value. False at the end of the document.
    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            self.space();
            let next = self.peek();
            let Some(frame) = self.trail.frames.last_mut() else { return Ok(false) };
            let kind = match (&mut frame.step, next) {
                (Step::Index(index), Some(b',')) => {
                    *index += 1;
                    self.at += 1;
                    self.space();
                    return Ok(true);
                }
                (step @ Step::Key(_), Some(b',')) => {
                    *step = Step::Key(0..0);
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(true);
                }
                (Step::Index(_), Some(b']')) => Kind::Array,
                (Step::Key(_), Some(b'}')) => Kind::Object,
                (Step::Index(_), _) => return Err(Fault::Expected("`,` or `]`")),
                (Step::Key(_), _) => return Err(Fault::Expected("`,` or `}`")),
            };
            let opened = frame.opened;
            self.at += 1;
            self.trail.frames.pop();
            self.visitor.value(&self.trail, kind, opened..self.at);
        }
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::Expected("a key in quotes"));
        }
        let start = self.at;
        self.string()?;
        if let Some(frame) = self.trail.frames.last_mut() {
            frame.step = Step::Key(start..self.at);
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err(Fault::Expected("`:`"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Reads a string: `at` is on its opening quote.
    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at += plain_text(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Fault::Expected("an escape like `\\n` for a control character")),
                None => return Err(Fault::Expected("the closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return Err(Fault::Expected("four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(Fault::Expected("an escape (one of \" \\ / b f n r t u)")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Fault::Expected("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            self.at = self.bytes.len(); // cut off, which is another fault than misspelled
        }
        Err(Fault::Expected("a value"))
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

/// How many bytes from the start are plain text: no quote, no backslash, no control character. Strings are most of a
/// scenario, so eight bytes are tested at a time.
fn plain_text(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The high bit of each byte that is zero. A borrow can only spoil the bytes above the lowest hit, and the lowest
    // is the one that is used.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;

    let mut length = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = zeros(word ^ (ONES * u64::from(b'"')));
        let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hits = quote | backslash | control;
        if hits != 0 {
            return length + hits.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length + rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len())
}
