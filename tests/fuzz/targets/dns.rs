//! A DNS message as a packet brought it, which anybody may have made: read as far as it goes, in
//! both directions, over UDP and TCP.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use monitor_common::network::Dns;
use monitor_common::{Header, Kind, Slot};
use monitor_daemon::event::{Actor, Event, World};
use monitor_daemon::names::NameTable;
use monitor_daemon::process::{Image, Limits, Process, Table};
use monitor_daemon::record::Record;
use monitor_policy::{Event as _, Field, FieldRef, Value, View};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// A name of 255 bytes in which each byte is written as four.
const NAME_MAX: usize = 4 * 255;
/// Records that are looked at.
const ANSWERS_MAX: usize = 64;

fuzz_target!(|message: &[u8]| {
    for (received, protocol) in [(0, 17), (1, 17), (0, 6), (1, 6)] {
        let bytes = record(message, received, protocol);
        let record = Record::parse(&bytes).expect("a record whose lengths are right");
        look(record);
    }
});

fn look(record: Record<'_>) {
    let table = Table::new(Limits::default());
    let image = Arc::new(Image::default());
    let process = Process::new(*record.task(), image, Arc::default(), None);
    let names = NameTable::default();
    let world = World {
        table: &table,
        accounts: None,
        names: &names,
        hostname: "host",
        boot_to_epoch_ns: 0,
    };
    let actor = Actor::live(Arc::new(process));
    let Some(event) = Event::join(record, &actor, None, world, 1) else {
        return;
    };
    let value = |field: Field| event.value(&FieldRef::from(field), View::Passed);
    assert!(value(Field::DnsType).is_some());
    if let Some(Value::Text(name)) = value(Field::DnsQuestionName) {
        assert!(!name.is_empty() && name.len() <= NAME_MAX);
        assert!(
            name.iter()
                .all(|byte| (b' '..0x7f).contains(byte) && !byte.is_ascii_uppercase())
        );
    }
    if let Some(Value::List(answers)) = value(Field::DnsAnswers) {
        assert!(answers.len() <= ANSWERS_MAX);
    }
    value(Field::DnsQuestionType);
    value(Field::DnsRcode);
    value(Field::EvtArgs);
}

fn record(message: &[u8], received: u32, protocol: u16) -> Vec<u8> {
    let mut body = Dns::new_zeroed();
    body.received = received;
    body.length = message.len() as u32;
    body.socket.protocol = protocol;
    body.socket.family = 2;
    let mut header = Header::new_zeroed();
    header.kind = Kind::Dns as u16;
    header.strings[Slot::Args as usize] = message.len() as u32;
    header.len = (size_of::<Header>() + size_of::<Dns>() + message.len()) as u32;
    [header.as_bytes(), body.as_bytes(), message].concat()
}
