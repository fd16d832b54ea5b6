//! The rules that are loaded: upstream's stable ones, all of upstream's, and these with generated
//! ones; and one that needs no program at the end of calls.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::speed;
use crate::{shell, workspace};

/// It tells of needles by their exec, in the words that are waited for.
const EXECS: &str = "
- rule: needle
  desc: a needle
  condition: evt.type in (execve, execveat) and evt.res = SUCCESS and proc.args startswith needle
  output: it would read /etc/shadow | command=%proc.cmdline
  priority: NOTICE
";

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rules {
    /// About execs that succeed alone: other calls are to cost what they cost without.
    Execs,
    Stable,
    All,
    Thousand,
}

impl Rules {
    pub(super) const EACH: [Self; 3] = [Self::Stable, Self::All, Self::Thousand];

    pub(super) fn count(self) -> u32 {
        match self {
            Self::Execs => 1,
            Self::Stable => 25,
            Self::All => 93,
            Self::Thousand => 1000,
        }
    }

    /// Its files, in order.
    pub(super) fn files(self) -> Result<Vec<PathBuf>> {
        if self == Self::Execs {
            let file = workspace::target().join("bench/execs.yaml");
            fs::write(&file, EXECS)?;
            return Ok(vec![file]);
        }
        let folder = workspace::root().join("../shared/falco/rules");
        let names = [
            "falco_rules",
            "falco-incubating_rules",
            "falco-sandbox_rules",
        ];
        let count = if self == Self::Stable { 1 } else { 3 };
        let mut files: Vec<_> = names
            .into_iter()
            .take(count)
            .map(|name| folder.join(format!("{name}.yaml")))
            .collect();
        for file in &files {
            let missing = "upstream's rules have to be beside the checkout";
            ensure!(
                file.is_file(),
                "there is no `{}`: {missing}",
                file.display()
            );
        }
        if self == Self::Thousand {
            files.push(generated(self.count() - Self::All.count())?);
        }
        Ok(files)
    }
}

/// So many generated rules; once made they are kept.
fn generated(count: u32) -> Result<PathBuf> {
    let file = workspace::target().join(format!("bench/generated-{count}.yaml"));
    if !file.exists() {
        let mut command = shell::without_outer_cargo(speed::program("instructions")?);
        command.args(["generated", &count.to_string()]);
        let text = shell::query(&mut command)?.context("the generator of rules failed")?;
        fs::write(&file, text)?;
    }
    Ok(file)
}
