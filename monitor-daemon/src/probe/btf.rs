//! Reader for the kernel's type information (BTF): offsets of struct members, sizes of structs and
//! names of function parameters.
//!
//! Pure: takes bytes, and no bytes make it panic or loop. It knows what the format of
//! `Documentation/bpf/btf.rst` has up to kernel 7.2; a kind it does not know ends the parse.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// Where the kernel keeps the BTF of its core.
pub(super) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_LEN: u32 = 24;
/// What the names of the types of tracepoints begin with.
const TRACEPOINT: &[u8] = b"btf_trace_";
/// Anonymous structs and typedefs nest a few deep; more is garbage.
const DEPTH_MAX: u32 = 32;

const KIND_INT: u32 = 1;
const KIND_POINTER: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FORWARD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNCTION: u32 = 12;
const KIND_PROTOTYPE: u32 = 13;
const KIND_VARIABLE: u32 = 14;
const KIND_SECTION: u32 = 15;
const KIND_FLOAT: u32 = 16;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Why bytes are not BTF.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum BtfError {
    /// The magic number is wrong.
    #[error("not BTF: wrong magic number")]
    Magic,
    /// A part ends before it should.
    #[error("BTF ends within its {0}")]
    Short(&'static str),
    /// A kind of type that did not exist when this was written.
    #[error("BTF type {id} has the unknown kind {kind}")]
    UnknownKind {
        /// Number of the type.
        id: usize,
        /// Its kind.
        kind: u32,
    },
}

/// A parsed BTF section.
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; type 0 is `void` and not there.
    starts: Vec<u32>,
    structs: HashMap<&'a [u8], u32, RandomState>,
    functions: HashMap<&'a [u8], u32, RandomState>,
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
struct Type {
    /// Where it begins.
    at: usize,
    name: u32,
    kind: u32,
    /// Number of members, parameters, values.
    count: usize,
    /// Whether offsets of members hold bit-field sizes too.
    bitfields: bool,
    /// Size in bytes, or the type referred to.
    size_or_target: u32,
}

impl<'a> Btf<'a> {
    /// Checks the layout of `bytes` and indexes structs and functions by name.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        if u16_at(bytes, 0).ok_or(BtfError::Short("header"))? != MAGIC {
            return Err(BtfError::Magic);
        }
        let word = |at| {
            u32_at(bytes, at)
                .map(|word| word as usize)
                .ok_or(BtfError::Short("header"))
        };
        let header = word(4)?;
        let section = |offset: usize, len: usize, name| {
            let start = header.checked_add(offset).ok_or(BtfError::Short(name))?;
            let end = start.checked_add(len).ok_or(BtfError::Short(name))?;
            bytes.get(start..end).ok_or(BtfError::Short(name))
        };
        let mut btf = Self {
            types: section(word(8)?, word(12)?, "types")?,
            strings: section(word(16)?, word(20)?, "strings")?,
            starts: Vec::new(),
            structs: HashMap::default(),
            functions: HashMap::default(),
        };
        btf.index()?;
        Ok(btf)
    }

    /// Byte offset of a member, given as a dotted path through named and anonymous members and
    /// numbers of elements; the empty path stands for the end of the struct.
    pub(super) fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut id = *self.structs.get(structure.as_bytes())?;
        if path.is_empty() {
            return Some(self.get(id)?.size_or_target);
        }
        let mut bits = 0u32;
        for name in path.split('.') {
            let (offset, member) = self.member(id, name.as_bytes(), 0)?;
            bits = bits.checked_add(offset)?;
            id = member;
        }
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// The value of an enumerator.
    pub(super) fn enumerator(&self, name: &str) -> Option<u32> {
        self.starts.iter().find_map(|at| {
            let found = self.type_at(*at as usize)?;
            let values = (0..found.count).filter(|_| found.kind == KIND_ENUM);
            let mut values = values.map(|index| found.at + 12 + 8 * index);
            let at = values.find(|at| {
                self.word(*at)
                    .is_some_and(|word| self.string(word) == name.as_bytes())
            })?;
            self.word(at + 4)
        })
    }

    /// The number of a function.
    pub(super) fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    /// Names of a function's parameters, in order.
    pub(super) fn parameters(&self, function: &str) -> Option<Vec<&'a str>> {
        let function = self.get(*self.functions.get(function.as_bytes())?)?;
        let prototype = self.get(function.size_or_target)?;
        if prototype.kind != KIND_PROTOTYPE {
            return None;
        }
        (0..prototype.count)
            .map(|index| {
                let name = self.word(prototype.at + 12 + 8 * index)?;
                str::from_utf8(self.string(name)).ok()
            })
            .collect()
    }

    /// BTF in which these functions and all tracepoints have the numbers that they have here, and
    /// all else is without a name and as short as can be: for who reads all of it and asks for those.
    pub(super) fn attachable(&self, functions: impl Iterator<Item = Cow<'static, str>>) -> Vec<u8> {
        let numbers: HashSet<u32> = functions
            .filter_map(|name| self.functions.get(name.as_bytes()).copied())
            .collect();
        let (mut types, mut strings) = (Vec::new(), vec![0]);
        for (number, at) in (1..).zip(&self.starts) {
            let known = self.type_at(*at as usize);
            let known = known.filter(|known| match known.kind {
                KIND_FUNCTION => numbers.contains(&number),
                KIND_TYPEDEF => self.string_from(known.name).starts_with(TRACEPOINT),
                _ => false,
            });
            let words = known.map_or([0, KIND_FORWARD << 24, 0], |known| {
                let name = strings.len() as u32;
                strings.extend_from_slice(self.string(known.name));
                strings.push(0);
                [name, known.kind << 24, 0]
            });
            types.extend(words.into_iter().flat_map(u32::to_le_bytes));
        }
        assemble(&types, &strings)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let id = self.starts.len() + 1;
            let found = self.type_at(at).ok_or(BtfError::Short("types"))?;
            self.starts.push(at as u32);
            let named = match found.kind {
                KIND_STRUCT if found.count > 0 && found.name != 0 => Some(&mut self.structs),
                KIND_FUNCTION => Some(&mut self.functions),
                _ => None,
            };
            if let Some(named) = named {
                let name = string(self.strings, found.name);
                named.entry(name).or_insert(id as u32);
            }
            let kind = found.kind;
            at += 12 + tail_len(&found).ok_or(BtfError::UnknownKind { id, kind })?;
        }
        if at == self.types.len() {
            Ok(())
        } else {
            Err(BtfError::Short("types"))
        }
    }

    /// Offset in bits and type of a member, looked for in anonymous members too.
    fn member(&self, id: u32, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        if depth > DEPTH_MAX {
            return None;
        }
        let structure = self.resolve(id)?;
        if structure.kind == KIND_ARRAY {
            return self.element(&structure, name);
        }
        if structure.kind != KIND_STRUCT && structure.kind != KIND_UNION {
            return None;
        }
        (0..structure.count).find_map(|index| {
            let at = structure.at + 12 + 12 * index;
            let (member, kind, mut offset) =
                (self.word(at)?, self.word(at + 4)?, self.word(at + 8)?);
            if structure.bitfields {
                offset &= 0x00ff_ffff;
            }
            let member = self.string(member);
            if member == name {
                return Some((offset, kind));
            }
            if !member.is_empty() {
                return None;
            }
            let (inner, kind) = self.member(kind, name, depth + 1)?;
            Some((offset.checked_add(inner)?, kind))
        })
    }

    /// Offset in bits and type of an array's element, by its number.
    fn element(&self, array: &Type, number: &[u8]) -> Option<(u32, u32)> {
        const POINTER: u32 = 8;
        let number: u32 = str::from_utf8(number).ok()?.parse().ok()?;
        let (kind, count) = (self.word(array.at + 12)?, self.word(array.at + 20)?);
        let element = self.resolve(kind)?;
        let size = match element.kind {
            KIND_POINTER => POINTER,
            KIND_INT | KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64 => element.size_or_target,
            _ => return None,
        };
        let bits = number.checked_mul(size)?.checked_mul(8)?;
        (number < count).then_some((bits, kind))
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEPTH_MAX {
            let found = self.get(id)?;
            match found.kind {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = found.size_or_target;
                }
                _ => return Some(found),
            }
        }
        None
    }

    fn get(&self, id: u32) -> Option<Type> {
        let index = (id as usize).checked_sub(1)?;
        self.type_at(*self.starts.get(index)? as usize)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let flags = self.word(at + 4)?;
        Some(Type {
            at,
            name: self.word(at)?,
            kind: flags >> 24 & 0x1f,
            count: (flags & 0xffff) as usize,
            bitfields: flags >> 31 == 1,
            size_or_target: self.word(at + 8)?,
        })
    }

    fn word(&self, at: usize) -> Option<u32> {
        u32_at(self.types, at)
    }

    fn string(&self, at: u32) -> &'a [u8] {
        string(self.strings, at)
    }

    /// A string and all that follow it.
    fn string_from(&self, at: u32) -> &'a [u8] {
        self.strings.get(at as usize..).unwrap_or_default()
    }
}

fn string(strings: &[u8], at: u32) -> &[u8] {
    let rest = strings.get(at as usize..).unwrap_or_default();
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// BTF of types and strings.
fn assemble(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    let header = [HEADER_LEN, 0, types_len, types_len, strings_len];
    let mut bytes = Vec::with_capacity(HEADER_LEN as usize + types.len() + strings.len());
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend([VERSION, 0]);
    bytes.extend(header.into_iter().flat_map(u32::to_le_bytes));
    bytes.extend_from_slice(types);
    bytes.extend_from_slice(strings);
    bytes
}

/// Bytes behind the fixed part of a type.
fn tail_len(found: &Type) -> Option<usize> {
    Some(match found.kind {
        KIND_INT | KIND_VARIABLE | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_SECTION | KIND_ENUM64 => 12 * found.count,
        KIND_ENUM | KIND_PROTOTYPE => 8 * found.count,
        KIND_POINTER | KIND_FORWARD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT
        | KIND_FUNCTION | KIND_FLOAT | KIND_TYPE_TAG => 0,
        _ => return None,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Type 1 `struct s { int a; struct { int b; }; struct t in; }`, 2 anonymous, 3 `struct t
    /// { int c : 4; int d : 4; }`, 4 `int f(x, y)` by prototype 5, 6 `struct u { struct t e[4]; }`
    /// with array 7, 8 `typedef s btf_trace_sys_exit`, 9 `typedef s other`.
    fn sample() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0t\0in\0c\0d\0f\0x\0y\0u\0e\0btf_trace_sys_exit\0other\0";
        let name = |text: &str| {
            let pattern = format!("\0{text}\0").into_bytes();
            let found = strings
                .windows(pattern.len())
                .position(|part| part == pattern);
            found.map_or(0, |at| at as u32 + 1)
        };
        let member = |text: &str, kind: u32, bits: u32| [name(text), kind, bits];
        let head = |text, kind: u32, count: u32, more: u32| [name(text), kind << 24 | count, more];
        let words: Vec<u32> = [
            head("s", KIND_STRUCT, 3, 12),
            member("a", 0, 0),
            member("", 2, 32),
            member("in", 3, 64),
            head("", KIND_STRUCT, 1, 4),
            member("b", 0, 0),
            [name("t"), KIND_STRUCT << 24 | 2 | 1 << 31, 4],
            member("c", 0, 4 << 24),
            member("d", 0, 4 << 24 | 4),
            head("f", KIND_FUNCTION, 0, 5),
            head("", KIND_PROTOTYPE, 2, 0),
        ]
        .concat()
        .into_iter()
        .chain([name("x"), 0, name("y"), 0])
        .chain([head("u", KIND_STRUCT, 1, 16), member("e", 7, 0)].concat())
        .chain([0, KIND_ARRAY << 24, 0, 3, 3, 4])
        .chain(head("btf_trace_sys_exit", KIND_TYPEDEF, 0, 1))
        .chain(head("other", KIND_TYPEDEF, 0, 1))
        .collect();
        let types: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        assemble(&types, strings)
    }

    #[test]
    fn members_are_found_in_named_and_anonymous_structs() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        let cases = [
            ("s", "a", Some(0)),
            ("s", "b", Some(4)),
            ("s", "in", Some(8)),
            ("u", "e.3", Some(12)),
            ("u", "e.3.c", Some(12)),
            ("u", "e.4", None),
            ("u", "e.x", None),
            ("s", "in.c", Some(8)),
            ("s", "in.d", None), // does not begin at a byte
            ("s", "", Some(12)),
            ("s", "c", None),
            ("s", "a.b", None),
            ("nothing", "a", None),
        ];
        for (structure, path, expected) in cases {
            assert_eq!(btf.offset(structure, path), expected, "{structure}.{path}");
        }
        assert_eq!(btf.parameters("f"), Some(vec!["x", "y"]));
        assert_eq!(btf.parameters("g"), None);
    }

    #[test]
    fn bytes_that_are_no_btf_are_refused() {
        let good = sample();
        let mut unknown = good.clone();
        unknown[24 + 7] = 31;
        let cases = [
            (vec![], BtfError::Short("header")),
            (vec![1; 100], BtfError::Magic),
            (good[..30].to_vec(), BtfError::Short("types")),
            (good[..good.len() - 1].to_vec(), BtfError::Short("strings")),
            (unknown, BtfError::UnknownKind { id: 1, kind: 31 }),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Btf::parse(&bytes).err(), Some(expected));
        }
    }

    #[test]
    fn attachable_types_keep_their_numbers() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        let names = ["f", "no such"].map(Cow::Borrowed);
        let short = btf.attachable(names.into_iter());
        assert!(aya::Btf::parse(&short, aya::Endianness::Little).is_ok());
        let known = Btf::parse(&short).unwrap();
        let named = (1..).zip(&known.starts).filter_map(|(number, at)| {
            let found = known.type_at(*at as usize)?;
            (found.name != 0).then(|| (number, found.kind, known.string(found.name)))
        });
        let expected = [
            (4, KIND_FUNCTION, &b"f"[..]),
            (8, KIND_TYPEDEF, b"btf_trace_sys_exit"),
        ];
        assert_eq!(named.collect::<Vec<_>>(), expected);
        assert_eq!(known.starts.len(), btf.starts.len());
    }

    proptest! {
        #[test]
        fn damaged_btf_never_panics(
            changes in proptest::collection::vec((0usize..200, any::<u8>()), 1..12),
            len in 0usize..220,
        ) {
            let mut bytes = sample();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(len);
            if let Ok(btf) = Btf::parse(&bytes) {
                let _ = btf.offset("s", "in.d");
                let _ = btf.offset("t", "zz");
                let _ = btf.parameters("f");
            }
        }
    }
}
