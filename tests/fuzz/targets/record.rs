//! Bytes from a ring: decoded or refused; what is decoded becomes an event, whose fields are asked
//! for in all views.
//!
//! Lengths that add up are hard to guess, so an input whose first byte is even is made honest:
//! the header's length is what it should be and its strings share what follows the body.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use monitor_common::{Header, Kind, SLOTS, Slot};
use monitor_daemon::event::{Actor, Event, World};
use monitor_daemon::names::NameTable;
use monitor_daemon::process::{Image, Limits, Process, ProcessKey, Table};
use monitor_daemon::record::{Body, DecodeError, Record};
use monitor_policy::{Event as _, Field, FieldRef, View};
use zerocopy::{FromBytes, IntoBytes};

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let bytes = if mode % 2 == 0 {
        honest(bytes)
    } else {
        bytes.to_vec()
    };
    if let Ok(record) = Record::parse(&bytes) {
        look(&record, *mode);
    }
});

/// All fields of the record as an event.
fn look(record: &Record<'_>, mode: u8) {
    for number in 0..SLOTS {
        let len = SLOT
            .get(number)
            .map_or(0, |slot| record.string(*slot).len());
        assert!(len <= record.header().len as usize);
    }
    let table = &mut Table::new(Limits::default());
    let process = apply(table, record);
    let names = NameTable::default();
    let world = World {
        table,
        accounts: None,
        names: &names,
        hostname: "host",
        boot_to_epoch_ns: u64::from(mode) << 56,
    };
    let actor = Actor::live(process);
    let Some(event) = Event::join(*record, &actor, None, world, 1) else {
        return;
    };
    event.time();
    // A part of them a run: runs are worth more than fields.
    for field in FIELDS.iter().skip(usize::from(mode % 32)).step_by(32) {
        for view in View::ALL {
            event.value(field, view);
        }
        event.has_name(field, "localhost");
    }
}

/// The table as the record changes it, and the acting process.
fn apply(table: &mut Table, record: &Record<'_>) -> Arc<Process> {
    let (task, cwd) = (record.task(), record.string(Slot::Cwd));
    let image = Image {
        exe: record.string(Slot::Resolved).into(),
        args: record.string(Slot::Args).into(),
        environment: record.string(Slot::Env).into(),
        ..Image::default()
    };
    match record.body() {
        Body::Exec(_) => table.executed(task, image, cwd),
        Body::Fork(fork) => {
            let caller = ProcessKey::new(fork.caller_pid, fork.caller_start);
            table.forked(task, caller)
        }
        Body::Exit(_) => {
            let process = Process::new(*task, image.into(), cwd.into(), None);
            let process = table.found(process);
            table.exited(task, record.header().time);
            table.expire(u64::MAX);
            process
        }
        _ => table
            .seen(task, cwd)
            .unwrap_or_else(|| table.found(Process::new(*task, image.into(), cwd.into(), None))),
    }
}

/// The same bytes as a record whose lengths are right.
fn honest(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let fixed = size_of::<Header>() + 256;
    if bytes.len() < fixed {
        bytes.resize(fixed, 0);
    }
    let Ok((mut header, _)) = Header::read_from_prefix(&bytes) else {
        return bytes;
    };
    header.len = bytes.len() as u32;
    header.kind = Kind::ALL[header.kind as usize % Kind::ALL.len()] as u16;
    let wishes = std::mem::replace(&mut header.strings, [0; SLOTS]);
    write(&header, &mut bytes);
    // The decoder tells how much room the body leaves.
    let mut left = match Record::parse(&bytes) {
        Err(DecodeError::Strings { found, .. }) => found as u32,
        _ => 0,
    };
    for (length, wish) in header.strings.iter_mut().zip(wishes) {
        *length = wish % (left + 1);
        left -= *length;
    }
    header.strings[SLOTS - 1] += left;
    write(&header, &mut bytes);
    bytes
}

fn write(header: &Header, bytes: &mut [u8]) {
    let header = header.as_bytes();
    bytes[..header.len()].copy_from_slice(header);
}

const SLOT: [Slot; 10] = [
    Slot::Resolved,
    Slot::Passed,
    Slot::Cwd,
    Slot::Base,
    Slot::Args,
    Slot::Env,
    Slot::Target,
    Slot::TargetBase,
    Slot::TargetResolved,
    Slot::Original,
];

/// All fields, with the arguments that matter.
static FIELDS: LazyLock<Vec<FieldRef>> = LazyLock::new(|| {
    let mut fields = Vec::new();
    for field in Field::all() {
        fields.push(field.into());
        if field.takes_argument() {
            let numbers = (0..12).chain([u32::MAX]);
            fields.extend(numbers.map(|index| FieldRef::with_index(field, index)));
            fields.extend(KEYS.map(|key| FieldRef::with_key(field, key)));
        }
    }
    fields
});

const KEYS: [&str; 24] = [
    "HOME", "addr", "args", "cwd", "data", "domain", "dirfd", "env", "exe", "fd", "filename",
    "flags", "gid", "linkpath", "mode", "name", "newpath", "oldpath", "path", "request", "res",
    "target", "tuple", "uid",
];
