//! What was measured: a row per measure, Samba's figures beside ours, and which of the bars that we set ourselves are
//! missed: to be as fast as Samba, and to take no more CPU for streams than it took where the bars were set.

use super::super::figures::{Figures, Table, short};
use super::Side;

/// How a measure counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// MiB a second, CPU seconds a GiB: so many at most.
    Bytes { cpu_bar: f64 },
    /// Things a second, CPU seconds a thousand.
    Things,
}

/// CPU seconds a GiB that reading may take at most, plain, signed and sealed.
pub const READ_BARS: [f64; 3] = [0.34, 0.6, 0.8];
/// The same of writing.
pub const WRITE_BAR: f64 = 1.2;

#[derive(Default)]
struct Row {
    measure: String,
    samba: (Figures, Figures),
    ours: (Figures, Figures),
    cached: (Figures, Figures),
    cpu_bar: Option<f64>,
}

impl Row {
    /// The bars that our medians miss.
    fn missed(&self) -> String {
        let ratio = self.ours.0.median() / self.samba.0.median();
        let slower = (ratio < 1.0).then(|| "speed".to_owned());
        let dearer = self.cpu_bar.filter(|bar| self.ours.1.median() > *bar).map(|bar| format!("CPU {bar}"));
        let missed: Vec<String> = slower.into_iter().chain(dearer).collect();
        if missed.is_empty() { "none".to_owned() } else { missed.join(", ") }
    }
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
            Unit::Bytes { cpu_bar } => {
                row.cpu_bar = Some(cpu_bar);
                1024.0
            }
            Unit::Things => 1000.0,
        };
        cost.push(cpu * per / amount);
    }

    pub fn print(&self) {
        let columns =
            ["measure", "Samba", "farshare", "to Samba", "Samba CPU-s", "farshare CPU-s", "missed bars"];
        let mut table = Table::new(&columns);
        for row in &self.rows {
            let mut line = |name: &str, (rate, cost): &(Figures, Figures), missed: String| {
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
                    missed,
                ]);
            };
            line(&row.measure, &row.ours, row.missed());
            line(&format!("{}, gateway + cache", row.measure), &row.cached, "-".to_owned());
        }
        table.print();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_the_bars_that_it_misses() {
        let row = |samba: f64, ours: f64, cpu: f64| {
            let mut row = Row { cpu_bar: Some(READ_BARS[0]), ..Row::default() };
            row.samba.0.push(samba);
            row.ours.0.push(ours);
            row.ours.1.push(cpu);
            row.missed()
        };
        assert_eq!(row(100.0, 100.0, 0.34), "none");
        assert_eq!(row(100.0, 99.0, 0.34), "speed");
        assert_eq!(row(100.0, 99.0, 0.36), "speed, CPU 0.34");
    }
}
