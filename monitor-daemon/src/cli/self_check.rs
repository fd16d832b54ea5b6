//! `self-check`: what the daemon starts itself as, to do what its probes must see. Not for people.

use std::io;

use clap::Args;

use crate::selfcheck::child;

/// Do harmless acts of these names, and say how each went.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Names of acts.
    acts: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) {
    let names = arguments.acts.iter().map(String::as_str);
    // Whoever asked and went away needs no answer.
    let _told = child::perform(names, &mut io::stdout().lock());
}
