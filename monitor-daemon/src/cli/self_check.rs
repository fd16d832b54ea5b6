//! `self-check`: what the daemon starts itself as, to do what its probes must see. Not for people.

use std::io;

use clap::Args;

use crate::confine;
use crate::selfcheck::{child, starter};

/// Do harmless acts of these names, and say how each went.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Names of acts.
    acts: Vec<String>,
    /// Instead, start children that do, as a socket on standard input says.
    #[arg(long)]
    serve: bool,
}

pub(super) fn run(arguments: &Arguments) {
    if arguments.serve {
        confine::helper();
        // It waits most of the time. Where it cannot, it only has more memory than it needs.
        let _stays = monitor_memory::give_back_program();
        // The daemon has ended, and so does this.
        let _ended = starter::serve();
        return;
    }
    let names = arguments.acts.iter().map(String::as_str);
    // Whoever asked and went away needs no answer.
    let _told = child::perform(names, &mut io::stdout().lock());
}
