//! Tables without lines: columns that line up, for people and for `awk` alike.
//!
//! On a terminal a table fits its width, by one rule for all commands. Each command says what its columns bear:
//!
//! 1. long cells of the columns of [`Table::cut`] are shortened, whose beginning says most of what they have to say, those that
//!    decide as the last ones;
//! 2. the columns of [`Table::leave`] go, the least important ones, and a line on stderr names them;
//! 3. the columns of [`Table::under`], which decide, are never cut: what is too long for its place stands whole below its row, and
//!    where there is no place for a column, all of it does;
//! 4. only where a terminal is narrower than what is left, the widest column is cut.
//!
//! In a pipe nothing goes and nothing is cut. Whoever wants everything asks for `--json`.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Width, presets};

use super::Printer;
use super::wrap::columns;
use crate::failure::Done;

/// White space between two columns: each has half of it at either side.
const GAP: u16 = 2;

/// What is cut keeps so much, in characters, as long as there is room for it.
const CUT_MIN: u16 = 8;

/// A long cell is not shortened to less than this before columns go.
const CELL_MIN: u16 = 12;

/// What stands below a row begins so far from the left.
const INDENT: u16 = 4;

/// A table that grows by rows, and is printed as a whole or page by page.
pub struct Table {
    titles: Vec<&'static str>,
    right: Vec<usize>,
    leaving: Vec<usize>,
    under: Vec<usize>,
    cut: Vec<usize>,
    rows: Vec<Vec<String>>,
    /// How the first page was laid out: those that follow look the same.
    layout: Option<Layout>,
}

/// Where a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the table, so wide.
    Column(u16),
    /// Below each row.
    Under,
    /// Nowhere.
    Gone,
}

/// Columns that are shown, and how wide they are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    places: Vec<Place>,
    /// Of the terminal; nothing where all is shown as wide as it is.
    room: Option<u16>,
}

impl Table {
    /// With the titles of its columns.
    pub fn new<const N: usize>(titles: [&'static str; N]) -> Self {
        Self {
            titles: titles.to_vec(),
            right: Vec::new(),
            leaving: Vec::new(),
            under: Vec::new(),
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

    /// The columns that decide: where there is no room for them, they stand whole below each row, the first of these first.
    pub fn under(&mut self, columns: &[usize]) -> &mut Self {
        self.under = columns.to_vec();
        self
    }

    /// The columns whose long cells are shortened before any column goes.
    pub fn cut(&mut self, columns: &[usize]) -> &mut Self {
        self.cut = columns.to_vec();
        self
    }

    /// One more row. Foreign texts must have been through [`super::shown`] or [`super::cell`].
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
        for line in self.lines(columns(&std::io::stdout())) {
            printer.line(&line)?;
        }
        self.rows.clear();
        Ok(())
    }

    /// Says on stderr which columns have gone, if any have.
    pub fn say_what_went(&self) {
        let Some(layout) = &self.layout else { return };
        let gone = self.titles.iter().zip(&layout.places).filter(|(_, place)| **place == Place::Gone);
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
        if first {
            self.layout = Some(self.laid_out(&wanted, terminal));
        }
        let Some(layout) = self.layout.clone() else { return Vec::new() };
        layout.apply(&mut table, &wanted);
        for column in &self.right {
            if let Some(column) = table.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let line = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned();
        let mut lines = table.lines().map(line);
        let mut shown: Vec<String> = lines.next().into_iter().filter(|_| first).collect();
        for (line, cells) in lines.zip(&self.rows) {
            shown.push(line);
            shown.extend(self.below(&layout, cells));
        }
        shown
    }

    /// What stands below a row: the columns that have no place in it, and what is too long for its place.
    fn below(&self, layout: &Layout, cells: &[String]) -> Vec<String> {
        let Some(room) = layout.room else { return Vec::new() };
        let is_below = |at: usize, cell: &str| match layout.places.get(at) {
            Some(Place::Under) => !matches!(cell, "" | "-"),
            Some(Place::Column(width)) => self.under.contains(&at) && width_of(cell) > *width,
            _ => false,
        };
        let parts = self.titles.iter().zip(cells).enumerate();
        let parts: Vec<_> = parts
            .filter(|(at, (_, cell))| is_below(*at, cell))
            .map(|(_, (title, cell))| format!("{} {cell}", title.to_lowercase()).trim_start().to_owned())
            .collect();
        folded(&parts, room)
    }

    fn laid_out(&self, wanted: &[u16], terminal: Option<u16>) -> Layout {
        let mut places: Vec<_> = wanted.iter().map(|width| Place::Column(*width)).collect();
        let Some(terminal) = terminal else { return Layout { places, room: None } };
        let going = self.leaving.iter().map(|at| (*at, Place::Gone));
        let mut going = going.chain(self.under.iter().map(|at| (*at, Place::Under)));
        let lossy: Vec<_> = self.cut.iter().copied().filter(|at| !self.under.contains(at)).collect();
        for step in 0.. {
            // A long cell says most of what it has to say with its beginning; a column that has gone says nothing.
            let mut cut = places.clone();
            shrink(&mut cut, &lossy, CELL_MIN, terminal);
            if overhang(&cut, terminal) > 0 && step >= self.leaving.len() {
                cut.clone_from(&places);
                shrink(&mut cut, &self.cut, CELL_MIN, terminal);
            }
            if overhang(&cut, terminal) == 0 {
                return Layout { places: cut, room: Some(terminal) };
            }
            let Some((at, to)) = going.next() else { break };
            if let Some(place) = places.get_mut(at) {
                *place = to;
            }
        }
        let all: Vec<_> = (0..places.len()).collect();
        shrink(&mut places, &self.cut, CELL_MIN, terminal);
        shrink(&mut places, &all, CUT_MIN, terminal);
        Layout { places, room: Some(terminal) }
    }
}

/// By how much a table is wider than a terminal.
fn overhang(places: &[Place], terminal: u16) -> u32 {
    let width = |place: &Place| match place {
        Place::Column(width) => u32::from(*width) + u32::from(GAP),
        Place::Under | Place::Gone => 0,
    };
    // The outermost halves of the gaps are not printed.
    places.iter().map(width).sum::<u32>().saturating_sub(u32::from(terminal) + u32::from(GAP))
}

/// Takes from the widest of some columns until the table fits, or each has only `least`.
fn shrink(places: &mut [Place], columns: &[usize], least: u16, terminal: u16) {
    while overhang(places, terminal) > 0 {
        let widest = places.iter_mut().enumerate().filter_map(|(at, place)| match place {
            Place::Column(width) if columns.contains(&at) && *width > least => Some(width),
            _ => None,
        });
        match widest.max() {
            Some(width) => *width -= 1,
            None => return,
        }
    }
}

/// How many columns of a terminal a text takes.
pub(super) fn width_of(text: &str) -> u16 {
    let mut table = comfy_table::Table::new();
    table.add_row([text]);
    table.column_max_content_widths().first().copied().unwrap_or_default()
}

/// Side by side where they fit, else each on lines of its own.
fn folded(parts: &[String], room: u16) -> Vec<String> {
    let room = room.saturating_sub(INDENT).max(CELL_MIN);
    let indent = " ".repeat(usize::from(INDENT));
    let mut lines: Vec<String> = Vec::new();
    let mut is_open = false;
    for part in parts {
        let fits = |line: &String| width_of(line.trim_start()) + GAP + width_of(part) <= room;
        if let Some(line) = lines.last_mut().filter(|line| is_open && fits(line)) {
            line.push_str("  ");
            line.push_str(part);
            continue;
        }
        let wrapped = wrapped(part, room);
        is_open = wrapped.len() == 1;
        lines.extend(wrapped.iter().map(|line| format!("{indent}{line}")));
    }
    lines
}

/// Broken between words; a word that is longer than a line within.
fn wrapped(text: &str, room: u16) -> Vec<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(room);
    table.add_row([text]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

impl Layout {
    /// `wanted`: what the cells of this page take.
    fn apply(&self, table: &mut comfy_table::Table, wanted: &[u16]) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
        for (at, (place, wanted)) in self.places.iter().zip(wanted).enumerate() {
            let Some(column) = table.column_mut(at) else { continue };
            column.set_constraint(match place {
                Place::Under | Place::Gone => ColumnConstraint::Hidden,
                Place::Column(width) => {
                    let width = if self.room.is_some() { *width } else { *wanted.max(width) };
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

    /// Rows whose last column says what somebody has to know.
    fn letters() -> Table {
        let mut table = Table::new(["ID", "WHAT", "FOR", "WHY"]);
        table.leave(&[2]).under(&[3]).cut(&[1]);
        table.row(["0123456789".into(), "act".into(), "bob".into(), "bob is away: no answer in 10 s".into()]);
        table.row(["abcdefghij".into(), "share".into(), "bob".into(), "-".into()]);
        table
    }

    #[test]
    fn what_decides_stands_below_its_row_where_it_does_not_fit() {
        let whole = letters().lines(Some(80));
        assert_eq!(
            whole.get(1).map(String::as_str),
            Some("0123456789  act    bob  bob is away: no answer in 10 s")
        );
        let right = [
            "ID          WHAT",
            "0123456789  act",
            "    why bob is away: no",
            "    answer in 10 s",
            "abcdefghij  share",
        ];
        assert_eq!(letters().lines(Some(26)), right);
        for terminal in 20..80 {
            let lines = letters().lines(Some(terminal));
            let words = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("bob is away: no answer in 10 s"), "{terminal}: {lines:?}");
            for line in lines {
                assert!(line.chars().count() <= usize::from(terminal), "{terminal}: {line}");
            }
        }
    }

    /// One long cell does not take the place of all the others.
    #[test]
    fn what_is_too_long_for_its_place_stands_whole_below_its_row() {
        let mut table = Table::new(["OBJECT", "NAME", "STATE"]);
        table.under(&[1]).cut(&[1]);
        table.row(["01234567".into(), "a name that is longer than most".into(), "home".into()]);
        table.row(["12345678".into(), "pump 2".into(), "home".into()]);
        let right = [
            "OBJECT    NAME              STATE",
            "01234567  a name that is…   home",
            "    name a name that is longer",
            "    than most",
            "12345678  pump 2            home",
        ];
        assert_eq!(table.lines(Some(33)), right);
    }

    #[test]
    fn what_is_short_shares_a_line_below_the_row() {
        let mut table = Table::new(["OBJECT", "HOME", "AT", "WHY"]);
        table.under(&[3, 2, 1]);
        let object = "0123456789abcdefghij";
        table.row([object.into(), "here".into(), "bob".into(), "it is away since yesterday".into()]);
        let right = ["OBJECT", object, "    home here  at bob", "    why it is away", "    since yesterday"];
        assert_eq!(table.lines(Some(23)), right);
    }

    #[test]
    fn a_later_page_does_not_cut_what_decides() {
        let mut table = letters();
        table.lines(Some(80));
        table.rows.clear();
        let long = format!("bob is away: {}", "no answer ".repeat(9));
        table.row(["0123456789".into(), "act".into(), "bob".into(), long.trim_end().to_owned()]);
        let words = table.lines(Some(80)).join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(long.trim_end()), "{words}");
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
