//! `completion` and `man`: what shells and `man` know about the command line, made from the same
//! definitions.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::Error;
use super::print::print;

const COMPLETION_HELP: &str = "\
Examples:
  monitor-daemon completion bash > /etc/bash_completion.d/monitor-daemon
  monitor-daemon completion zsh > /usr/local/share/zsh/site-functions/_monitor-daemon
  monitor-daemon completion fish > ~/.config/fish/completions/monitor-daemon.fish";

const MAN_HELP: &str = "\
Example:
  monitor-daemon man /usr/local/share/man/man1";

/// Print a script that completes this command line in a shell.
#[derive(Args, Debug)]
#[command(after_help = COMPLETION_HELP)]
pub(super) struct CompletionArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one a command, into a folder.
#[derive(Args, Debug)]
#[command(after_help = MAN_HELP)]
pub(super) struct ManArguments {
    /// The folder; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn completion(arguments: &CompletionArguments, line: &mut Command) -> Result<(), Error> {
    let name = line.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, line, name, &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(arguments: &ManArguments, line: Command) -> Result<(), Error> {
    fs::create_dir_all(&arguments.folder)
        .and_then(|()| clap_mangen::generate_to(line, &arguments.folder))
        .map_err(|source| Error::WriteFiles {
            folder: arguments.folder.clone(),
            source,
        })
}
