//! `dns.*`: what is asked of a server of names, and what it says.
//!
//! Whoever sends a message may write anything into it, so it is read part by part: what cannot be
//! read is missing, and hides nothing before it. Names are in lower case, since servers do not
//! tell cases apart and programs mix them.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;
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
pub(super) const PARAMETERS: &[&str] = &["res", "type", "name", "qtype", "rcode", "answers", "addr"];
const TCP: u16 = 6;
/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 64;

/// A message, as far as it can be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Message {
    /// The first question: name and type.
    question: Option<(String, String)>,
    /// Whether it is an answer, and if so how the question ended.
    rcode: Option<String>,
    /// What the records of the answer say.
    answers: Vec<Vec<u8>>,
}

impl Message {
    /// The message in a record; `None` if it has none, or one over TCP does not begin there.
    pub(super) fn of(record: &Record<'_>) -> Option<Self> {
        let Body::Dns(body) = record.body() else {
            return None;
        };
        let bytes = record.string(Slot::Args);
        if body.socket.protocol != TCP {
            return Some(Self::read(bytes).unwrap_or_default());
        }
        // The length comes first.
        let (_, message) = bytes.split_first_chunk::<2>()?;
        Self::read(message).filter(|message| message.question.is_some())
    }

    /// Reads what can be read; `None` if it is too short.
    fn read(bytes: &[u8]) -> Option<Self> {
        let reader = Reader::from_slice(bytes).ok()?;
        let question = reader.first_question();
        let question = question.map(|found| (text(found.qname()), found.qtype().to_string()));
        let header = reader.header();
        if !header.qr() {
            return Some(Self {
                question,
                ..Self::default()
            });
        }
        let records = reader.answer().into_iter().flatten();
        let records = records.take(RECORDS_MAX).map_while(Result::ok);
        Some(Self {
            question,
            rcode: Some(reader.opt_rcode().to_string()),
            answers: records.filter_map(|record| said(&record)).collect(),
        })
    }

    const fn kind(&self) -> &'static str {
        if self.rcode.is_some() { "answer" } else { "query" }
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
        Rtype::A => return Some(Ipv4Addr::from(data!(A).addr()).to_string().into_bytes()),
        Rtype::AAAA => return Some(Ipv6Addr::from(data!(Aaaa).addr()).to_string().into_bytes()),
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
    if text.is_empty() { ".".to_owned() } else { text }
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
        "answers" if message.rcode.is_some() => {
            Parameter::Text(Cow::Owned(message.answers.join(&b','))) 
        }
        "addr" => {
            let server = super::fd::tuple(event)?.server?;
            Parameter::Text(server.to_string().into_bytes().into())
        }
        _ => return None,
    })
}
