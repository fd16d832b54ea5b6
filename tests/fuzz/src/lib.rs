//! What the targets share: an event whose fields hold whatever the input says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use monitor_policy::{Event, EventType, Field, FieldArg, FieldKind, FieldRef, Value, View};

/// An event made of bytes: the same field always has the same value, most of the right type.
#[derive(Debug)]
pub struct Noise<'a> {
    bytes: &'a [u8],
    kind: EventType,
}

impl<'a> Noise<'a> {
    /// The event of these bytes.
    ///
    /// # Panics
    ///
    /// When the language has no event types.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let number = hash(bytes) as usize % EventType::count();
        let kind = EventType::all().nth(number).expect("there are event types");
        Self { bytes, kind }
    }

    /// The same of another type.
    #[must_use]
    pub fn with_type(self, kind: EventType) -> Self {
        Self { kind, ..self }
    }

    fn scalar(&self, kind: FieldKind, random: u64) -> Value<'a> {
        let start = random as usize % (self.bytes.len() + 1);
        let text = &self.bytes[start..];
        match kind {
            FieldKind::Text | FieldKind::Bytes | FieldKind::Dynamic => Value::Text(text.into()),
            FieldKind::Signed64 | FieldKind::Signed32 | FieldKind::Signed16 => {
                Value::Signed(edge(random, text) as i64)
            }
            FieldKind::Bool => Value::Bool(random & 64 == 0),
            FieldKind::Float => Value::Float(f64::from_bits(edge(random, text))),
            FieldKind::Address | FieldKind::Network => Value::Address(address(random, text)),
            _ => Value::Unsigned(edge(random, text)),
        }
    }
}

impl Event for Noise<'_> {
    fn event_type(&self) -> EventType {
        self.kind
    }

    fn has_view(&self, view: View) -> bool {
        self.bytes.len() >> (view as u32) & 1 == 1
    }

    fn value(&self, field: &FieldRef, view: View) -> Option<Value<'_>> {
        let salt = match &field.arg {
            None => 0,
            Some(FieldArg::Index(index)) => u64::from(*index) + 1,
            Some(FieldArg::Key(key)) => hash(key.as_bytes()),
        };
        let place = [field.field as u64, salt, view as u64, hash(self.bytes)];
        let random = hash(&place.map(u64::to_le_bytes).concat());
        let kind = match random % 16 {
            0 => return None,
            // A value of another type than the field's: a bug elsewhere, and no reason to panic.
            1 => Field::all().nth(salt as usize % 200)?.definition().kind,
            _ => field.field.definition().kind,
        };
        if field.is_any() || field.field.is(monitor_policy::FieldFlags::LIST) {
            let values =
                (0..random >> 8 & 7).map(|more| self.scalar(kind, random.rotate_left(more as u32)));
            return Some(Value::List(values.collect()));
        }
        Some(self.scalar(kind, random >> 8))
    }

    fn has_name(&self, _field: &FieldRef, name: &str) -> Option<bool> {
        Some(hash(name.as_bytes()) & 1 == 0)
    }
}

/// Numbers at the ends of their range as often as others.
fn edge(random: u64, text: &[u8]) -> u64 {
    match random >> 16 & 7 {
        0 => 0,
        1 => u64::MAX,
        2 => i64::MAX as u64,
        3 => i64::MIN as u64,
        4 => u64::from(text.first().copied().unwrap_or_default()),
        _ => hash(text),
    }
}

fn address(random: u64, text: &[u8]) -> IpAddr {
    let long = u128::from(hash(text)) << 64 | u128::from(random);
    if random & 128 == 0 {
        Ipv4Addr::from_bits(random as u32).into()
    } else {
        Ipv6Addr::from_bits(long).into()
    }
}

/// FNV-1a: the same in every run, so that a crash can be repeated.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
