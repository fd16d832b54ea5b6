//! Further numbers that calls have in the i386 ABI, and how their arguments differ there, from the
//! kernel's `syscall_32.tbl`. 32-bit ARM has kept the numbers of those that it has.

use super::{Call, Machine};

/// How a call of the i386 ABI passes its arguments, where not as the x86-64 call does. Numbers are
/// part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Form {
    /// In the same order, in 32 bits each.
    Same = 0,
    /// Ids of users and groups have 16 bits; the upper ones mean nothing.
    Short = 1,
    /// In memory, one after the other, where the first one points.
    Packed = 2,
    /// Only the first one.
    Alone = 3,
    /// The sixth one counts pages.
    Pages = 4,
}

impl Form {
    /// The form of a number in the i386 ABI.
    pub(super) const fn of(i386: u32) -> Self {
        match i386 {
            // lchown16, setuid16, setgid16, setreuid16, setregid16, fchown16, setfsuid16,
            // setfsgid16, setresuid16, setresgid16, chown16.
            16 | 23 | 46 | 70 | 71 | 95 | 138 | 139 | 164 | 170 | 182 => Self::Short,
            // old_select, old_mmap.
            82 | 90 => Self::Packed,
            // oldumount.
            22 => Self::Alone,
            // mmap2.
            192 => Self::Pages,
            _ => Self::Same,
        }
    }

    /// The form that an entry of the array of operations has.
    pub const fn of_entry(entry: u64) -> u8 {
        (entry >> Call::FORM) as u8 & 7
    }
}

/// Numbers of an x86-64 call in the ABI for 32-bit programs beyond the two that are known anyway.
pub(super) fn further(number: u32, machine: Machine) -> impl Iterator<Item = u32> {
    let rows = FURTHER.iter().filter(move |row| u32::from(row.0) == number);
    let has = move |number: &u32| match machine {
        Machine::X86 => true,
        // 64-bit lengths and times; 32-bit ARM has others, or none, where the rest is.
        Machine::Arm => matches!(number, 193..=197 | 239 | 403..),
    };
    rows.map(|row| row.1.into()).filter(has)
}

/// x86-64 number, i386 number: 64-bit lengths and times, 16-bit ids, and first versions.
const FURTHER: [(u16, u16); 32] = [
    (4, 195),
    (5, 197),
    (6, 196),
    (9, 90),
    (23, 82),
    (40, 239),
    (61, 7),
    (63, 109),
    (76, 193),
    (77, 194),
    (116, 81),
    (128, 421),
    (137, 268),
    (138, 269),
    (148, 423),
    (166, 22),
    (202, 422),
    (220, 420),
    (223, 409),
    (224, 408),
    (227, 404),
    (228, 403),
    (229, 406),
    (230, 407),
    (242, 418),
    (243, 419),
    (270, 413),
    (271, 414),
    (280, 412),
    (286, 411),
    (287, 410),
    (299, 417),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::{NUMBERS, call};

    #[test]
    fn an_entry_tells_the_form_of_its_number() {
        let form = |number, index| Form::of_entry(call(number).unwrap().entry_at(index));
        let compat = |number| number + NUMBERS;
        assert_eq!(form(105, 105), Form::Same as u8);
        assert_eq!(form(105, compat(213)), Form::Same as u8);
        assert_eq!(form(105, compat(23)), Form::Short as u8);
        assert_eq!(form(9, compat(90)), Form::Packed as u8);
        assert_eq!(form(9, compat(192)), Form::Pages as u8);
        assert_eq!(form(166, compat(22)), Form::Alone as u8);
        // The rest of the entry is as ever.
        let setuid = call(105).unwrap();
        let rest = !(7 << Call::FORM);
        assert_eq!(setuid.entry_at(compat(23)) & rest, setuid.entry());
    }
}
