//! Giving back the program's code.
//!
//! Most of a program is needed once, to start. What was needed stays in the process's memory until
//! others want it; given back, it is read again from the file, which is mostly still in memory, as
//! far as it is needed again.

use std::fs;
use std::io;

/// Gives back all code of the running program; bytes of the mapping.
///
/// # Errors
/// What the kernel says, or that it does not tell where the code is.
pub fn give_back_code() -> io::Result<usize> {
    let own = give_back_code as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let (start, end) = maps
        .lines()
        .filter_map(code)
        .find(|(start, end)| (*start..*end).contains(&own))
        .ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: a mapping of a file that nobody may write to, neither here nor, while it runs, in the
    // file: what is read again is the same. This function is in it, and goes on after that, too.
    let done = unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_DONTNEED) };
    if done == 0 {
        Ok(end - start)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From where to where a mapping is, by a line of `maps` of proc(5), if it is a file's code.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let is_file = words.nth(2)? != "0";
    let number = |text| usize::from_str_radix(text, 16).ok();
    (rights == "r-xp" && is_file).then_some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the mapping that this code is in, KiB.
    fn resident() -> Option<u64> {
        let own = resident as *const () as usize;
        let smaps = fs::read_to_string("/proc/self/smaps").ok()?;
        let mut lines = smaps.lines();
        lines.find(|line| code(line).is_some_and(|(start, end)| (start..end).contains(&own)))?;
        let line = lines.find_map(|line| line.strip_prefix("Rss:"))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    #[test]
    fn code_that_is_not_needed_is_given_back_and_comes_again() -> io::Result<()> {
        // Most of this program's code is the standard library's, which nobody calls here; but
        // others may run at the same time, so that less is told than that all is gone.
        let bytes = give_back_code()?;
        assert!(resident().is_some_and(|kib| kib * 1024 < bytes as u64));
        assert_eq!(format!("{:?}", code("")), "None");
        Ok(())
    }

    #[test]
    fn only_code_of_files_is() {
        let lines = [
            (
                "1000-3000 r-xp 00001000 fe:00 12 /usr/bin/a b",
                Some((0x1000, 0x3000)),
            ),
            ("1000-3000 rwxp 00001000 fe:00 12 /usr/bin/a", None),
            ("1000-3000 r--p 00001000 fe:00 12 /usr/bin/a", None),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", None),
            ("1000-3000 r-xp 00000000 00:00 0", None),
            ("", None),
        ];
        for (line, expected) in lines {
            assert_eq!(code(line), expected, "{line}");
        }
    }
}
