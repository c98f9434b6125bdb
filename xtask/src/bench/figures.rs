//! Figures of several runs, and tables of them.

/// What several runs of one thing gave.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The same in another unit.
    pub fn divided_by(&self, unit: f64) -> Figures {
        Figures(self.0.iter().map(|figure| figure / unit).collect())
    }

    /// Minimum, median and maximum.
    pub fn text(&self) -> String {
        match self.0.as_slice() {
            [] => "-".to_owned(),
            [one] => short(*one),
            [least, .., most] => format!("{} / {} / {}", short(*least), short(self.median()), short(*most)),
        }
    }
}

/// A number with as many digits as mean something.
pub fn short(figure: f64) -> String {
    match figure {
        figure if figure.abs() >= 100.0 => format!("{figure:.0}"),
        figure if figure.abs() >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

/// A table for people: a row per measure.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    pub fn print(&self) {
        let columns = self.rows[0].len();
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            println!("| {} |", cells.join(" | "));
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_median_most() {
        let mut figures = Figures::default();
        for figure in [3.0, 1.0, 250.4] {
            figures.push(figure);
        }
        assert_eq!(figures.text(), "1.00 / 3.00 / 250");
    }
}
