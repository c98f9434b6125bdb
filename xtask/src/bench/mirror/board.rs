//! What was found: a table for each case, a column for everyone who took part, and what is aimed at.

use super::super::figures::{Figures, Table, short};
use super::cases::Case;
use super::run::Value;

/// Who took part.
#[derive(Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What copying costs at least.
    Floor,
    Peer,
    Product,
}

#[derive(Default)]
struct Cell {
    figures: Figures,
    /// What was said instead of a number, each once.
    words: Vec<String>,
}

impl Cell {
    fn text(&self) -> String {
        let figures = (!self.figures.is_empty()).then(|| self.figures.text());
        let all: Vec<String> = figures.into_iter().chain(self.words.iter().cloned()).collect();
        if all.is_empty() { "-".to_owned() } else { all.join("; ") }
    }

    /// The median, where each round gave a number.
    fn median(&self) -> Option<f64> {
        (self.words.is_empty() && !self.figures.is_empty()).then(|| self.figures.median())
    }
}

struct Part {
    case: &'static Case,
    /// A measure and a cell for each column.
    rows: Vec<(String, Vec<Cell>)>,
}

pub struct Board {
    columns: Vec<Column>,
    far: bool,
    parts: Vec<Part>,
}

impl Board {
    pub fn new(columns: Vec<Column>, far: bool) -> Board {
        Board { columns, far, parts: Vec::new() }
    }

    /// Notes what the one at `column` gave.
    pub fn note(&mut self, case: &'static Case, column: usize, found: Vec<(String, Value)>) {
        let at = self.parts.iter().position(|part| part.case.name == case.name).unwrap_or_else(|| {
            self.parts.push(Part { case, rows: Vec::new() });
            self.parts.len() - 1
        });
        let rows = &mut self.parts[at].rows;
        for (measure, value) in found {
            let at = rows.iter().position(|(name, _)| *name == measure).unwrap_or_else(|| {
                rows.push((measure, self.columns.iter().map(|_| Cell::default()).collect()));
                rows.len() - 1
            });
            let cell = &mut rows[at].1[column];
            match value {
                Value::Numbers(numbers) => numbers.into_iter().for_each(|number| cell.figures.push(number)),
                Value::Word(word) if !cell.words.contains(&word) => cell.words.push(word),
                Value::Word(_) => {}
            }
        }
    }

    pub fn print(&self) {
        let names = self.columns.iter().map(|column| column.name);
        let head: Vec<&str> =
            std::iter::once("measure").chain(names).chain(["to the best peer", "aim"]).collect();
        for part in &self.parts {
            println!("\n{}: {}\n", part.case.name, part.case.what);
            let mut table = Table::new(&head);
            for (measure, cells) in &part.rows {
                let mut row = vec![measure.clone()];
                row.extend(cells.iter().map(Cell::text));
                row.push(self.ratio(cells).map_or_else(|| "-".to_owned(), short));
                let aims = if self.far { part.case.far_aims } else { part.case.aims };
                let aim = aims.iter().find(|(name, _)| name == measure);
                row.push(aim.map_or_else(String::new, |(_, aim)| (*aim).to_owned()));
                table.row(&row);
            }
            table.print();
        }
    }

    /// The product's median to the least of its peers.
    fn ratio(&self, cells: &[Cell]) -> Option<f64> {
        let of = |kind: Kind| {
            let those = self.columns.iter().zip(cells).filter(move |(column, _)| column.kind == kind);
            those.filter_map(|(_, cell)| cell.median())
        };
        let best = of(Kind::Peer).min_by(f64::total_cmp).filter(|best| *best > 0.0)?;
        of(Kind::Product).next().map(|ours| ours / best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_to_the_best_peer_that_was_done_each_time() {
        let column = |name, kind| Column { name, kind };
        let board = Board::new(
            vec![
                column("floor", Kind::Floor),
                column("one", Kind::Peer),
                column("other", Kind::Peer),
                column("product", Kind::Product),
            ],
            false,
        );
        let cell = |number: Option<f64>, words: &[&str]| {
            let mut cell =
                Cell { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Cell::default() };
            number.into_iter().for_each(|number| cell.figures.push(number));
            cell
        };
        let (floor, one) = (cell(Some(1.0), &[]), cell(Some(8.0), &[]));
        let cells = [floor, one, cell(Some(2.0), &["not in 150 s"]), cell(Some(4.0), &[])];
        assert_eq!(board.ratio(&cells), Some(0.5));
        assert_eq!(cells[2].text(), "2.00; not in 150 s");
    }
}
