//! `test`: what it prints and with which exit code it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::paths;
use serde_json::Value;

const RULES: &str = "\
- list: shells
  items: [bash, sh]
- macro: started
  condition: (evt.type = execve and proc.pid > 1)
- rule: Shell
  desc: A shell.
  condition: started and proc.name in (shells) and not user.name = root
  output: shell %proc.name
  priority: NOTICE
";

const PASSING: &str = "\
- test: a shell
  event: {evt.type: execve, proc.pid: 7, proc.name: sh, user.name: me}
  fires: Shell
  output: shell sh
  unless:
    - {user.name: root}
    - {proc.name: ls}
";

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `test` on a folder with these rules and tests.
fn ask(tests: &str, arguments: &[&str]) -> Result<Answer> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("r.yaml"), RULES)?;
    fs::write(folder.path().join("r.test.yaml"), tests)?;
    answer(folder.path(), arguments)
}

fn answer(folder: &Path, arguments: &[&str]) -> Result<Answer> {
    let mut command = Command::new(paths::daemon()?);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .arg("test")
        .args(arguments)
        .current_dir(folder)
        .output()?;
    Ok(Answer {
        code: status.code(),
        out: String::from_utf8(stdout)?,
        err: String::from_utf8(stderr)?,
    })
}

#[test]
fn passing_tests_are_counted() -> Result<()> {
    for path in ["r.yaml", "r.test.yaml", "."] {
        let answer = ask(PASSING, &[path])?;
        ensure!(answer.code == Some(0), "{}{}", answer.out, answer.err);
        ensure!(
            answer.out.ends_with("r.test.yaml: ok, 3 passed\n"),
            "{}",
            answer.out
        );
    }
    // The tests of the built-in policies are built in too.
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("empty.yaml"), "")?;
    let answer = answer(folder.path(), &["--config", "empty.yaml"])?;
    ensure!(answer.code == Some(0), "{}{}", answer.out, answer.err);
    ensure!(
        answer.out.contains("policies/escape.test.yaml: ok, "),
        "{}",
        answer.out
    );
    Ok(())
}

#[test]
fn a_failing_test_says_what_decided() -> Result<()> {
    let tests = PASSING.replace("user.name: me", "user.name: root").replace(
        "unless:\n    - {user.name: root}",
        "unless:\n    - {user.name: me}",
    );
    let answer = ask(&tests, &["r.yaml"])?;
    assert_eq!(
        answer.out,
        "\
FAIL r.test.yaml:1: a shell
    - fires: Shell
    + silent: Shell
      true  user.name = root
            with user.name=\"root\", r.yaml:7:56
FAIL r.test.yaml:6: a shell, unless {user.name: me}
    - silent: Shell
    + fires: Shell
      true  evt.type = execve
            with evt.type=\"execve\" in macro `started`, r.yaml:4:15
      true  proc.pid > 1
            with proc.pid=7 in macro `started`, r.yaml:4:37
      true  proc.name in (bash, sh)
            with proc.name=\"sh\", r.yaml:7:26
      false user.name = root
            with user.name=\"me\", r.yaml:7:56
r.test.yaml: 2 failed, 1 passed
"
    );
    assert_eq!(answer.code, Some(5));
    let answer = ask(&tests, &["r.yaml", "--format", "json"])?;
    assert_eq!(answer.code, Some(5));
    let report: Value = serde_json::from_str(&answer.out)?;
    let file = report.get(0).context("no file")?;
    assert_eq!((&file["passed"], &file["failed"]), (&1.into(), &2.into()));
    let because = &file["cases"][0]["mismatches"][0]["because"];
    assert_eq!(because[0]["test"], "user.name = root", "{file}");
    assert_eq!(because[0]["values"]["user.name"], "root", "{file}");
    Ok(())
}

#[test]
fn another_output_is_shown_as_a_difference() -> Result<()> {
    let answer = ask(
        &PASSING.replace("output: shell sh", "output: shell bash"),
        &["."],
    )?;
    let difference = "    - shell bash\n    + shell sh\n";
    ensure!(answer.out.contains(difference), "{}", answer.out);
    assert_eq!(answer.code, Some(5));
    Ok(())
}

#[test]
fn what_cannot_be_read_is_another_exit_code() -> Result<()> {
    let cases = [
        (
            "fires: Shell",
            "fires: Shel",
            "r.test.yaml:3:10",
            "did you mean `Shell`?",
        ),
        (
            "proc.name: sh",
            "proc.nam: sh",
            "r.test.yaml:2:42",
            "did you mean `proc.name`?",
        ),
        (
            "  unless:",
            "  unles:",
            "r.test.yaml:5:3",
            "did you mean `unless`?",
        ),
        (
            "proc.pid: 7",
            "proc.pid: x",
            "r.test.yaml:2:39",
            "is no whole number",
        ),
        ("  fires", " fires", "r.test.yaml:3", "error"),
    ];
    for (right, wrong, place, reason) in cases {
        let answer = ask(&PASSING.replace(right, wrong), &["r.yaml"])?;
        let said = answer.err.contains(place) && answer.err.contains(reason);
        ensure!(said && answer.code == Some(1), "{wrong}: {}", answer.err);
        assert_eq!(answer.out, "", "{wrong}");
    }
    let answer = ask(PASSING, &["none.yaml"])?;
    ensure!(
        answer.code == Some(1) && answer.err.contains("none.yaml"),
        "{}",
        answer.err
    );
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("r.yaml"), RULES)?;
    let answer = self::answer(folder.path(), &["r.yaml"])?;
    ensure!(
        answer.code == Some(1) && answer.err.contains("no tests"),
        "{}",
        answer.err
    );
    Ok(())
}
