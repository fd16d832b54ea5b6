//! Calls that their registers tell: what a parameter of theirs reads as.

use std::borrow::Cow;

use monitor_common::Slot;
use monitor_common::call::{ENDS, Registers};
use monitor_common::syscall::{self, Machine};
use monitor_policy::{EventType, Value, View, text};

use super::Event;
use super::arguments::{Parameter, capabilities, descriptor, directory_descriptor, flags};
use super::signature::{MOUNT, Shape, parameters};

const PR_SET_NAME: u32 = 15;
const AF_UNIX: u32 = 1;

/// A parameter of the call.
pub(super) fn parameter<'e>(event: &'e Event<'_>, name: &str, view: View) -> Option<Parameter<'e>> {
    let body = event.record.registers()?;
    let (names, shapes) = parameters(event.kind.name());
    let (_, shape) = names
        .iter()
        .zip(shapes)
        .find(|(known, _)| **known == name)?;
    let argument = |index: usize| body.args.get(index).copied().unwrap_or_default();
    // The kernel looks at the lower half of all of these.
    let word = |index| argument(index) as u32;
    let slot = |slot| event.record.string(slot);
    Some(match *shape {
        Shape::Result => Parameter::errno(body.ret),
        Shape::NewDescriptor => opened(body.ret, slot(Slot::Args)),
        Shape::Path => Parameter::Text(event.paths.main(view).into()),
        Shape::OldPath => Parameter::Text(event.paths.target(view).into()),
        Shape::Text => Parameter::Text(slot(Slot::Args).into()),
        Shape::Directory(index) => directory_descriptor(word(index) as i32, slot(Slot::Base)),
        Shape::OldDirectory(index) => {
            directory_descriptor(word(index) as i32, slot(Slot::TargetBase))
        }
        Shape::Descriptor(index) => held(event, word(index) as i32, view),
        Shape::User(index) => id(word(index), |id| super::user::name_or_na(event, id)),
        Shape::Group(index) => id(word(index), |id| super::user::group_or_na(event, id)),
        Shape::Number(index)
        | Shape::Signed(index)
        | Shape::Mode(index)
        | Shape::Signal(index)
        | Shape::Flags(index, _)
        | Shape::OneOf(index, _)
        | Shape::Domain(index) => number(*shape, argument(index))?,
        Shape::MountFlags(index) => flags(without_mark(argument(index)), MOUNT),
        Shape::Address(index) => {
            Parameter::named(argument(index), format!("{:X}", argument(index)))
        }
        Shape::Process(index) => process(event, word(index)),
        Shape::Part(index, shift, bits, names) => {
            one_of(word(index) >> shift & (u32::MAX >> (32 - bits)), names)
        }
        Shape::Pipe(place) => end(body, place, "<p>")?,
        Shape::Pair(place) if word(0) == AF_UNIX => end(body, place, "<u>")?,
        Shape::Pair(place) => end(body, place, "")?,
        Shape::Content if body.ret > 0 => {
            Parameter::Text(text::printable(slot(Slot::Args)).into_bytes().into())
        }
        Shape::TaskName if word(0) == PR_SET_NAME && body.ret >= 0 => {
            Parameter::Text(event.task_name().into())
        }
        Shape::TaskName | Shape::Content | Shape::Absent => return None,
        Shape::Inheritable => capabilities(event.record.task().cap_inheritable),
        Shape::Permitted => capabilities(event.record.task().cap_permitted),
        Shape::Effective => capabilities(event.record.task().cap_effective),
        Shape::Call => Parameter::named(body.syscall.into(), event.kind.name()),
        Shape::CallNumber => Parameter::unsigned(own_number(body.syscall).into()),
    })
}

/// Flags of `mount(2)` without `MS_MGC_VAL` in their upper half, which the kernel takes off (`path_mount`
/// of `fs/namespace.c`): nobody hides flags behind it.
const fn without_mark(set: u64) -> u64 {
    if set & 0xffff_0000 == 0xc0ed_0000 {
        return set & 0xffff;
    }
    set
}

/// A parameter that is one argument of the call and nothing else.
fn number(shape: Shape, argument: u64) -> Option<Parameter<'static>> {
    // The kernel looks at the lower half of all of these but numbers and flags.
    let word = argument as u32;
    Some(match shape {
        Shape::Number(_) => Parameter::unsigned(argument),
        Shape::Signed(_) => Parameter::signed((word as i32).into()),
        Shape::Mode(_) => Parameter::named(word.into(), text::mode(word)),
        Shape::Signal(_) => Parameter::named(word.into(), text::signal(word as i32)),
        Shape::Flags(_, names) => flags(argument, names),
        Shape::OneOf(_, names) => one_of(word, names),
        Shape::Domain(_) => Parameter::named(word.into(), text::socket_domain(word)),
        _ => return None,
    })
}

/// A parameter that is one argument of the call and nothing else, for the kernel's filter.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct NumberArgument {
    /// Which argument.
    pub(crate) index: usize,
    shape: Shape,
}

impl NumberArgument {
    /// The parameter of this name, if it is one.
    pub(crate) fn of(event: EventType, name: &str) -> Option<Self> {
        let (names, shapes) = parameters(event.name());
        let (_, shape) = names
            .iter()
            .zip(shapes)
            .find(|(known, _)| **known == name)?;
        let (Shape::Number(index)
        | Shape::Signed(index)
        | Shape::Mode(index)
        | Shape::Signal(index)
        | Shape::Flags(index, _)
        | Shape::OneOf(index, _)
        | Shape::Domain(index)) = *shape
        else {
            return None;
        };
        Some(Self {
            index,
            shape: *shape,
        })
    }

    /// How a value reads.
    pub(crate) fn text(self, value: u64) -> Vec<u8> {
        match number(self.shape, value) {
            Some(Parameter::Text(text) | Parameter::Named(_, text)) => text.into_owned(),
            None => Vec::new(),
        }
    }

    /// Whether it reads as the names of its bits.
    pub(crate) const fn has_bits(self) -> bool {
        matches!(self.shape, Shape::Mode(_) | Shape::Flags(..))
    }

    /// The values that have names of their own, and others; of bits, one name each.
    pub(crate) fn named(self) -> Vec<u64> {
        match self.shape {
            Shape::Flags(_, names) | Shape::OneOf(_, names) => {
                names.iter().map(|(value, _)| *value).collect()
            }
            Shape::Mode(_) => (0..32).map(|bit| 1 << bit).collect(),
            Shape::Signal(_) | Shape::Domain(_) => (0..=64).collect(),
            _ => Vec::new(),
        }
    }
}

/// The number that a call has in this machine's own ABI; that of x86-64 where there is none.
fn own_number(number: u32) -> u32 {
    let own = syscall::call(number).and_then(|call| call.number_on(Machine::OWN));
    own.unwrap_or(number)
}

/// An id of a user or group, by its name.
fn id<'e>(id: u32, name: impl FnOnce(u32) -> &'e str) -> Parameter<'e> {
    let text = if id == u32::MAX { "<NONE>" } else { name(id) };
    Parameter::named(id.into(), text)
}

/// A process or thread by its name, where the caller has the numbers that this table has; else its
/// number, which 0 and what is below always are.
pub(super) fn process<'e>(event: &'e Event<'_>, number: u32) -> Parameter<'e> {
    let task = event.record.task();
    let of_host = task.vtid == task.tid;
    let known = event.world.table.by_pid(number).filter(|_| of_host);
    let text = match known {
        Some(process) => process.name().to_vec(),
        None => (number as i32).to_string().into_bytes(),
    };
    Parameter::Named(Value::Signed((number as i32).into()), Cow::Owned(text))
}

/// The name of a value; the number when it has none.
fn one_of<'e>(value: u32, names: &[(u64, &str)]) -> Parameter<'e> {
    let found = names.iter().find(|(number, _)| *number == u64::from(value));
    match found {
        Some((_, name)) => Parameter::named(value.into(), *name),
        None => Parameter::unsigned(value.into()),
    }
}

/// A descriptor that the call was given, with its file where that is known.
fn held<'e>(event: &'e Event<'_>, number: i32, view: View) -> Parameter<'e> {
    if event.held().is_some_and(|held| held.socket.fd == number) {
        return descriptor(event, number.into(), view);
    }
    let text = number.to_string().into_bytes();
    Parameter::Named(Value::Signed(number.into()), text.into())
}

/// A descriptor that the call made, of two.
fn end<'e>(body: &Registers, place: usize, kind: &str) -> Option<Parameter<'e>> {
    let both = body.args.get(ENDS).filter(|_| body.ret >= 0)?;
    let known = *both != u64::MAX;
    let descriptor = (both >> (32 * place)) as i32;
    let text = format!("{kind}{descriptor}");
    known.then(|| Parameter::Named(Value::Signed(descriptor.into()), text.into_bytes().into()))
}

/// What a call read or wrote, the head of it, and how much that was.
pub(super) fn content<'e>(event: &'e Event<'_>) -> Option<(&'e [u8], u64)> {
    let body = event.record.registers()?;
    let (_, shapes) = parameters(event.kind.name());
    let told = shapes.iter().any(|shape| matches!(shape, Shape::Content));
    let length = u64::try_from(body.ret).ok().filter(|_| told)?;
    Some((event.record.string(Slot::Args), length))
}

/// The descriptor of a new anonymous file.
fn opened<'e>(result: i64, name: &[u8]) -> Parameter<'e> {
    if result < 0 {
        return Parameter::errno(result);
    }
    let text = [b"<m>memfd:", name].concat();
    Parameter::Named(Value::Signed(result), Cow::Owned(text))
}
