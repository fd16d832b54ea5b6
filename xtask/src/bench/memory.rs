//! Where the memory goes: of our daemon with all rules and a hundred containers, by what is mapped.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::containers::Containers;
use super::cost::{MEMORY_MIB, mib};
use super::figures::{number, table, verdict};
use super::loops::Program;
use super::needle;
use super::part::Part;
use super::rules::Rules;
use super::subject::Subject;

const CONTAINERS: u32 = 100;
/// The sum.
const ALL: &str = "all";

/// Starts it once.
pub(super) fn memory(loops: &Program) -> Result<Part> {
    let _containers = Containers::make(CONTAINERS, loops)?;
    let monitor = Subject::Ours(Rules::All).start()?;
    let mut monitor = monitor.context("there is nobody to measure")?;
    needle::watching(loops, &mut monitor)?;
    monitor.settled();
    let kinds = monitor.mappings();
    let resident: u64 = kinds.values().map(|mapped| mapped.resident_bytes).sum();
    let own: u64 = kinds.values().map(|mapped| mapped.own_bytes).sum();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    let kinds = kinds
        .into_iter()
        .map(|(kind, mapped)| (kind, mapped.resident_bytes, mapped.own_bytes));
    for (kind, resident, own) in kinds.chain([(ALL, resident, own)]) {
        let [resident, own] = [resident, own].map(mib);
        let verdict = if kind == ALL {
            verdict(resident, MEMORY_MIB)
        } else {
            String::new()
        };
        rows.push(vec![
            kind.to_owned(),
            number(resident),
            verdict,
            number(own),
        ]);
        values.push(json!({"what": kind, "resident_mib": resident, "own_mib": own}));
    }
    let bar = format!("bar {}", number(MEMORY_MIB));
    let head = ["What", "resident, MiB", &bar, "each page once (PSS), MiB"];
    Ok(Part {
        name: "memory",
        title: "Memory with 93 rules and 100 containers",
        text: table(&head, &rows),
        json: Value::Array(values),
    })
}
