//! The arithmetic: medians, spread, percentiles, and how they are printed.

use std::cmp::Ordering;

use serde_json::{Value, json};

/// Samples of one thing, in whatever unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// Of any order; what is no number is left out.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(super) fn add(&mut self, value: f64) {
        *self = Self::of(self.0.drain(..).chain([value]));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle one, or the mean of the two in the middle; no number when there is none.
    pub(super) fn median(&self) -> f64 {
        let upper = self.at(self.len() / 2);
        let lower = self.at(self.len().saturating_sub(1) / 2);
        f64::midpoint(lower, upper)
    }

    /// The smallest that so many of a hundred do not exceed (nearest rank).
    pub(super) fn percentile(&self, percent: u32) -> f64 {
        let rank = (self.len() * percent as usize).div_ceil(100);
        self.at(rank.saturating_sub(1))
    }

    /// Each less its counterpart of the same round.
    pub(super) fn differences(on: &[f64], off: &[f64]) -> Self {
        Self::of(on.iter().zip(off).map(|(on, off)| on - off))
    }

    /// `median (least to most)`, the digits to what is worth printing.
    pub(super) fn spread(&self) -> String {
        let [least, most] = [self.at(0), self.at(self.len().saturating_sub(1))];
        if self.len() < 2 {
            return number(self.median());
        }
        format!(
            "{} ({} to {})",
            number(self.median()),
            number(least),
            number(most)
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "median": self.median(), "least": self.at(0), "p99": self.percentile(99),
            "most": self.at(self.len().saturating_sub(1)), "samples": self.len(),
        })
    }

    fn at(&self, index: usize) -> f64 {
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// Three digits, or all before the point.
pub(super) fn number(value: f64) -> String {
    let places = match value.abs() {
        _ if value.is_nan() => return "–".to_owned(),
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    // No negative nothing, and no zeros behind a whole number.
    let short = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if short == "-0" {
        "0".to_owned()
    } else {
        short.to_owned()
    }
}

/// Whether a figure is within its bar; nothing where there is none.
pub(super) fn verdict(value: f64, bar: f64) -> String {
    match value.partial_cmp(&bar) {
        None => "–",
        Some(Ordering::Greater) => "**missed**",
        Some(_) => "kept",
    }
    .to_owned()
}

/// A table in Markdown.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    [line(&head), rule, rows].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_counts() {
        for (values, median) in [
            (&[3.0, 1.0, 2.0][..], 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5),
            (&[7.0], 7.0),
            (&[7.0, f64::NAN], 7.0),
        ] {
            let found = Samples::of(values.to_vec()).median();
            assert_eq!(found.total_cmp(&median), Ordering::Equal, "{values:?}");
        }
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn percentiles_are_samples() {
        let hundred = Samples::of((1..=100).map(f64::from));
        for (percent, value) in [(1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)] {
            let found = hundred.percentile(percent);
            assert_eq!(found.total_cmp(&value), Ordering::Equal, "{percent}");
        }
        assert_eq!(number(Samples::of([5.0, 9.0]).percentile(99)), "9");
        assert!(Samples::default().percentile(99).is_nan());
    }

    #[test]
    fn what_is_added_is_found_round_by_round() {
        // A machine that slows down between rounds adds nothing.
        let added = Samples::differences(&[110.0, 210.0, 315.0], &[100.0, 200.0, 300.0]);
        assert_eq!(added.spread(), "10 (10 to 15)");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.001, "0"),
            (1.234, "1.23"),
            (9.999, "10"),
            (12.34, "12.3"),
            (100.0, "100"),
            (-123.4, "-123"),
            (45678.9, "45679"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_bar_is_kept_by_what_is_on_it() {
        let cases = [(5.0, "kept"), (4.9, "kept"), (5.1, "**missed**")];
        for (value, said) in cases.into_iter().chain([(f64::NAN, "–")]) {
            assert_eq!(verdict(value, 5.0), said, "{value}");
        }
    }

    #[test]
    fn a_table_has_a_rule_below_its_head() {
        let rows = [vec!["open".to_owned(), "5".to_owned()]];
        assert_eq!(
            table(&["loop", "ns"], &rows),
            "| loop | ns |\n|---|---|\n| open | 5 |\n"
        );
    }
}
