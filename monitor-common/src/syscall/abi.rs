//! Numbers of system calls in the three ABIs of x86-64, from the kernel's `syscall_64.tbl` and
//! `syscall_32.tbl`.
//!
//! Long because the tables are.

/// Bit that x32 calls carry in their number.
pub const X32_BIT: u32 = 0x4000_0000;
/// From here on, calls have the same number in all ABIs.
const COMMON: u32 = 424;

/// Number in the i386 ABI of an x86-64 call; the 32-bit form where there are several. 0 for a call
/// that i386 does not have: its own number 0 is `restart_syscall`, which nobody calls.
pub(super) fn i386(number: u32) -> u32 {
    if number >= COMMON {
        return number;
    }
    let known = I386.get(number as usize).copied();
    known.unwrap_or_default().into()
}

/// Number of the other form of a call in the i386 ABI: 16-bit ids, 32-bit lengths, 64-bit times.
pub(super) fn i386_older(number: u32) -> Option<u32> {
    let row = OLDER.iter().find(|row| u32::from(row.0) == number)?;
    Some(row.1.into())
}

/// Number of `socketcall` in the i386 ABI.
pub const SOCKETCALL: u32 = 102;
/// Its calls have numbers below this one.
pub const SOCKETCALLS: u32 = 32;

/// Number among the calls of `socketcall` (`include/uapi/linux/net.h`) of an x86-64 call. `send`
/// and `recv` have none of their own there.
pub(super) fn socketcall(number: u32) -> Option<u32> {
    let row = PACKED.iter().find(|row| row.0 == number)?;
    Some(row.1)
}

const PACKED: [(u32, u32); 18] = [
    (41, 1),
    (49, 2),
    (42, 3),
    (50, 4),
    (43, 5),
    (51, 6),
    (52, 7),
    (53, 8),
    (44, 11),
    (45, 12),
    (48, 13),
    (54, 14),
    (55, 15),
    (46, 16),
    (47, 17),
    (288, 18),
    (299, 19),
    (307, 20),
];

/// Number in the x32 ABI, without [`X32_BIT`].
pub(super) fn x32(number: u32) -> u32 {
    let row = X32.iter().find(|row| u32::from(row.0) == number);
    row.map_or(number, |row| row.1.into())
}

/// By x86-64 number; 0 for none.
const I386: [u16; 335] = [
    3, 4, 5, 6, 106, 108, 107, 168, 19, 192, 125, 91, 45, 174, 175, 173, 54, 180, 181, 145, 146,
    33, 42, 82, 158, 163, 144, 218, 219, 395, 397, 396, 41, 63, 29, 162, 105, 27, 104, 20, 187,
    359, 362, 0, 369, 371, 370, 372, 373, 361, 363, 367, 368, 360, 366, 365, 120, 2, 190, 11, 1,
    114, 37, 122, 393, 0, 394, 398, 399, 400, 401, 402, 221, 143, 118, 148, 92, 93, 141, 183, 12,
    133, 38, 39, 40, 8, 9, 10, 83, 85, 15, 94, 212, 207, 198, 60, 78, 76, 77, 116, 43, 26, 199,
    103, 200, 213, 214, 201, 202, 57, 64, 65, 66, 203, 204, 205, 206, 208, 209, 210, 211, 132, 215,
    216, 147, 184, 185, 176, 177, 178, 179, 186, 30, 14, 86, 136, 62, 99, 100, 135, 96, 97, 154,
    155, 156, 157, 159, 160, 161, 150, 151, 152, 153, 111, 123, 217, 149, 172, 384, 124, 75, 61,
    36, 51, 79, 21, 52, 87, 115, 88, 74, 121, 110, 101, 127, 128, 129, 130, 167, 131, 169, 188,
    189, 137, 0, 0, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 13,
    240, 241, 242, 243, 245, 246, 247, 248, 249, 244, 253, 254, 0, 0, 257, 220, 258, 0, 0, 250,
    259, 260, 261, 262, 263, 264, 265, 266, 267, 252, 256, 255, 270, 271, 273, 274, 276, 275, 277,
    278, 279, 280, 281, 282, 283, 284, 286, 287, 288, 289, 290, 291, 292, 293, 294, 295, 296, 297,
    298, 299, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 312, 313, 315, 314, 316,
    317, 320, 319, 321, 322, 323, 324, 325, 326, 364, 327, 328, 329, 330, 331, 332, 333, 334, 335,
    336, 337, 338, 339, 340, 341, 342, 343, 344, 345, 346, 318, 347, 348, 349, 350, 351, 352, 353,
    354, 355, 356, 0, 357, 358, 374, 375, 376, 377, 378, 379, 380, 381, 382, 383, 385, 386,
];

/// x86-64 number, number of the other form.
const OLDER: [(u16, u16); 15] = [
    (72, 55),
    (76, 92),
    (77, 93),
    (92, 182),
    (93, 95),
    (94, 16),
    (105, 23),
    (106, 46),
    (113, 70),
    (114, 71),
    (117, 164),
    (119, 170),
    (122, 138),
    (123, 139),
    (299, 417),
];

/// x86-64 number, x32 number, where they differ.
const X32: [(u16, u16); 36] = [
    (13, 512),
    (15, 513),
    (16, 514),
    (19, 515),
    (20, 516),
    (45, 517),
    (46, 518),
    (47, 519),
    (54, 541),
    (55, 542),
    (59, 520),
    (101, 521),
    (127, 522),
    (128, 523),
    (129, 524),
    (131, 525),
    (206, 543),
    (209, 544),
    (222, 526),
    (244, 527),
    (246, 528),
    (247, 529),
    (273, 530),
    (274, 531),
    (278, 532),
    (279, 533),
    (295, 534),
    (296, 535),
    (297, 536),
    (299, 537),
    (307, 538),
    (310, 539),
    (311, 540),
    (322, 545),
    (327, 546),
    (328, 547),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_known_calls() {
        // read, open, connect, setuid32, fcntl64, mmap2, openat2, accept.
        let numbers = [0, 2, 42, 105, 72, 9, 437, 43, 400].map(i386);
        assert_eq!(numbers, [3, 5, 362, 213, 221, 192, 437, 0, 0]);
        assert_eq!((i386_older(105), i386_older(59)), (Some(23), None));
        assert_eq!([59, 101, 322, 42].map(x32), [520, 521, 545, 42]);
    }
}
