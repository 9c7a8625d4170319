//! Tables: a header row, columns two blanks apart, numbers at the right edge of theirs, nothing drawn around them.

use unicode_width::UnicodeWidthStr as _;

use crate::text::{Line, Tone, printable, shortened};

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns by title, and rows of as many cells.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Cell {
            text: printable(text.as_ref()),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::toned(text, Tone::Plain)
    }
}

/// The least that a first column shrinks to.
const NARROW: usize = 8;

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// The header and the rows. In a `width` that is too small the first column gives way, as far as it can.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<Line> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|(title, _)| title.width())
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let excess = total.saturating_sub(width.unwrap_or(total));
        if let Some(first) = widths.first_mut() {
            *first = first.saturating_sub(excess).max(NARROW.min(*first));
        }
        let titles = self
            .columns
            .iter()
            .map(|(title, _)| Cell::toned(title, Tone::Strong));
        let titles: Vec<Cell> = titles.collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> Line {
        let mut line = Line::default();
        for (at, ((cell, width), (_, align))) in
            row.iter().zip(widths).zip(&self.columns).enumerate()
        {
            if at > 0 {
                line.push(Tone::Plain, "  ");
            }
            let text = shortened(&cell.text, *width);
            let blanks = " ".repeat(width.saturating_sub(text.width()));
            match align {
                Align::Left => {
                    line.push(cell.tone, text);
                    line.push(Tone::Plain, blanks);
                }
                Align::Right => {
                    line.push(Tone::Plain, blanks);
                    line.push(cell.tone, text);
                }
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[[&str; 3]], width: Option<usize>, expected: &str) {
        let mut table = Table::new(&[
            ("MODEL", Align::Left),
            ("QUEUE", Align::Right),
            ("ARCHIVE", Align::Left),
        ]);
        for row in rows {
            table.row(row.map(Cell::from));
        }
        let lines: Vec<String> = table
            .lines(width)
            .iter()
            .map(|line| line.paint(false))
            .collect();
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn columns_are_aligned() {
        check(&[], None, "MODEL  QUEUE  ARCHIVE");
        check(
            &[["double", "0", "double.mar"], ["模型", "1234567", ""]],
            None,
            "MODEL     QUEUE  ARCHIVE\n\
             double        0  double.mar\n\
             模型    1234567",
        );
    }

    #[test]
    fn the_first_column_gives_way() {
        let row = [["a_rather_long_name", "0", "x.mar"]];
        check(
            &row,
            Some(28),
            "MODEL         QUEUE  ARCHIVE\n\
             a_rather_lo…      0  x.mar",
        );
        check(
            &row,
            Some(5),
            "MODEL     QUEUE  ARCHIVE\n\
             a_rathe…      0  x.mar",
        );
    }
}
