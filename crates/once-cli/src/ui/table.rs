//! Tables without lines: columns that line up, for people and for `awk` alike.
//!
//! On a terminal a table fits its width: long cells of some columns are shortened, then columns go, in the order that the
//! command states, then what is widest is cut.
//! In a pipe nothing goes and nothing is cut. Whoever wants everything asks for `--json`.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Width, presets};

use super::Printer;
use crate::failure::Done;

/// White space between two columns: each has half of it at either side.
const GAP: u16 = 2;

/// What is cut keeps so much, in characters, as long as there is room for it.
const CUT_MIN: u16 = 8;

/// A long cell is not shortened to less than this before columns go.
const CELL_MIN: u16 = 16;

/// A table that grows by rows, and is printed as a whole or page by page.
pub struct Table {
    titles: Vec<&'static str>,
    right: Vec<usize>,
    leaving: Vec<usize>,
    cut: Vec<usize>,
    rows: Vec<Vec<String>>,
    /// How the first page was laid out: those that follow look the same.
    layout: Option<Layout>,
}

/// Columns that are shown, and how wide they are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    /// Of each column; nothing for one that has gone.
    widths: Vec<Option<u16>>,
    /// Whether it fits a terminal: what is wider is cut.
    fits: bool,
}

impl Table {
    /// With the titles of its columns.
    pub fn new<const N: usize>(titles: [&'static str; N]) -> Self {
        Self {
            titles: titles.to_vec(),
            right: Vec::new(),
            leaving: Vec::new(),
            cut: Vec::new(),
            rows: Vec::new(),
            layout: None,
        }
    }

    /// A column of numbers.
    pub fn right(&mut self, column: usize) -> &mut Self {
        self.right.push(column);
        self
    }

    /// The columns that go where the terminal is too narrow, the first of these first.
    pub fn leave(&mut self, columns: &[usize]) -> &mut Self {
        self.leaving = columns.to_vec();
        self
    }

    /// The columns whose long cells are shortened before any column goes.
    pub fn cut(&mut self, columns: &[usize]) -> &mut Self {
        self.cut = columns.to_vec();
        self
    }

    /// One more row. Foreign texts must have been through [`super::shown`].
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// To stdout, and on a terminal a word on stderr about columns that have gone.
    pub fn print(&mut self) -> Done<()> {
        let mut printer = Printer::new();
        self.page(&mut printer)?;
        printer.end()?;
        self.say_what_went();
        Ok(())
    }

    /// Prints the rows so far, the first time with the titles, and forgets them.
    pub fn page(&mut self, printer: &mut Printer) -> Done<()> {
        let terminal = comfy_table::Table::new().width();
        for line in self.lines(terminal) {
            printer.line(&line)?;
        }
        self.rows.clear();
        Ok(())
    }

    /// Says on stderr which columns have gone, if any have.
    pub fn say_what_went(&self) {
        let Some(layout) = &self.layout else { return };
        let gone = self.titles.iter().zip(&layout.widths).filter(|(_, width)| width.is_none());
        let gone: Vec<_> = gone.map(|(title, _)| *title).collect();
        if !gone.is_empty() {
            let text = format!("no room for {}: --json shows all", gone.join(", "));
            super::say(&super::Paint::stderr().dim(&text));
        }
    }

    fn lines(&mut self, terminal: Option<u16>) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_truncation_indicator("…").set_header(&self.titles);
        for cells in &self.rows {
            let mut row = Row::from(cells);
            row.max_height(1);
            table.add_row(row);
        }
        let first = self.layout.is_none();
        let wanted = table.column_max_content_widths();
        let layout =
            self.layout.get_or_insert_with(|| Layout::of(&wanted, &self.cut, &self.leaving, terminal));
        layout.apply(&mut table, &wanted);
        for column in &self.right {
            if let Some(column) = table.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines().skip(usize::from(!first));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect()
    }
}

impl Layout {
    fn of(wanted: &[u16], cut: &[usize], leaving: &[usize], terminal: Option<u16>) -> Self {
        let mut widths: Vec<Option<u16>> = wanted.iter().copied().map(Some).collect();
        let Some(room) = terminal else { return Self { widths, fits: false } };
        let taken = |widths: &[Option<u16>]| {
            widths.iter().flatten().map(|width| u32::from(*width) + u32::from(GAP)).sum::<u32>()
        };
        // The outermost halves of the gaps are not printed.
        let room = u32::from(room) + u32::from(GAP);
        // A long cell says most of what it has to say with its beginning; a column that has gone says nothing.
        while taken(&widths) > room
            && let Some(longest) =
                cut.iter().copied().max_by_key(|column| widths.get(*column).copied().flatten())
            && let Some(Some(width)) = widths.get_mut(longest)
            && *width > CELL_MIN
        {
            *width -= 1;
        }
        for column in leaving {
            if taken(&widths) <= room {
                break;
            }
            if let Some(width) = widths.get_mut(*column) {
                *width = None;
            }
        }
        while taken(&widths) > room
            && let Some(widest) = widths.iter_mut().flatten().max().filter(|width| **width > CUT_MIN)
        {
            *widest -= 1;
        }
        Self { widths, fits: true }
    }

    /// `wanted`: what the cells of this page take.
    fn apply(&self, table: &mut comfy_table::Table, wanted: &[u16]) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
        for (at, (width, wanted)) in self.widths.iter().zip(wanted).enumerate() {
            let Some(column) = table.column_mut(at) else { continue };
            column.set_constraint(match width {
                None => ColumnConstraint::Hidden,
                Some(width) => {
                    let width = if self.fits { *width } else { *wanted.max(width) };
                    ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(GAP)))
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["OBJECT", "SIZE", "NOTE"]);
        table.right(1).leave(&[2, 1]);
        table.row(["0123456789".into(), "5".into(), "a long note".into()]);
        table
    }

    #[test]
    fn columns_go_in_their_order_and_then_the_widest_is_cut() {
        let lines = |terminal: Option<u16>| table().lines(terminal);
        let whole = ["OBJECT      SIZE  NOTE", "0123456789     5  a long note"];
        assert_eq!(lines(None), whole);
        assert_eq!(lines(Some(29)), whole);
        assert_eq!(lines(Some(28)), ["OBJECT      SIZE", "0123456789     5"]);
        assert_eq!(lines(Some(16)), ["OBJECT      SIZE", "0123456789     5"]);
        assert_eq!(lines(Some(15)), ["OBJECT", "0123456789"]);
        assert_eq!(lines(Some(9)), ["OBJECT", "01234567…"]);
        for terminal in 8..40 {
            for line in lines(Some(terminal)) {
                assert!(line.chars().count() <= usize::from(terminal), "{terminal}: {line}");
            }
        }
    }

    #[test]
    fn a_long_cell_is_shortened_before_a_column_goes() {
        let mut table = Table::new(["NO", "ACTION", "WHEN"]);
        table.right(0).leave(&[2]).cut(&[1]);
        table.row(["1".into(), format!("once:create {}", "x".repeat(60)), "today".into()]);
        let cut = format!(" 1  once:create {}…  today", "x".repeat(16));
        assert_eq!(table.lines(Some(40)), [format!("NO  {:29}  WHEN", "ACTION"), cut]);
        table.layout = None;
        let narrow = table.lines(Some(20));
        assert_eq!(narrow.first().map(String::as_str), Some("NO  ACTION"), "only then it goes: {narrow:?}");
    }

    #[test]
    fn pages_that_follow_look_like_the_first() {
        for (terminal, next) in [(Some(28), "012345678…     7"), (None, "0123456789abc    77  -")] {
            let mut table = table();
            table.lines(terminal);
            table.rows.clear();
            table.row([
                "0123456789abc".into(),
                if terminal.is_some() { "7" } else { "77" }.into(),
                "-".into(),
            ]);
            assert_eq!(table.lines(terminal), [next]);
        }
    }
}
