//! `dns.*`: what is asked of a server of names, and what it says.
//!
//! Whoever sends a message may write anything into it, so it is read part by part: what cannot be
//! read is missing, and hides nothing before it. Names are in lower case, since servers do not
//! tell cases apart and programs mix them.

use std::borrow::Cow;

use domain::base::iana::{Class, Rtype};
use domain::base::message::Message as Reader;
use domain::base::name::ParsedName;
use domain::base::record::ParsedRecord;
use domain::rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Srv, Txt};
use monitor_common::Slot;
use monitor_policy::{Field, FieldRef, Value};

use super::Event;
use super::arguments::Parameter;
use crate::record::{Body, Record};

/// Its name in rules.
pub(crate) const NAME: &str = "dns";
/// Names of its parameters.
pub(super) const PARAMETERS: &[&str] =
    &["res", "type", "name", "qtype", "rcode", "answers", "addr"];
const TCP: u16 = 6;
/// Classes of questions that servers know.
const ASKED_FOR: [Class; 4] = [Class::IN, Class::CH, Class::HS, Class::ANY];
/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 64;
/// Questions of a record that are told. Programs put one into a message, at most a few messages into a
/// segment, and the kernel takes 128 datagrams at once.
const QUESTIONS_MAX: usize = 128;

/// Whether bytes look like a message that asks what is asked, as far as its only question.
pub(crate) fn asks(bytes: &[u8]) -> bool {
    let Ok(reader) = Reader::from_slice(bytes) else {
        return false;
    };
    let class = reader.first_question().map(|question| question.qclass());
    reader.header_counts().qdcount() == 1 && class.is_some_and(|class| ASKED_FOR.contains(&class))
}

/// A question of a message, and what else the message says, as far as it can be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Message {
    /// Whether it was received. The message's own word for it may be false.
    received: bool,
    /// Name and type.
    question: Option<(String, String)>,
    /// How an answer ends.
    rcode: Option<String>,
    /// What the records of the answer say.
    answers: Vec<Vec<u8>>,
}

impl Message {
    /// All questions of the messages in a record; none if it has no message, or one over TCP does not
    /// begin there.
    pub(super) fn all_of(record: &Record<'_>) -> Vec<Self> {
        let Body::Dns(body) = record.body() else {
            return Vec::new();
        };
        let bytes = record.string(Slot::Args);
        let received = body.received != 0;
        let mut all = if body.socket.protocol == TCP {
            Self::of_segment(bytes, received)
        } else if body.datagram != 0 {
            let datagrams = bytes.chunks(body.datagram as usize);
            datagrams
                .flat_map(|datagram| Self::read(datagram, received))
                .collect()
        } else {
            Self::read(bytes, received)
        };
        all.truncate(QUESTIONS_MAX);
        all
    }

    /// The messages that begin in a segment of TCP, each behind its length; or one right there, where
    /// the length was sent before, if it asks what is asked: many a byte in the middle of a long
    /// message could be the beginning of another.
    fn of_segment(bytes: &[u8], received: bool) -> Vec<Self> {
        let mut all = Vec::new();
        let mut rest = bytes;
        while let Some((length, behind)) = rest.split_first_chunk::<2>()
            && all.len() < QUESTIONS_MAX
        {
            let length = usize::from(u16::from_be_bytes(*length));
            let found = Self::read(behind, received);
            if found.iter().any(|found| found.question.is_some()) {
                all.extend(found);
            } else if length > behind.len() {
                break;
            }
            rest = behind.get(length..).unwrap_or_default();
        }
        if all.is_empty() && asks(bytes) {
            all = Self::read(bytes, received);
        }
        all
    }

    /// Reads what can be read of a message: one for each of its questions, and one where there is none.
    fn read(bytes: &[u8], received: bool) -> Vec<Self> {
        let mut message = Self {
            received,
            ..Self::default()
        };
        let Ok(reader) = Reader::from_slice(bytes) else {
            return vec![message];
        };
        if received {
            let records = reader.answer().into_iter().flatten();
            let records = records.take(RECORDS_MAX).map_while(Result::ok);
            message.answers = records.filter_map(|record| said(&record)).collect();
            message.rcode = Some(reader.opt_rcode().to_string());
        }
        let questions = reader.question().map_while(Result::ok);
        let mut all: Vec<Self> = questions
            .take(QUESTIONS_MAX)
            .map(|found| Self {
                question: Some((text(found.qname()), found.qtype().to_string())),
                ..message.clone()
            })
            .collect();
        if all.is_empty() {
            all.push(message);
        }
        all
    }

    const fn kind(&self) -> &'static str {
        if self.received { "answer" } else { "query" }
    }
}

/// What a record says, for the types that lead somewhere.
fn said(record: &ParsedRecord<'_, [u8]>) -> Option<Vec<u8>> {
    macro_rules! data {
        ($kind:ty) => {
            record.to_record::<$kind>().ok()??.into_data()
        };
    }
    let name = match record.rtype() {
        Rtype::A => return Some(data!(A).addr().to_string().into_bytes()),
        Rtype::AAAA => return Some(data!(Aaaa).addr().to_string().into_bytes()),
        Rtype::TXT => return Some(data!(Txt<&[u8]>).iter().flatten().copied().collect()),
        Rtype::CNAME => text(data!(Cname<ParsedName<&[u8]>>).cname()),
        Rtype::NS => text(data!(Ns<ParsedName<&[u8]>>).nsdname()),
        Rtype::PTR => text(data!(Ptr<ParsedName<&[u8]>>).ptrdname()),
        Rtype::MX => text(data!(Mx<ParsedName<&[u8]>>).exchange()),
        Rtype::SRV => text(data!(Srv<ParsedName<&[u8]>>).target()),
        _ => return None,
    };
    Some(name.into_bytes())
}

/// A name in lower case, without the dot at its end; `.` for the root.
fn text(name: &ParsedName<&[u8]>) -> String {
    let mut text = name.to_string();
    text.make_ascii_lowercase();
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let message = event.dns.as_ref()?;
    Some(match field.field {
        Field::DnsType => Value::Text(message.kind().as_bytes().into()),
        Field::DnsQuestionName => Value::Text(message.question.as_ref()?.0.as_bytes().into()),
        Field::DnsQuestionType => Value::Text(message.question.as_ref()?.1.as_bytes().into()),
        Field::DnsRcode => Value::Text(message.rcode.as_ref()?.as_bytes().into()),
        Field::DnsAnswers => {
            let mut answers = Vec::new();
            elements(event, field, &mut answers);
            (!answers.is_empty()).then_some(Value::List(answers))?
        }
        _ => return None,
    })
}

/// Adds the answers, if the field is about them; whether it is.
pub(super) fn elements<'e>(
    event: &'e Event<'_>,
    field: &FieldRef,
    elements: &mut Vec<Value<'e>>,
) -> bool {
    if field.field != Field::DnsAnswers {
        return false;
    }
    let answers = event.dns.iter().flat_map(|message| &message.answers);
    elements.extend(answers.map(|answer| Value::Text(answer.as_slice().into())));
    true
}

pub(super) fn parameter<'e>(event: &'e Event<'_>, name: &str) -> Option<Parameter<'e>> {
    let message = event.dns.as_ref()?;
    let text = |text: &'e str| Parameter::Text(text.as_bytes().into());
    Some(match name {
        "res" => Parameter::signed(event.result()?),
        "type" => text(message.kind()),
        "name" => text(&message.question.as_ref()?.0),
        "qtype" => text(&message.question.as_ref()?.1),
        "rcode" => text(message.rcode.as_ref()?),
        "answers" if message.received => Parameter::Text(Cow::Owned(message.answers.join(&b','))),
        "addr" => {
            let server = super::ends::tuple(event)?.server?.passed();
            Parameter::Text(server.into_bytes().into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these counts of questions and answers, and what follows.
    fn message(flags: u16, questions: u16, answers: u16, rest: &[u8]) -> Vec<u8> {
        let header = [7, flags, questions, answers, 0, 0];
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        header.chain(rest.iter().copied()).collect()
    }

    fn read(bytes: &[u8], received: bool) -> (String, String, String) {
        let all = Message::read(bytes, received);
        let answers = all[0].answers.join(&b',');
        (
            asked(&all),
            all[0].rcode.clone().unwrap_or_default(),
            String::from_utf8_lossy(&answers).into_owned(),
        )
    }

    /// Names and types of all questions.
    fn asked(all: &[Message]) -> String {
        let questions = all.iter().filter_map(|message| message.question.as_ref());
        let questions = questions.map(|(name, kind)| format!("{name} {kind}"));
        questions.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn questions_are_read_as_far_as_they_go() {
        let cases: [(&str, Vec<u8>, &str); 11] = [
            (
                "plain",
                message(0x100, 1, 0, b"\x03WwW\x02Ex\0\0\x01\0\x01"),
                "www.ex A",
            ),
            ("the root", message(0, 1, 0, b"\0\0\x02\0\x01"), ". NS"),
            (
                "a type without a name",
                message(0, 1, 0, b"\x01a\0\xff\x37\0\x01"),
                "a TYPE65335",
            ),
            (
                "bytes that are no text",
                message(0, 1, 0, b"\x03a.\0\0\0\x10\0\x01"),
                "a\\.\\000 TXT",
            ),
            (
                "two",
                message(0, 2, 0, b"\x01a\0\0\x01\0\x01\x01b\xc0\x0c\0\x10\0\x01"),
                "a A, b.a TXT",
            ),
            (
                "a second that is cut off",
                message(0, 2, 0, b"\x01a\0\0\x01\0\x01\x01b"),
                "a A",
            ),
            (
                "rubbish behind it",
                message(0, 1, 9, b"\x01a\0\0\x01\0\x01\xff\xff"),
                "a A",
            ),
            (
                "called an answer",
                message(0x8000, 1, 0, b"\x01a\0\0\x01\0\x01"),
                "a A",
            ),
            ("cut off", message(0, 1, 0, b"\x09exam"), ""),
            (
                "a name that holds itself",
                message(0, 1, 0, b"\x01a\xc0\x0c\0\x01\0\x01"),
                "",
            ),
            ("no header", b"\0\x07\x01".to_vec(), ""),
        ];
        for (what, bytes, expected) in cases {
            let (question, rcode, answers) = read(&bytes, false);
            assert_eq!(
                (&*question, &*rcode, &*answers),
                (expected, "", ""),
                "{what}"
            );
        }
    }

    #[test]
    fn a_segment_begins_with_a_length_or_behind_it() {
        let whole = message(0x100, 1, 0, b"\x01a\x02ex\0\0\x01\0\x01");
        let length = (whole.len() as u16).to_be_bytes();
        let framed = [&length[..], &whole].concat();
        let other_class = message(0x100, 1, 0, b"\x01a\x02ex\0\0\x01\0\x07");
        let cases: [(&str, Vec<u8>, &str); 9] = [
            ("whole", framed.clone(), "a.ex A"),
            ("its length", length.to_vec(), ""),
            ("what follows that", whole.clone(), "a.ex A"),
            ("of no class", other_class, ""),
            ("the middle of one", whole[5..].to_vec(), ""),
            ("nothing", Vec::new(), ""),
            ("two", [&framed[..], &framed].concat(), "a.ex A, a.ex A"),
            (
                "a beginning behind one",
                [&framed[..], &[0]].concat(),
                "a.ex A",
            ),
            (
                "a length that lies",
                [&[0, 5], &whole[..]].concat(),
                "a.ex A",
            ),
        ];
        for (what, bytes, expected) in cases {
            let found = Message::of_segment(&bytes, false);
            assert_eq!(asked(&found), expected, "{what}");
        }
    }

    #[test]
    fn answers_say_where_names_lead() {
        let record = |kind: u8, content: &[u8]| {
            let length = content.len() as u8;
            [
                &[0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 60, 0, length],
                content,
            ]
            .concat()
        };
        let question = b"\x01A\x02ex\0\0\x01\0\x01";
        let records = [
            record(5, b"\x01B\xc0\x0e"),
            record(1, &[203, 0, 113, 7]),
            record(
                28,
                &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ),
            record(16, b"\x03a b\x01c"),
            record(15, b"\0\x0a\x02mx\xc0\x0e"),
            record(33, b"\0\x01\0\x01\0\x35\x02sv\0"),
            // Nobody is led anywhere by this one.
            record(13, b"\x01x\x01y"),
            record(12, b"\x02pt\0"),
        ];
        let expected = "b.ex,203.0.113.7,2001:db8::1,a bc,mx.ex,sv,pt";
        let rest = [&question[..], &records.concat()].concat();
        let (asked, rcode, answers) = read(&message(0x8180, 1, 8, &rest), true);
        assert_eq!(
            (&*asked, &*rcode, &*answers),
            ("a.ex A", "NOERROR", expected)
        );

        let broken = [&question[..], &records[1], &records[1][..9]].concat();
        let (_, _, answers) = read(&message(0x8180, 1, 9, &broken), true);
        assert_eq!(answers, "203.0.113.7");
        let none = read(&message(0x8183, 1, 0, question), true);
        assert_eq!((&*none.1, &*none.2), ("NXDOMAIN", ""));
        let many = [&question[..], &records[1].repeat(200)].concat();
        let found = Message::read(&message(0x8180, 1, 200, &many), true);
        assert_eq!(found[0].answers.len(), RECORDS_MAX);
    }
}
