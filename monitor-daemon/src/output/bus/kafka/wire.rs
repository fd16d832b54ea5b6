//! Kafka's numbers and texts: big endian, with lengths in front.

/// It is no Kafka.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the broker does not speak Kafka's protocol")]
pub(super) struct NotKafka;

/// What is left of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NotKafka> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NotKafka)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotKafka> {
        self.take(N)?.try_into().map_err(|_| NotKafka)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), NotKafka> {
        self.take(count).map(drop)
    }

    pub(super) fn i16(&mut self) -> Result<i16, NotKafka> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, NotKafka> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, NotKafka> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text; null is an empty one.
    pub(super) fn text(&mut self) -> Result<String, NotKafka> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let bytes = self.take(length)?.to_owned();
        String::from_utf8(bytes).map_err(|_| NotKafka)
    }

    /// Bytes; null are none.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], NotKafka> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(length)
    }

    /// Several of what `item` reads.
    pub(super) fn several<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, NotKafka>,
    ) -> Result<Vec<T>, NotKafka> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        let mut items = Vec::new();
        for _ in 0..count {
            // Ends at the end of the bytes, whatever the number was.
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Appends a text.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    // Names of topics and users, which the configuration keeps short.
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends bytes.
pub(super) fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a number of variable length: seven bits a byte, the sign in the lowest.
pub(super) fn varint(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends bytes behind their length as a number of variable length.
pub(super) fn short(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's description, Protocol Buffers'.
    #[test]
    fn numbers_of_variable_length_are_zigzag() {
        let check = |number, expected: &[u8]| {
            let mut out = Vec::new();
            varint(number, &mut out);
            assert_eq!(out, expected, "{number}");
        };
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(-64, &[0x7f]);
        check(64, &[0x80, 1]);
        check(
            i64::MAX,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert_eq!(Reader(b"\0\x04abc").text(), Err(NotKafka));
        assert_eq!(Reader(b"\x7f\xff\xff\xff").bytes(), Err(NotKafka));
        let many = Reader(b"\x7f\xff\xff\xff\0\x01").several(Reader::i16);
        assert_eq!(many, Err(NotKafka));
        assert_eq!(Reader(b"\xff\xff").text().unwrap(), "");
    }
}
