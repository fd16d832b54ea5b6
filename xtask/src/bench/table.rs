//! The table in the README: what it says, and where it stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};

/// Numbers of rules.
pub(super) const SIZES: [u32; 3] = [25, 93, 1000];
/// The events that are evaluated, by the names of the benchmarks.
pub(super) const EVENTS: [&str; 3] = ["open", "matching open", "exec"];
/// The benchmark of loading.
pub(super) const LOAD: &str = "load";

const BEGIN: &str = "<!-- written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of what `cargo xtask bench` writes -->\n";

/// What was measured, by what and how many rules.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// ns.
    pub(super) times: BTreeMap<(&'static str, u32), f64>,
    pub(super) instructions: BTreeMap<(&'static str, u32), u64>,
    /// Bytes that the rules keep.
    pub(super) bytes: BTreeMap<u32, u64>,
}

impl Figures {
    /// The table with a line on how it came about.
    pub(super) fn table(&self, machine: &str, rounds: u32) -> String {
        let mut text = String::from(
            "| | 25 rules | 93 rules | 1,000 rules | 1,000 ÷ 93 |\n|---|---|---|---|---|\n",
        );
        for (event, name) in EVENTS.into_iter().zip([
            "an open that matches nothing",
            "an open that matches",
            "an exec that matches nothing",
        ]) {
            let cell = |size| {
                let time = self.time(event, size);
                let instructions = self.count(event, size);
                format!("{time:.0} ns, {} instructions", grouped(instructions))
            };
            let ratio = self.time(event, 1000) / self.time(event, 93);
            let instructions = self.count(event, 1000) as f64 / self.count(event, 93) as f64;
            row(
                &mut text,
                name,
                cell,
                &format!("{ratio:.2}, {instructions:.2}"),
            );
        }
        let load = |size| {
            let instructions = self.count(LOAD, size) / 1_000_000;
            format!(
                "{:.0} ms, {instructions} M instructions",
                self.time(LOAD, size) / 1e6
            )
        };
        row(&mut text, "loading them", load, "");
        let memory = |size| {
            let bytes = self.bytes.get(&size).copied().unwrap_or_default();
            format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
        };
        row(&mut text, "memory they take", memory, "");
        let _infallible = writeln!(
            text,
            "\nUpstream's stable rules, all of upstream's, and these with generated ones; medians of \
             {rounds} rounds on {machine}."
        );
        text
    }

    fn time(&self, what: &'static str, size: u32) -> f64 {
        self.times.get(&(what, size)).copied().unwrap_or(f64::NAN)
    }

    fn count(&self, what: &'static str, size: u32) -> u64 {
        self.instructions
            .get(&(what, size))
            .copied()
            .unwrap_or_default()
    }
}

fn row(text: &mut String, name: &str, cell: impl Fn(u32) -> String, last: &str) {
    let cells = SIZES.map(cell).join(" | ");
    let _infallible = writeln!(text, "| {name} | {cells} | {last} |");
}

/// The text with the table between its marks.
pub(super) fn replace(text: &str, table: &str) -> Result<String> {
    let marks = || format!("README.md needs the lines {BEGIN}and {END}");
    let (before, rest) = text.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok([before, BEGIN, table, END, after].concat())
}

/// With a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        let replaced = replace(&text, "new\n").unwrap();
        assert_eq!(replaced, format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(replace(&replaced, "new\n").unwrap(), replaced);
        assert!(replace("a\n", "new\n").is_err());
    }

    #[test]
    fn a_row_has_time_count_and_ratio() {
        let mut figures = Figures::default();
        for (size, time, count) in [(25, 100.0, 1000), (93, 200.0, 2000), (1000, 300.0, 2500)] {
            figures.times.insert(("open", size), time);
            figures.instructions.insert(("open", size), count);
        }
        let table = figures.table("a machine", 3);
        let row = "| an open that matches nothing | 100 ns, 1,000 instructions \
                   | 200 ns, 2,000 instructions | 300 ns, 2,500 instructions | 1.50, 1.25 |";
        assert!(table.contains(row), "{table}");
        assert!(table.ends_with("medians of 3 rounds on a machine.\n"));
    }
}
