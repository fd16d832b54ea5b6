//! As much of the wire format of Protocol Buffers as a few small messages need.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A field of one of the types that are written with as many bytes as it takes.
    pub(super) fn varint(mut self, field: u64, value: u64) -> Self {
        self.push(field << 3 | VARINT);
        self.push(value);
        self
    }

    /// A field of eight bytes.
    pub(super) fn fixed64(mut self, field: u64, value: u64) -> Self {
        self.push(field << 3 | FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A text.
    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// A message within.
    pub(super) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// A text, or a message that has been written already.
    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.push(field << 3 | BYTES);
        self.push(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// One field for each message.
    pub(super) fn messages(self, field: u64, messages: impl IntoIterator<Item = Self>) -> Self {
        let messages = messages.into_iter();
        messages.fold(self, |all, message| all.message(field, &message))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Fields of a message in their order, up to the end or to what is no message.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.number()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.number()?),
            FIXED64 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            FIXED32 => {
                let number = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
                Value::Number(number.into())
            }
            BYTES => {
                let length = self.number()?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(*self.take(1)?.first()?);
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// The last message or text of this field, as a message has it that has several.
pub(super) fn bytes(message: &[u8], field: u64) -> Option<&[u8]> {
    let fields = Fields(message).filter_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    });
    fields.last()
}

/// The last number of this field; 0, as the format has it, without one.
pub(super) fn number(message: &[u8], field: u64) -> u64 {
    let fields = Fields(message).filter_map(|(found, value)| match value {
        Value::Number(number) if found == field => Some(number),
        _ => None,
    });
    fields.last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_cut_off_ends_it() {
        let inner = Message::new().text(1, "a").varint(2, u64::MAX);
        let whole = Message::new()
            .fixed64(300, 7)
            .message(4, &inner)
            .varint(5, 128);
        let whole = whole.into_bytes();
        assert_eq!((number(&whole, 300), number(&whole, 5)), (7, 128));
        let inner = bytes(&whole, 4).unwrap();
        assert_eq!(bytes(inner, 1), Some(b"a".as_slice()));
        assert_eq!((number(inner, 2), number(inner, 9)), (u64::MAX, 0));
        for length in 0..whole.len() {
            assert!(Fields(&whole[..length]).count() < 3, "{length}");
        }
        assert_eq!(Fields(&[0xff; 20]).count(), 0);
    }
}
