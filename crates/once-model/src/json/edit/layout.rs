//! How new members are spaced: like those that are there.

use std::borrow::Cow;
use std::ops::Range;

use super::super::{Kind, Span};
use super::outline::{Inside, Member, Place, Value};
use crate::limits::JSON_LAYOUT_MAX_BYTES;

/// What stands around new members.
pub(super) struct Layout<'t> {
    /// Before the first of an empty array or object.
    pub(super) lead: Cow<'t, str>,
    /// Between two members, with the comma.
    pub(super) between: Cow<'t, str>,
    /// Between key and value.
    pub(super) colon: &'t str,
    /// After the last of an empty array or object.
    pub(super) tail: Cow<'t, str>,
}

/// The member that an array or object is the value of.
#[derive(Clone)]
pub(super) struct Holder {
    key: Span,
    value: usize,
    /// The bracket that closes what holds it.
    close: usize,
}

impl Holder {
    pub(super) fn new(around: &Value<'_>, member: &Member<'_>) -> Self {
        let close = around.span.end.saturating_sub(1);
        Self { key: member.key.clone(), value: member.value.span.start, close }
    }
}

impl<'t> Layout<'t> {
    /// How new members of an array or object are spaced.
    pub(super) fn of(text: &'t str, value: &Value<'_>, holder: Option<&Holder>) -> Self {
        let neighbour = value.inside.as_deref().and_then(|inside| Some((inside, inside.last.as_ref()?)));
        match neighbour {
            Some((inside, last)) => Self::beside(text, value, inside, last),
            None => Self::empty(text, value, holder),
        }
    }

    fn beside(text: &'t str, value: &Value<'_>, inside: &Inside<'_>, last: &Place) -> Self {
        let colon = colon(text, last.key.end..last.value.start, value.kind);
        let between = if inside.count > 1 {
            short(text, previous_end(text, last.key.start)..last.key.start).map_or(",".into(), Cow::Borrowed)
        } else {
            match short(text, value.span.start + 1..last.key.start) {
                Some("") => format!(",{}", after_colon(colon)).into(),
                Some(lead) => format!(",{lead}").into(),
                None => ",".into(),
            }
        };
        Self { lead: "".into(), between, colon, tail: "".into() }
    }

    fn empty(text: &'t str, value: &Value<'_>, holder: Option<&Holder>) -> Self {
        let inner = text.get(value.span.start + 1..value.span.end.saturating_sub(1)).unwrap_or_default();
        let lines = holder.and_then(|holder| Lines::of(text, holder));
        let colon = match holder {
            Some(holder) if !holder.key.is_empty() => colon(text, holder.key.end..holder.value, value.kind),
            _ if lines.is_some() || inner.contains('\n') => ": ",
            _ => ":",
        };
        let (lead, tail) = match (split_line(inner), lines) {
            // Its closing bracket stands on a line of its own already; the white space before it stays.
            (Some((end, indent)), lines) if inner.len() <= JSON_LAYOUT_MAX_BYTES => {
                let unit = lines.as_ref().map_or(unit(indent, ""), |lines| lines.unit);
                (format!("{end}{indent}{unit}").into(), "".into())
            }
            (None, Some(Lines { end, indent, unit })) if inner.is_empty() => {
                (format!("{end}{indent}{unit}").into(), format!("{end}{indent}").into())
            }
            (None, _) if !inner.is_empty() && inner.len() <= JSON_LAYOUT_MAX_BYTES => {
                (Cow::Borrowed(inner), "".into())
            }
            _ => (Cow::Borrowed(""), "".into()),
        };
        let between = match &*lead {
            "" => format!(",{}", after_colon(colon)).into(),
            lead => format!(",{lead}").into(),
        };
        Self { lead, between, colon, tail }
    }
}

/// The layout around a member that has a line of its own.
struct Lines<'t> {
    /// The line break.
    end: &'t str,
    indent: &'t str,
    /// By how much a level is indented.
    unit: &'t str,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str, holder: &Holder) -> Option<Self> {
        let (end, indent) = split_line(space_before(text, holder.key.start)?)?;
        let outer = split_line(space_before(text, holder.close)?).map_or("", |(_, outer)| outer);
        Some(Self { end, indent, unit: unit(indent, outer) })
    }
}

/// By how much a level is indented, if it is indented by `inner` and the one around it by `outer`.
fn unit<'t>(inner: &'t str, outer: &str) -> &'t str {
    match inner.strip_prefix(outer) {
        Some(unit) if !unit.is_empty() && !outer.is_empty() => unit,
        _ if inner.starts_with('\t') => "\t",
        _ if outer.is_empty() && (1..=8).contains(&inner.len()) => inner,
        _ => "  ",
    }
}

/// The last line break of white space, and what follows it.
fn split_line(space: &str) -> Option<(&str, &str)> {
    let (before, indent) = space.rsplit_once('\n')?;
    Some((if before.ends_with('\r') { "\r\n" } else { "\n" }, indent))
}

fn colon(text: &str, between: Range<usize>, kind: Kind) -> &str {
    match short(text, between) {
        Some(colon) if colon.contains(':') => colon,
        _ if kind == Kind::Object => ":",
        _ => "",
    }
}

/// The space after a colon, which stands after commas too where all is on one line.
fn after_colon(colon: &str) -> &str {
    let space = colon.rsplit(':').next().unwrap_or_default();
    if space.contains('\n') { "" } else { space }
}

/// A part of the text, if it is short enough to be repeated.
fn short(text: &str, span: Range<usize>) -> Option<&str> {
    text.get(span).filter(|part| part.len() <= JSON_LAYOUT_MAX_BYTES)
}

/// The white space that ends at a byte, if it is short enough to be repeated. It is not read further, since many may ask
/// for the same.
fn space_before(text: &str, at: usize) -> Option<&str> {
    let before = text.as_bytes().get(..at)?.iter().rev();
    let length = before.take(JSON_LAYOUT_MAX_BYTES + 1).take_while(|&&b| is_space(b)).count();
    short(text, at - length..at)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Where the member ends that stands before the one that starts at a byte; the byte itself, if there is none.
pub(super) fn previous_end(text: &str, start: usize) -> usize {
    let end = |end: usize| {
        let bytes = text.as_bytes().get(..end).unwrap_or_default();
        bytes.iter().rposition(|&b| !is_space(b)).map_or(0, |last| last + 1)
    };
    let comma = end(start);
    match text.as_bytes().get(..comma) {
        Some([before @ .., b',']) => end(before.len()),
        _ => start,
    }
}

/// Where the member starts that stands after the one that ends at a byte; the byte itself, if there is none.
pub(super) fn next_start(text: &str, end: usize) -> usize {
    let start = |start: usize| {
        let bytes = text.as_bytes().get(start..).unwrap_or_default();
        start + bytes.iter().position(|&b| !is_space(b)).unwrap_or(bytes.len())
    };
    let comma = start(end);
    if text.as_bytes().get(comma) == Some(&b',') { start(comma + 1) } else { end }
}
