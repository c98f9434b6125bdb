//! What was measured: a row per measure, Samba's figures beside ours.

use super::super::figures::{Figures, Table, short};
use super::Side;

/// How a measure counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// MiB a second, CPU seconds a GiB.
    Bytes,
    /// Things a second, CPU seconds a thousand.
    Things,
}

#[derive(Default)]
struct Row {
    measure: String,
    samba: (Figures, Figures),
    ours: (Figures, Figures),
    cached: (Figures, Figures),
}

/// All rows, in the order of their first figure.
#[derive(Default)]
pub struct Board {
    rows: Vec<Row>,
    counts: bool,
}

impl Board {
    /// Whether what follows counts.
    pub fn counts(&mut self, counts: bool) {
        self.counts = counts;
    }

    /// `amount`: MiB or things.
    pub fn note(&mut self, measure: &str, side: Side, unit: Unit, amount: f64, seconds: f64, cpu: f64) {
        let at = self.rows.iter().position(|row| row.measure == measure).unwrap_or_else(|| {
            self.rows.push(Row { measure: measure.to_owned(), ..Row::default() });
            self.rows.len() - 1
        });
        if !self.counts {
            return;
        }
        let row = &mut self.rows[at];
        let (rate, cost) = match side {
            Side::Samba => &mut row.samba,
            Side::Farshare => &mut row.ours,
            Side::Cached => &mut row.cached,
        };
        rate.push(amount / seconds);
        let per = match unit {
            Unit::Bytes => 1024.0,
            Unit::Things => 1000.0,
        };
        cost.push(cpu * per / amount);
    }

    pub fn print(&self) {
        let mut table =
            Table::new(&["measure", "Samba", "farshare", "to Samba", "Samba CPU-s", "farshare CPU-s"]);
        for row in &self.rows {
            let mut line = |name: &str, (rate, cost): &(Figures, Figures)| {
                if rate.is_empty() {
                    return;
                }
                table.row(&[
                    name.to_owned(),
                    row.samba.0.text(),
                    rate.text(),
                    short(rate.median() / row.samba.0.median()),
                    row.samba.1.text(),
                    cost.text(),
                ]);
            };
            line(&row.measure, &row.ours);
            line(&format!("{}, gateway + cache", row.measure), &row.cached);
        }
        table.print();
    }
}
