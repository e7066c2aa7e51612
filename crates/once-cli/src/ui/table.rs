//! Tables without lines: columns that line up, for people and for `awk` alike.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::Printer;
use crate::failure::Done;

/// A table that grows by rows.
pub struct Table(comfy_table::Table);

impl Table {
    /// With the titles of its columns.
    pub fn new<const N: usize>(titles: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(titles);
        Self(table)
    }

    /// A column of numbers.
    pub fn right(&mut self, column: usize) -> &mut Self {
        if let Some(column) = self.0.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// One more row. Foreign texts must have been through [`super::shown`].
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    /// To stdout.
    pub fn print(&self) -> Done<()> {
        let mut printer = Printer::new();
        for line in self.0.lines() {
            printer.line(line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
        }
        printer.end()
    }
}
