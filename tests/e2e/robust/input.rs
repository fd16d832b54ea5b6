//! Files that the daemon cannot start with: it says what to do, by its exit code too.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use monitor_tests::{daemon, paths, skip_if};

use super::RULES;
use crate::actions::{Programs, run};
use crate::command::refused;
use crate::world::configuration;

#[test]
fn all_broken_policy_files_among_good_ones_are_shown() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let folder = programs.folder().join("policies");
    fs::create_dir(&folder)?;
    let field = RULES
        .replace("proc.name =", "proc.nam =")
        .replace("needle", "b");
    let syntax = RULES.replace("desc: a", "dsc: a").replace("needle", "d");
    for (name, text) in [
        ("a.yaml", RULES),
        ("b.yaml", &field),
        ("c.yaml", &RULES.replace("needle", "c")),
        ("d.yaml", &syntax),
        ("e.yaml", "- rule: [\n"),
    ] {
        fs::write(folder.join(name), text)?;
    }
    let config = configuration(&programs, "")?;
    let output = started(&[
        Path::new("--config"),
        &config,
        Path::new("--policy"),
        &folder,
    ])?;
    let place = |name: &str, line: u32| format!("{}:{line}:", folder.join(name).display());
    for words in [
        &place("b.yaml", 4),
        "proc.nam",
        "proc.name",
        &place("d.yaml", 2),
        &place("e.yaml", 2),
    ] {
        refused(&output, 1, words)?;
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    for good in ["a.yaml", "c.yaml"] {
        let about = format!("{}:", folder.join(good).display());
        ensure!(!complaint.contains(&about), "{good}: {complaint}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_no_text_is_named() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let folder = programs.folder().join("folder.yaml");
    fs::create_dir(&folder)?;
    let binary = programs.folder().join("binary.yaml");
    fs::write(&binary, b"metrics:\n  listen: \xff\xfe\n")?;
    for config in [&folder, &binary, &programs.folder().join("absent.yaml")] {
        let output = started(&[Path::new("--config"), config])?;
        refused(&output, 4, &config.display().to_string())?;
    }
    Ok(())
}

#[test]
fn a_folder_in_place_of_the_alert_file_is_named() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let config = configuration(&programs, "")?;
    let folder = programs.folder().join("alerts");
    fs::create_dir(&folder)?;
    let policy = daemon::policy(programs.folder(), RULES)?;
    let [config_flag, policy_flag, alerts_flag] =
        ["--config", "--policy", "--alerts"].map(Path::new);
    let arguments = [
        config_flag,
        &config,
        policy_flag,
        &policy,
        alerts_flag,
        &folder,
    ];
    refused(&started(&arguments)?, 3, &folder.display().to_string())
}

fn started(arguments: &[&Path]) -> Result<Output> {
    let mut command = Command::new(paths::daemon()?);
    run(command.arg("run").args(arguments))
}
