//! Questions in pieces.

use zerocopy::{FromBytes as _, FromZeros as _};

use super::*;

/// The question for `a.test`, of type TXT, behind its length.
const ASKED: &[u8] = b"\0\x18\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x10\0\x01";

fn segment(port: u16, sequence: u32, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_zeroed();
    header.kind = Kind::Dns as u16;
    let mut body = Dns::new_zeroed();
    body.socket.protocol = TCP;
    body.socket.local_port = port;
    body.sequence = sequence;
    body.length = bytes.len() as u32;
    with_messages(&header, &body, bytes)
}

fn take(streams: &mut Streams, port: u16, sequence: u32, bytes: &[u8]) -> Piece {
    streams.take(&Record::parse(&segment(port, sequence, bytes)).expect("a record"))
}

/// A segment of which the record has only the beginning.
fn take_cut(streams: &mut Streams, port: u16, sequence: u32, bytes: &[u8], length: usize) -> Piece {
    let mut segment = segment(port, sequence, bytes);
    let body = segment.get_mut(size_of::<Header>()..).expect("a body");
    let (body, _) = Dns::mut_from_prefix(body).expect("a body");
    body.length = length as u32;
    streams.take(&Record::parse(&segment).expect("a record"))
}

/// How many were lost for each reason.
fn lost(streams: &Streams) -> Vec<(LossReason, u64)> {
    let mut lost = Vec::new();
    streams.add_lost(&mut lost);
    lost.iter().map(|loss| (loss.reason, loss.count)).collect()
}

/// The messages of a record.
fn told(piece: Piece) -> Option<Vec<u8>> {
    let Piece::Completed(bytes) = piece else {
        return None;
    };
    let record = Record::parse(&bytes).expect("a record");
    Some(record.string(Slot::Args).to_vec())
}

#[test]
fn whole_messages_pass_as_they_are() {
    let mut streams = Streams::default();
    assert_eq!(take(&mut streams, 1, 7, ASKED), Piece::Whole);
    assert_eq!(
        take(&mut streams, 1, 7, &[ASKED, ASKED].concat()),
        Piece::Whole
    );
    assert!(streams.streams.is_empty());
}

#[test]
fn a_question_byte_by_byte_is_told_once_it_is_there() {
    let mut streams = Streams::default();
    // The numbers wrap, and each byte is sent twice.
    let mut sequence = u32::MAX - 3;
    let mut seen = Vec::new();
    for byte in ASKED {
        let now = take(&mut streams, 1, sequence, &[*byte]);
        seen.extend(told(now));
        let again = take(&mut streams, 1, sequence, &[*byte]);
        assert!(seen.len() == 1 || again == Piece::Held);
        sequence = sequence.wrapping_add(1);
    }
    assert_eq!(seen, [ASKED]);
}

#[test]
fn the_head_of_a_second_question_waits() {
    let mut streams = Streams::default();
    let first = [ASKED, &ASKED[..9]].concat();
    assert_eq!(
        told(take(&mut streams, 1, 0, &first)).as_deref(),
        Some(ASKED)
    );
    let rest = take(&mut streams, 1, first.len() as u32, &ASKED[9..]);
    assert_eq!(told(rest).as_deref(), Some(ASKED));
}

#[test]
fn connections_are_kept_apart() {
    let mut streams = Streams::default();
    assert_eq!(take(&mut streams, 1, 0, &ASKED[..5]), Piece::Held);
    assert_eq!(take(&mut streams, 2, 5, &ASKED[..3]), Piece::Held);
    let first = take(&mut streams, 1, 5, &ASKED[5..]);
    assert_eq!(told(first).as_deref(), Some(ASKED));
    // Another connection between the same ends.
    assert_eq!(take(&mut streams, 2, 1000, ASKED), Piece::Whole);
}

#[test]
fn what_has_no_room_is_counted() {
    let mut streams = Streams::default();
    for port in 0..=STREAMS_MAX as u16 {
        take(&mut streams, port, 0, &ASKED[..5]);
    }
    assert!(streams.streams.len() <= STREAMS_MAX);
    let mut lost = Vec::new();
    streams.add_lost(&mut lost);
    assert!(lost[0].count > 0);
    // A message that never ends and asks nothing.
    let mut streams = Streams::default();
    take(&mut streams, 1, 0, b"\xff\xff");
    take(&mut streams, 1, 2, &[0; 2 * MESSAGE_MAX]);
    let mut lost = Vec::new();
    streams.add_lost_by_cgroup(&mut lost);
    assert_eq!(lost[0].count, 1);
}

#[test]
fn what_does_not_come_in_order_is_counted() {
    let evicted = |count| [(LossReason::StateEvicted, count)];
    let mut streams = Streams::default();
    take(&mut streams, 1, 0, &ASKED[..5]);
    assert_eq!(lost(&streams), []);
    // One is missing.
    take(&mut streams, 1, 9, &ASKED[9..]);
    assert_eq!(lost(&streams), evicted(1));
    // It comes late.
    take(&mut streams, 1, 5, &ASKED[5..9]);
    assert_eq!(lost(&streams), evicted(2));
    // What follows in order is told.
    let mut streams = Streams::default();
    take(&mut streams, 1, 5, &ASKED[5..]);
    assert_eq!(take(&mut streams, 1, 0, ASKED), Piece::Whole);
    assert_eq!(lost(&streams), evicted(1));
}

#[test]
fn what_a_record_has_no_room_for_is_counted() {
    let too_long = |count| [(LossReason::TooLong, count)];
    let room = 4096;
    // A question with much behind it, of its own message: all that it asks is told.
    let mut streams = Streams::default();
    let mut long = ASKED.to_vec();
    long[..2].copy_from_slice(&5000_u16.to_be_bytes());
    long.resize(room, 0);
    assert_eq!(take_cut(&mut streams, 1, 0, &long, 5002), Piece::Whole);
    assert_eq!(take(&mut streams, 1, 5002, ASKED), Piece::Whole);
    assert_eq!(lost(&streams), []);
    // Another message behind that, in the same segment.
    take_cut(&mut streams, 1, 9000, &long, 5002 + ASKED.len());
    assert_eq!(lost(&streams), too_long(1));
    // A segment that begins in the middle of a length.
    let mut streams = Streams::default();
    take(&mut streams, 1, 0, &long[..1]);
    let piece = take_cut(&mut streams, 1, 1, &long[1..], 9000);
    assert_eq!(told(piece).as_deref(), Some(&*long));
    assert_eq!(lost(&streams), too_long(1));
    // With what the kernel has counted.
    let mut all = vec![Loss {
        kind: Kind::Dns,
        reason: LossReason::TooLong,
        cpu: 0,
        count: 2,
    }];
    streams.add_lost(&mut all);
    assert_eq!((all.len(), all[0].count), (1, 3));
}
