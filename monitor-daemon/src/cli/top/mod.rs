//! `top`: what a running daemon does, drawn anew again and again.
//!
//! It asks the daemon over the address of its metrics, so the daemon's loop is not involved, and
//! makes rates of two looks. On a terminal it takes the whole screen and gives it back; elsewhere
//! it prints one block after the other.

mod fetch;
mod rates;
mod screen;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::Format;
use super::error::Error;
use super::print::print;
use crate::config::{Config, DEFAULT_PATH};
use crate::metrics::Top;
use crate::output::Colour;
pub(super) use fetch::{FetchError, ask};
use rates::Rates;
use screen::Size;
use terminal::{Key, Terminal};

const HELP: &str = "\
`q` or Ctrl-C ends it. The daemon is found at `metrics.listen` of the configuration; it answers
only callers on its own host. COST is the part of one core that testing a rule takes, measured on a
sample of the events; what rules share counts for the first of them.

Examples:
  monitor-daemon top
  monitor-daemon top --sort matches --interval 5
  monitor-daemon top --once --format json | jq '.containers[] | select(.per_second > 1000)'";

/// Show what a running daemon does: containers by events, rules by cost and matches, losses.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[arg(
        long,
        value_name = "FILE",
        help = format!("The daemon's configuration; without it {DEFAULT_PATH} if it exists, else defaults")
    )]
    config: Option<PathBuf>,
    /// Address of the daemon's metrics, instead of the configured one.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "config")]
    address: Option<SocketAddr>,
    /// Seconds between two looks, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = interval)]
    interval: Duration,
    /// What the rules are sorted by.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Print once, after one interval, and end.
    #[arg(long)]
    once: bool,
    /// How it is shown; json: one object a line and interval.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// An order of rules, the most first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Sort {
    /// By the time that testing them takes.
    #[default]
    Cost,
    /// By the events they matched.
    Matches,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let address = address(arguments)?;
    let live = !arguments.once && arguments.format == Format::Text && io::stdout().is_terminal();
    let mut before = fetch::top(address)?;
    if live {
        return live_view(arguments, address, before);
    }
    loop {
        thread::sleep(arguments.interval);
        let now = fetch::newer(address, &before)?;
        let rates = Rates::between(&before, &now, arguments.sort);
        print(&shown(&rates, arguments.format)?)?;
        if arguments.once {
            return Ok(());
        }
        before = now;
    }
}

fn shown(rates: &Rates, format: Format) -> Result<String, Error> {
    Ok(match format {
        Format::Text => format!(
            "{}\n",
            screen::draw(rates, Size::UNBOUNDED, Colour::Off).join("\n")
        ),
        Format::Json => format!("{}\n", serde_json::to_string(rates)?),
    })
}

/// Until `q`. A daemon that goes away is waited for: it may be starting again.
fn live_view(arguments: &Arguments, address: SocketAddr, first: Top) -> Result<(), Error> {
    let colour = Colour::of(&io::stdout()).unwrap_or(Colour::Off);
    let mut terminal = Terminal::open().map_err(Error::Print)?;
    let mut before = first;
    let mut lines = vec!["Looking ...".to_owned()];
    loop {
        terminal::draw(&lines).map_err(Error::Print)?;
        let until = Instant::now() + arguments.interval;
        if terminal.wait(until).map_err(Error::Print)? == Some(Key::Quit) {
            return Ok(());
        }
        lines = match fetch::newer(address, &before) {
            Ok(now) => {
                let rates = Rates::between(&before, &now, arguments.sort);
                before = now;
                screen::draw(&rates, terminal::size(), colour)
            }
            Err(error) => screen::wrapped(&error.to_string(), terminal::size()),
        };
    }
}

fn address(arguments: &Arguments) -> Result<SocketAddr, Error> {
    if let Some(address) = arguments.address {
        return Ok(address);
    }
    let config = Config::load(arguments.config.as_deref())?;
    Ok(config.metrics.ok_or(FetchError::Off)?)
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "a number of seconds is expected".to_owned())?;
    if !(1.0..=3600.0).contains(&seconds) {
        return Err("1 to 3600 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
