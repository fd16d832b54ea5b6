//! What the kernel side puts into its tables of calls by itself, when somebody switches off the
//! programs at the kernel's functions: pairs of an index and an entry.

/// Room for pairs: more than there are calls that a program at a function may serve, in all ABIs.
pub const ENTRIES: u32 = 512;
/// A bit of an index: that of the table of operations of `io_uring`, not of the table of calls.
pub const URING: u64 = 1 << 32;

/// Where the number of pairs stands.
pub const COUNT: u32 = 0;
/// Where it says that they were put in: 1.
pub const OFF: u32 = 1;
/// How many such places there are.
pub const STATES: u32 = 2;
