//! Writes changes into a source, each behind a switch: `if crate::__mutation::on(7) { changed } else { original }`.

use std::cmp::Reverse;
use std::ops::Range;

use super::site::{Edit, Site};

/// The module that holds the switch. It is put at the end of the crate's `lib.rs`.
///
/// One process runs with one mutant, or none: the number is read once.
pub const SWITCH: &str = r#"
#[doc(hidden)]
pub mod __mutation {
    use std::sync::{LazyLock, Once};

    static WANTED: LazyLock<u32> =
        LazyLock::new(|| std::env::var("ONCE_MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(0));

    #[inline]
    pub fn on(id: u32) -> bool {
        let is_on = *WANTED == id;
        if is_on {
            reached();
        }
        is_on
    }

    #[cold]
    fn reached() {
        static FIRST: Once = Once::new();
        FIRST.call_once(|| {
            if let Ok(path) = std::env::var("ONCE_MUTANT_REACHED") {
                let _ = std::fs::write(path, "");
            }
        });
    }
}
"#;

/// Copies are not judged by their style. On the first line, so that lines keep their numbers.
pub const ALLOW: &str =
    "#![allow(warnings, overflowing_literals, unconditional_panic, arithmetic_overflow)] ";

/// Where a mutant went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub id: u32,
    /// Only what runs when it is on.
    pub changed: Range<usize>,
    /// With the original.
    pub whole: Range<usize>,
}

/// A source with its mutants.
#[derive(Debug, Default)]
pub struct Rewritten {
    pub text: String,
    pub placed: Vec<Placed>,
}

impl Rewritten {
    /// Puts a text before all.
    pub fn put_before(&mut self, text: &str) {
        self.text.insert_str(0, text);
        let moved = |range: &Range<usize>| range.start + text.len()..range.end + text.len();
        for placed in &mut self.placed {
            (placed.changed, placed.whole) = (moved(&placed.changed), moved(&placed.whole));
        }
    }

    /// The mutants that an error at these bytes speaks of: those in whose change it lies, or else the innermost around it.
    pub fn blamed(&self, at: &Range<usize>) -> Vec<u32> {
        let holds = |range: &Range<usize>| range.start <= at.start && at.end <= range.end;
        let innermost = |range: fn(&Placed) -> &Range<usize>| {
            let around = self.placed.iter().filter(|placed| holds(range(placed)));
            let least = around.clone().map(|placed| range(placed).len()).min();
            around
                .filter(|placed| Some(range(placed).len()) == least)
                .map(|placed| placed.id)
                .collect::<Vec<_>>()
        };
        let changed = innermost(|placed| &placed.changed);
        if changed.is_empty() { innermost(|placed| &placed.whole) } else { changed }
    }
}

/// Writes the chosen sites of a file into its text. Without any, only `const fn` becomes `fn`.
pub fn rewrite(text: &str, consts: &[Range<usize>], chosen: &[(u32, &Site)]) -> Rewritten {
    let mut marks: Vec<Mark> = chosen.iter().map(|(id, site)| Mark::Site(*id, site)).collect();
    marks.extend(consts.iter().map(Mark::Const));
    // What is put in stands before what begins there; what is around comes before what is inside.
    marks.sort_by_key(|mark| {
        let range = mark.range();
        (range.start, !range.is_empty(), Reverse(range.end))
    });
    let mut writer = Writer { text, out: Rewritten::default() };
    writer.write(0..text.len(), &marks);
    writer.out
}

enum Mark<'a> {
    Site(u32, &'a Site),
    Const(&'a Range<usize>),
}

impl Mark<'_> {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Site(_, site) => &site.range,
            Self::Const(range) => range,
        }
    }
}

struct Writer<'a> {
    text: &'a str,
    out: Rewritten,
}

impl Writer<'_> {
    /// Writes this part of the text, and the marks in it.
    fn write(&mut self, part: Range<usize>, marks: &[Mark]) {
        let (mut at, mut rest) = (part.start, marks);
        while let Some((mark, _)) = rest.split_first() {
            let range = mark.range().clone();
            self.copy(at..range.start);
            at = range.end;
            let same = rest.iter().take_while(|mark| *mark.range() == range).count();
            let (same, after) = rest.split_at(same);
            let inside = if range.is_empty() {
                0
            } else {
                after.iter().take_while(|mark| mark.range().start < range.end).count()
            };
            let (inside, after) = after.split_at(inside);
            self.place(range, same, inside);
            rest = after;
        }
        self.copy(at..part.end);
    }

    fn copy(&mut self, part: Range<usize>) {
        self.out.text.push_str(self.text.get(part).unwrap_or_default());
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.out.text.len();
        self.out.text.push_str(text);
        start..self.out.text.len()
    }

    /// Writes what concerns one and the same range.
    fn place(&mut self, range: Range<usize>, same: &[Mark], inside: &[Mark]) {
        let start = self.out.text.len();
        let (mut changed, mut is_choice, mut is_guarded) = (Vec::new(), false, false);
        for mark in same {
            let Mark::Site(id, site) = mark else { continue };
            let on = format!("crate::__mutation::on({id})");
            let text = match &site.edit {
                Edit::Replace(with) => {
                    self.push(if is_choice { " else " } else { "(" });
                    is_choice = true;
                    format!("if {on} {{ {with} }}")
                }
                Edit::Delete => {
                    is_guarded = true;
                    format!("if !{on} {{ ")
                }
                Edit::Return(value) => format!(" if {on} {{ return {value}; }}"),
                Edit::SkipArm => format!(" if !{on}"),
            };
            changed.push((*id, self.push(&text)));
        }
        if is_choice {
            self.push(" else { ");
        }
        if matches!(same, [Mark::Site(..), ..]) {
            self.write(range, inside);
        }
        self.push(if is_choice {
            " })"
        } else if is_guarded {
            " }"
        } else {
            ""
        });
        let whole = start..self.out.text.len();
        self.out.placed.extend(changed.into_iter().map(|(id, changed)| Placed {
            id,
            changed,
            whole: whole.clone(),
        }));
    }
}
