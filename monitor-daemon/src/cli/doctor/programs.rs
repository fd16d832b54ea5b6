//! What each program and each map costs the kernel: `doctor --programs`.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::coverage;
use crate::cli::Format;
use crate::probe::{Cost, Coverage, MapCost, ProbeError, Probes, Tier, map_costs};

/// Loads all programs as `run` would, and tells what they cost.
///
/// # Errors
///
/// The kernel lacks something without which no kind at all is served.
pub(super) fn report(format: Format) -> Result<String, ProbeError> {
    let probes = Probes::load(&coverage::request())?;
    let programs = probes.costs();
    let maps = map_costs().map_err(|source| ProbeError::Read {
        path: "/proc/self/fdinfo",
        source,
    })?;
    Ok(match format {
        Format::Text => text(&programs) + &maps_text(&maps),
        Format::Json => {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            format!(
                "{:#}\n",
                json(&release, &programs, &maps, probes.coverage())
            )
        }
    })
}

fn text(programs: &[Cost]) -> String {
    let number = |count: Option<u32>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut text = format!(
        "{:<24} {:>12} {:>9} {:>8} {:>8}\n",
        "program", "instructions", "verified", "load ms", "ms"
    );
    for program in programs {
        let _ = writeln!(
            text,
            "{:<24} {:>12} {:>9} {:>8.1} {:>8.1}",
            program.program,
            number(program.instructions),
            number(program.verified),
            milliseconds(program.loading),
            milliseconds(program.time)
        );
    }
    text
}

/// What each map takes, and all.
fn maps_text(maps: &[MapCost]) -> String {
    let mut text = format!("\n{:<24} {:>12} {:>9}\n", "map", "entries", "bytes");
    for map in maps {
        let _ = writeln!(
            text,
            "{:<24} {:>12} {:>9}",
            map.name, map.entries, map.bytes
        );
    }
    let _ = writeln!(text, "{:<24} {:>12} {:>9}", "all maps", "", bytes(maps));
    text
}

fn bytes(maps: &[MapCost]) -> u64 {
    maps.iter().map(|map| map.bytes).sum()
}

fn json(release: &str, programs: &[Cost], maps: &[MapCost], coverage: &[Coverage]) -> Value {
    let kinds: Map<String, Value> = coverage
        .iter()
        .map(|kind| {
            (
                kind.kind.name().to_owned(),
                json!(kind.tier.map(Tier::name)),
            )
        })
        .collect();
    let programs: Vec<Value> = programs
        .iter()
        .map(|program| {
            json!({
                "name": program.program,
                "instructions": program.instructions,
                "verified": program.verified,
                "load_ms": milliseconds(program.loading),
                "ms": milliseconds(program.time),
            })
        })
        .collect();
    let all = bytes(maps);
    let maps: Vec<Value> = maps
        .iter()
        .map(|map| json!({"name": map.name, "entries": map.entries, "bytes": map.bytes}))
        .collect();
    json!({
        "kernel": release.trim(),
        "kinds": kinds,
        "programs": programs,
        "maps": maps,
        "map_bytes": all,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_tell_is_no_zero() {
        let program = Cost {
            program: "fork",
            instructions: Some(120),
            verified: None,
            loading: Duration::from_micros(1100),
            time: Duration::from_micros(1500),
        };
        let line = "fork                              120         ?      1.1      1.5";
        assert_eq!(
            text(std::slice::from_ref(&program)).lines().nth(1),
            Some(line)
        );
        let json = json("5.10.0\n", &[program], &[], &[]);
        assert_eq!(json["kernel"], "5.10.0");
        assert_eq!(json["programs"][0]["verified"], Value::Null);
    }

    #[test]
    fn maps_have_a_sum() {
        let map = |name: &str, bytes| MapCost {
            name: name.to_owned(),
            entries: 1024,
            bytes,
        };
        let maps = [map("BULK", 4_200_000), map("TRIED", 800)];
        let text = maps_text(&maps);
        let last = "all maps                                4200800";
        assert_eq!(text.lines().last(), Some(last));
        let json = json("5.10.0\n", &[], &maps, &[]);
        assert_eq!(json["map_bytes"], 4_200_800);
        assert_eq!(json["maps"][1]["name"], "TRIED");
    }
}
