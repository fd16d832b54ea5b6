//! What tells of a call in a record that is begun: a function for each form of it, which takes the
//! number of the record's slot, so that the verifier looks at it once for each program.
//!
//! What they give back is an `emit::code`.

use monitor_common::Kind;
use monitor_common::syscall::Operation;

use crate::call;
use crate::file::{self, AT_FDCWD};
use crate::filter::{self, Asked};
use crate::message;
use crate::network;
use crate::process;
use crate::read::current;
use crate::record::{about, wanted};
use crate::serve;
use crate::syscall::{is_own, link_arguments, open_arguments};

macro_rules! tells {
    ($($name:ident $symbol:literal $told:path;)*) => {
        $(#[unsafe(export_name = $symbol)]
        #[inline(never)]
        pub extern "C" fn $name(number: u32) -> u32 {
            about(number, $told)
        })*
    };
}

tells! {
    connect "tell_connect" network::connect_call;
    socket "tell_socket" network::socket;
    dup "tell_dup" network::dup;
    send "tell_send" message::send;
    receive "tell_receive" message::receive;
    accept "tell_accept" serve::accept;
    listen "tell_listen" serve::listen;
    bind "tell_bind" serve::bind;
    ptrace "tell_ptrace" process::ptrace;
}

macro_rules! looks {
    ($($name:ident $symbol:literal $refuses:path;)*) => {
        $(/// Whether some rule may match the call; the record is not started.
        #[unsafe(export_name = $symbol)]
        #[inline(never)]
        pub extern "C" fn $name(number: u32) -> u32 {
            wanted(number, $refuses)
        })*
    };
}

looks! {
    look_socket "look_socket" network::refuses_socket;
    look_dup "look_dup" network::refuses_dup;
}

/// An open, by its [`Operation`], and what the filter said of it, if it was asked.
/// The record is not started.
#[unsafe(export_name = "tell_open")]
#[inline(never)]
pub extern "C" fn open(number: u32, operation: u32, filter: u32, left: u64) -> u32 {
    const OPEN_AT2: u8 = Operation::OpenAt2 as u8;
    about(number, |record, call| {
        let task = current();
        if is_own(task) {
            return Ok(());
        }
        let mut open = open_arguments(operation as u8, call);
        if operation as u8 == OPEN_AT2 {
            file::as_made(call, &mut open);
        }
        let asked = if filter == 0 {
            let asked = filter::ask(call, &open);
            if asked.refuses() {
                return Ok(());
            }
            asked
        } else {
            Asked {
                filter,
                class: filter::class_of(call, &open),
                left,
            }
        };
        file::open(record, task, call, &open, asked)
    })
}

/// A link, by its [`Operation`].
#[unsafe(export_name = "tell_link")]
#[inline(never)]
pub extern "C" fn link(number: u32, operation: u32) -> u32 {
    const SYMLINK: u8 = Operation::Symlink as u8;
    const SYMLINK_AT: u8 = Operation::SymlinkAt as u8;
    about(number, |record, call| {
        let kind = match operation as u8 {
            SYMLINK | SYMLINK_AT => Kind::Symlink,
            _ => Kind::Link,
        };
        let link = link_arguments(operation as u8, call);
        file::link(record, kind, call, &link)
    })
}

/// An exec that failed: without (1) or with a directory.
#[unsafe(export_name = "tell_exec")]
#[inline(never)]
pub extern "C" fn exec(number: u32, plain: u32) -> u32 {
    about(number, |record, call| {
        if plain != 0 {
            process::exec_failed(record, call, AT_FDCWD, call.args[0])
        } else {
            process::exec_failed(record, call, call.args[0] as i32, call.args[1])
        }
    })
}

/// A call that its registers tell; `owner` is whom names were noted for.
#[unsafe(export_name = "tell_registers")]
#[inline(never)]
pub extern "C" fn registers(number: u32, kind: u32, strings: u32, owner: u64) -> u32 {
    about(number, |record, call| {
        call::report(record, call, kind, || strings, owner)
    })
}
