//! Flag sets as text: names joined by `|` in the language's order.

/// A state of an opened file that is printed among its open flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenState {
    /// The call created the file.
    Created,
    /// The file is in an overlay's upper layer.
    UpperLayer,
    /// The file is in an overlay's lower layer.
    LowerLayer,
}

/// A fact about an executable that is printed among the flags of an exec.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExeState {
    /// The executing user may write it.
    Writable,
    /// It is in an overlay's upper layer.
    UpperLayer,
    /// It is an anonymous memory file.
    FromMemfd,
    /// It is in an overlay's lower layer.
    LowerLayer,
}

/// Flags of `open(2)`, in the kernel's x86-64 numbers.
pub fn open_flags(flags: u32) -> String {
    open_flags_with(flags, &[])
}

/// Flags of `open(2)`, in the kernel's x86-64 numbers, and what is known of the opened file.
pub fn open_flags_with(flags: u32, state: &[OpenState]) -> String {
    let access = match flags & 3 {
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_RDONLY",
    };
    let (before, after) = OPEN_FLAGS.split_at(ACCESS_MODE_POSITION);
    let is_set = |row: &&(&'static str, u32)| flags & row.1 == row.1;
    let first = before.iter().filter(is_set).map(|row| row.0);
    let last = after.iter().filter(is_set).map(|row| row.0);
    let names = first.chain([access]).chain(last);
    let states = [
        (OpenState::Created, "O_F_CREATED"),
        (OpenState::UpperLayer, "FD_UPPER_LAYER"),
        (OpenState::LowerLayer, "FD_LOWER_LAYER"),
    ];
    let states = states
        .iter()
        .filter(|row| state.contains(&row.0))
        .map(|row| row.1);
    names.chain(states).collect::<Vec<_>>().join("|")
}

/// Flags of an exec; `0` when there is none.
pub fn exe_flags(state: &[ExeState]) -> String {
    let names = [
        (ExeState::Writable, "EXE_WRITABLE"),
        (ExeState::UpperLayer, "EXE_UPPER_LAYER"),
        (ExeState::FromMemfd, "EXE_FROM_MEMFD"),
        (ExeState::LowerLayer, "EXE_LOWER_LAYER"),
    ];
    let set: Vec<_> = names
        .iter()
        .filter(|row| state.contains(&row.0))
        .map(|row| row.1)
        .collect();
    if set.is_empty() {
        "0".to_owned()
    } else {
        set.join("|")
    }
}

/// Permission bits of a file mode; the number when it has none.
pub fn mode(mode: u32) -> String {
    let set: Vec<_> = MODE_BITS
        .iter()
        .filter(|row| mode & row.1 != 0)
        .map(|row| row.0)
        .collect();
    if set.is_empty() {
        mode.to_string()
    } else {
        set.join("|")
    }
}

/// Where the access mode stands among the open flags.
const ACCESS_MODE_POSITION: usize = 10;

const OPEN_FLAGS: &[(&str, u32)] = &[
    ("O_LARGEFILE", 0o100_000),
    ("O_DIRECTORY", 0o200_000),
    ("O_DIRECT", 0o40_000),
    ("O_TRUNC", 0o1_000),
    ("O_SYNC", 0o4_010_000),
    ("O_NONBLOCK", 0o4_000),
    ("O_EXCL", 0o200),
    ("O_DSYNC", 0o10_000),
    ("O_APPEND", 0o2_000),
    ("O_CREAT", 0o100),
    ("O_CLOEXEC", 0o2_000_000),
    ("O_TMPFILE", 0o20_000_000),
];

const MODE_BITS: &[(&str, u32)] = &[
    ("S_IXOTH", 0o1),
    ("S_IWOTH", 0o2),
    ("S_IROTH", 0o4),
    ("S_IXGRP", 0o10),
    ("S_IWGRP", 0o20),
    ("S_IRGRP", 0o40),
    ("S_IXUSR", 0o100),
    ("S_IWUSR", 0o200),
    ("S_IRUSR", 0o400),
    ("S_ISVTX", 0o1_000),
    ("S_ISGID", 0o2_000),
    ("S_ISUID", 0o4_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open() {
        let check = |flags, expected: &str| assert_eq!(open_flags(flags), expected);
        check(0, "O_RDONLY");
        check(0o1101, "O_TRUNC|O_CREAT|O_WRONLY");
        check(0o2_000_002, "O_RDWR|O_CLOEXEC");
        check(0o4_010_001, "O_SYNC|O_DSYNC|O_WRONLY");
        check(0o10_000, "O_DSYNC|O_RDONLY");
        check(0o20_200_002, "O_DIRECTORY|O_RDWR|O_TMPFILE");
        let states = [OpenState::LowerLayer, OpenState::Created];
        assert_eq!(
            open_flags_with(0o101, &states),
            "O_CREAT|O_WRONLY|O_F_CREATED|FD_LOWER_LAYER"
        );
    }

    #[test]
    fn exec_and_modes() {
        assert_eq!(exe_flags(&[]), "0");
        let state = [ExeState::FromMemfd, ExeState::Writable];
        assert_eq!(exe_flags(&state), "EXE_WRITABLE|EXE_FROM_MEMFD");
        assert_eq!(mode(0o4500), "S_IXUSR|S_IRUSR|S_ISUID");
        assert_eq!(mode(0), "0");
    }
}
