//! The command line: what is asked for, by whom it is answered, and with which exit code it ends
//! ([`error::Error`] has the table). One file a command.

mod alerts;
mod bugreport;
mod check;
mod completion;
mod config;
mod doctor;
mod error;
mod eval;
mod explain;
mod fields;
mod policies;
mod print;
mod reference;
mod reload;
mod rules;
mod run;
mod schema;
mod self_check;
mod selftest;
mod test;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::selfcheck::child;

const EXAMPLES: &str = "\
Examples:
  Watch this host with the built-in policies:
    sudo monitor-daemon run
  Watch with your Falco rules, and keep alerts as JSON lines:
    sudo monitor-daemon run --policy /etc/falco/falco_rules.yaml --alerts /var/log/alerts.jsonl
  Let the running daemon take over changed rules:
    sudo monitor-daemon reload
  See the alerts of the last two hours:
    sudo monitor-daemon alerts --since 2h
  See whether a rules file loads:
    monitor-daemon check my_rules.yaml
  Run the tests beside your rules:
    monitor-daemon test my_rules.yaml
  See what this kernel lets us watch:
    sudo monitor-daemon doctor
  Try whether this host hides something from us:
    sudo monitor-daemon selftest
  See what a running daemon does:
    monitor-daemon top
  Write down what is needed to find out why it does not do its work:
    sudo monitor-daemon bugreport

Exit codes: 0 done, 1 a policy or its input is wrong, 2 the command line is wrong, 3 the machine
lacks something (root, a kernel feature, a file), 4 the configuration is wrong, 5 a test beside
rules, `selftest` or `alerts verify` fails, 70 a bug of ours.";

/// Watches a container host from the kernel and alerts on what Falco-language policies describe.
#[derive(Debug, Parser)]
#[command(name = "monitor-daemon", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Alerts(alerts::Arguments),
    Reload(reload::Arguments),
    Check(check::Arguments),
    Eval(eval::Arguments),
    Explain(explain::Arguments),
    Doctor(doctor::Arguments),
    Selftest(selftest::Arguments),
    Top(top::Arguments),
    Fields(fields::Arguments),
    Rules(rules::Arguments),
    Test(test::Arguments),
    Schema(schema::Arguments),
    Config(config::Arguments),
    Bugreport(bugreport::Arguments),
    Completion(completion::CompletionArguments),
    Man(completion::ManArguments),
    #[command(hide = true)]
    Reference(reference::Arguments),
    #[command(hide = true)]
    SelfCheck(self_check::Arguments),
    #[command(hide = true)]
    SelftestAct(selftest::ActArguments),
}

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    // Every few seconds, and all there is to it is that it starts: the commands need not be known.
    if std::env::args_os().skip(1).eq([child::COMMAND]) {
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version come this way too, as errors with code 0.
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(error::USAGE));
        }
    };
    let result = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Alerts(arguments) => alerts::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Selftest(arguments) => selftest::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Fields(arguments) => fields::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Bugreport(arguments) => bugreport::run(&arguments),
        Command::Completion(arguments) => {
            completion::completion(&arguments, &mut Arguments::command())
        }
        Command::Man(arguments) => completion::man(&arguments, Arguments::command()),
        Command::Reference(arguments) => reference::run(&arguments),
        Command::SelftestAct(arguments) => selftest::act(&arguments),
        Command::SelfCheck(arguments) => {
            self_check::run(&arguments);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_names_every_exit_code() {
        for (code, meaning) in error::EXIT_CODES {
            assert!(EXAMPLES.contains(&format!("{code} ")), "{code}: {meaning}");
        }
    }

    /// Command lines, and whether they are well-formed.
    const LINES: &[(&str, bool)] = &[
        ("run", true),
        ("run --every-alert", true),
        ("run --config c.yaml --policy a --policy b --alerts -", true),
        ("run --policy", false),
        ("reload --config c.yaml --format json", true),
        ("reload now", false),
        (
            "alerts --since 2h --until 2026-01-31 --rule a --container b",
            true,
        ),
        ("alerts --priority warning --text c --last 5 --follow", true),
        ("alerts --log a.db --format json", true),
        ("alerts --since yesterday", false),
        ("alerts --priority severe", false),
        ("alerts --log a.db --config c.yaml", false),
        ("alerts verify --log a.db --format json", true),
        ("alerts --last 5 verify", false),
        ("check a.yaml b.yaml --format json", true),
        (
            "check a.yaml --lint all --allow LINT_REDEFINED --allow LOAD_UNUSED_LIST",
            true,
        ),
        ("check a.yaml --allow LINT_REDEFINE", false),
        ("check a.yaml --allow LOAD_ERR_VALIDATE", false),
        ("check", false),
        ("check a.yaml --format xml", false),
        ("eval --policy a.yaml b.yaml --events -", true),
        (
            "eval --policy a.yaml --events e.jsonl --all --format json",
            true,
        ),
        ("eval --condition evt.type=open --events -", true),
        ("eval --condition x --policy y --events -", false),
        ("eval --events -", false),
        ("eval --policy a.yaml", false),
        ("eval --cases -", true),
        ("eval --cases a.jsonl --events b.jsonl", false),
        ("eval --cases a.jsonl --policy b.yaml", false),
        (
            "explain Rule --policy a.yaml --event {} --format json",
            true,
        ),
        ("explain --policy a.yaml", false),
        ("doctor --format json", true),
        ("selftest --format json", true),
        ("test", true),
        ("test my-rules a.yaml --format json", true),
        ("test --config c.yaml", true),
        ("test a.yaml --config c.yaml", true),
        ("check a.yaml --config c.yaml", true),
        ("eval --policy a.yaml --events - --config c.yaml", true),
        ("eval --cases - --config c.yaml", false),
        ("eval --condition x --events - --config c.yaml", false),
        ("fields --format json", true),
        ("top --once --interval 1.5 --sort matches", true),
        ("top --address 127.0.0.1:1 --format json", true),
        ("top --address 127.0.0.1:1 --config c.yaml", false),
        ("top --interval 0", false),
        ("rules --config c.yaml --policy a --policy b --kernel", true),
        ("schema", true),
        ("config --config c.yaml", true),
        ("bugreport --output - --config c.yaml", true),
        ("bugreport now", false),
        ("completion bash", true),
        ("completion dos", false),
        ("man out", true),
        ("man", false),
        ("reference fields", true),
        ("reference nothing", false),
        ("self-check open mkdir", true),
        ("", false),
    ];

    #[test]
    fn what_parses_and_what_does_not() {
        for (line, parses) in LINES {
            let words = ["monitor-daemon"]
                .into_iter()
                .chain(line.split_whitespace());
            let result = Arguments::try_parse_from(words);
            assert_eq!(result.is_ok(), *parses, "{line}: {result:?}");
        }
    }
}
