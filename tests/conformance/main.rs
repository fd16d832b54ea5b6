//! The language, case by case: data files say what a condition, a format or a set of rules files
//! means, each with the section of the specification that says so.
//!
//! A case is a JSON object a line. Each test reads one file, tries every case and reports all that
//! fail with file, line and section. What a case can say is in `case.rs`. Nothing here starts a
//! process or needs the kernel.

mod case;
mod text;

use anyhow::{Context as _, Result, ensure};
use case::Case;

/// Where the data are.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/data");

/// The cases of a file, each with its place.
fn read(name: &str) -> Result<Vec<(String, Case)>> {
    let path = format!("{DATA}/{name}.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let lines = text.lines().enumerate().map(|(index, line)| {
        let place = format!("tests/conformance/data/{name}.jsonl:{}", index + 1);
        let case = serde_json::from_str(line).with_context(|| place.clone())?;
        Ok((place, case))
    });
    lines.collect()
}

/// Tries the cases of a file.
fn check(name: &str) -> Result<()> {
    let cases = read(name)?;
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|(place, case)| {
            let difference = case.check().err()?;
            Some(format!("{place} (section {}): {difference}", case.section))
        })
        .collect();
    ensure!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    Ok(())
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() -> Result<()> {
            check(stringify!($name))
        })*

        /// The suite is as large as it claims, and every section has its share.
        #[test]
        fn every_section_is_proved() -> Result<()> {
            let mut sections = Vec::new();
            $(sections.extend(read(stringify!($name))?.into_iter().map(|(_, case)| case.section));)*
            ensure!(sections.len() >= 1500, "only {} cases", sections.len());
            for section in SECTIONS {
                let count = sections.iter().filter(|named| *named == section).count();
                ensure!(count >= 8, "section {section} has only {count} cases");
            }
            let unknown = sections.iter().find(|named| !SECTIONS.contains(&named.as_str()));
            ensure!(unknown.is_none(), "there is no section {unknown:?}");
            Ok(())
        }
    };
}

files! { conditions event_types fields formats rules syntax texts }

/// The sections of the specification that are about text, events and results.
const SECTIONS: [&str; 19] = [
    "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2",
    "3.3", "3.4", "3.5", "4.1", "4.2", "5",
];
