//! Search patterns of QUERY_DIRECTORY (MS-FSA 2.1.4.4, `FsRtlIsNameInExpression`).
//!
//! | pattern | matches |
//! |---|---|
//! | `*` | any run of characters, also none |
//! | `?` | exactly one character |
//! | `<` (DOS_STAR) | any run that does not contain the name's last period |
//! | `>` (DOS_QM) | one character other than a period, or nothing at a period or at the end |
//! | `"` (DOS_DOT) | a period, or nothing at the end |
//!
//! All else matches itself, whatever its case. A match walks the name once and keeps the set of pattern
//! positions it may be at, so the time is at most pattern length times name length, whatever the pattern.
//! Patterns have at most [`MAX_PATTERN_UNITS`] units; names have at most 255.

use smb_wire::name::units;

use crate::names::upcase_unit;

/// Most UTF-16 units in a pattern, runs of `*` and `<` counted as one: twice what the longest name needs.
pub const MAX_PATTERN_UNITS: usize = 512;

/// A search pattern, ready to match many names.
#[derive(Clone, Debug)]
pub struct Pattern {
    steps: Vec<Step>,
    shape: Shape,
}

/// What need not be found out again for each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    All,
    /// Too long to match anything.
    Nothing,
    Literal,
    Wild,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Star,
    Any,
    DosStar,
    DosQm,
    DosDot,
    Unit(u16),
}

const PERIOD: u16 = b'.' as u16;

impl Pattern {
    /// Prepares `expression`. An empty one matches the empty name only, one that is too long nothing.
    pub fn new(expression: &str) -> Self {
        let mut steps: Vec<Step> = units(expression).map(step_of).collect();
        steps.dedup_by(|next, last| merge(last, *next));
        if steps.len() > MAX_PATTERN_UNITS {
            return Self { steps: Vec::new(), shape: Shape::Nothing };
        }
        // As long as the walk for which it is, and the expression may be a long one.
        steps.shrink_to_fit();
        let shape = match &steps[..] {
            [Step::Star] => Shape::All,
            steps if steps.iter().all(|step| matches!(step, Step::Unit(_))) => Shape::Literal,
            _ => Shape::Wild,
        };
        Self { steps, shape }
    }

    /// How much work it is to hold one name against it: how many steps each unit of the name may meet.
    pub fn steps(&self) -> usize {
        match self.shape {
            Shape::All | Shape::Nothing | Shape::Literal => 1,
            Shape::Wild => self.steps.len(),
        }
    }

    /// Whether this is `*` (or a run of them).
    pub fn matches_all(&self) -> bool {
        self.shape == Shape::All
    }

    /// Whether the pattern is one exact name, in any case: it holds no wildcard.
    pub fn is_literal(&self) -> bool {
        self.shape == Shape::Literal
    }

    /// Whether `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let name = units(name).map(upcase_unit);
        match self.shape {
            Shape::All => true,
            Shape::Nothing => false,
            Shape::Literal => name.map(Step::Unit).eq(self.steps.iter().copied()),
            Shape::Wild => self.matches_wild(&name.collect::<Vec<u16>>()),
        }
    }

    fn matches_wild(&self, name: &[u16]) -> bool {
        let last_period = name.iter().rposition(|unit| *unit == PERIOD);
        // Position p is in the set: the first p steps have matched the name so far.
        let mut here = vec![false; self.steps.len() + 1];
        let mut next = here.clone();
        here[0] = true;
        for (at, unit) in name.iter().enumerate() {
            next.fill(false);
            self.advance(&mut here, &mut next, *unit, Some(at) == last_period);
            if !next.contains(&true) {
                return false;
            }
            std::mem::swap(&mut here, &mut next);
        }
        self.ends(here)
    }

    /// Moves every position of `here` over one unit of the name into `next`.
    fn advance(&self, here: &mut [bool], next: &mut [bool], unit: u16, is_last_period: bool) {
        for (p, step) in self.steps.iter().enumerate() {
            if !here[p] {
                continue;
            }
            match step {
                Step::Star => {
                    next[p] = true;
                    here[p + 1] = true;
                }
                Step::DosStar => {
                    next[p] |= !is_last_period;
                    here[p + 1] = true;
                }
                Step::DosQm if unit == PERIOD => here[p + 1] = true,
                Step::Any | Step::DosQm => next[p + 1] = true,
                Step::DosDot => next[p + 1] |= unit == PERIOD,
                Step::Unit(expected) => next[p + 1] |= unit == *expected,
            }
        }
    }

    /// Whether any position may reach the pattern's end with nothing left of the name.
    fn ends(&self, mut here: Vec<bool>) -> bool {
        for (p, step) in self.steps.iter().enumerate() {
            if here[p] && !matches!(step, Step::Any | Step::Unit(_)) {
                here[p + 1] = true;
            }
        }
        here[self.steps.len()]
    }
}

/// Takes `next` into the `last` step where both together are no more than one of them.
fn merge(last: &mut Step, next: Step) -> bool {
    match (*last, next) {
        (Step::Star, Step::Star | Step::DosStar) | (Step::DosStar, Step::DosStar) => true,
        (Step::DosStar, Step::Star) => {
            *last = Step::Star;
            true
        }
        _ => false,
    }
}

fn step_of(unit: u16) -> Step {
    match u8::try_from(unit) {
        Ok(b'*') => Step::Star,
        Ok(b'?') => Step::Any,
        Ok(b'<') => Step::DosStar,
        Ok(b'>') => Step::DosQm,
        Ok(b'"') => Step::DosDot,
        _ => Step::Unit(upcase_unit(unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_keeps_no_more_than_it_needs() {
        for long in ["a", "?", "*<", "*?"].map(|unit| unit.repeat(30_000)) {
            assert!(Pattern::new(&long).steps.capacity() <= MAX_PATTERN_UNITS, "{}", &long[..2]);
        }
        assert_eq!(Pattern::new("*a*").steps.capacity(), 3);
    }
}
