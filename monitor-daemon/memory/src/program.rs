//! Giving back what is in memory of the program's file.
//!
//! Most of a program is needed once, to start. What was needed stays in the process's memory until
//! others want it; given back, it is read again from the file, which is mostly still in memory, as
//! far as it is needed again.

use std::fs;
use std::io;
use std::ops::Range;

/// Lies among the constants that need no relocation.
static CONSTANT: [u8; 8] = *b"constant";

/// Gives back what of the running program's file nobody writes to: code, constants, and what is in
/// front of both, by which addresses were set at the start; bytes of the mappings.
///
/// # Errors
/// What the kernel says, or that it does not tell where the program is.
pub fn give_back_program() -> io::Result<usize> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let code = give_back_program as *const () as usize;
    let constant = CONSTANT.as_ptr() as usize;
    let parts = unwritten(&maps, [code, constant]);
    if parts.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut bytes = 0;
    for part in parts {
        // SAFETY: a mapping of a file that nobody may write to, and that was not written to before,
        // neither here nor, while it runs, in the file: what is read again is the same. This function
        // is in one, and goes on after that, too.
        let done = unsafe { libc::madvise(part.start as *mut _, part.len(), libc::MADV_DONTNEED) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        bytes += part.len();
    }
    Ok(bytes)
}

/// Where parts of a file are, by `maps` of proc(5), that are as in the file: those with these
/// addresses, and the file's beginning. Another part may only be read as well and yet have been
/// written to, while the program was made ready to run.
fn unwritten(maps: &str, known: [usize; 2]) -> Vec<Range<usize>> {
    let parts: Vec<Part<'_>> = maps.lines().filter_map(Part::of).collect();
    let has = |part: &Part<'_>, address: &usize| part.place.contains(address);
    let Some(file) = parts.iter().find(|part| has(part, &known[0])) else {
        return Vec::new();
    };
    let file = file.file;
    let of_file = parts.into_iter().filter(|part| part.file == file);
    let same = of_file.filter(|part| part.begins || known.iter().any(|known| has(part, known)));
    same.map(|part| part.place).collect()
}

/// A mapping of a file that may not be written to.
struct Part<'a> {
    place: Range<usize>,
    /// Whether it is of the file's beginning.
    begins: bool,
    /// Device and inode.
    file: (&'a str, &'a str),
}

impl<'a> Part<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let offset = words.next()?;
        let file = (words.next()?, words.next()?);
        let number = |text| usize::from_str_radix(text, 16).ok();
        let only_read = matches!(rights, "r--p" | "r-xp") && file.1 != "0";
        only_read.then_some(Self {
            place: number(start)?..number(end)?,
            begins: number(offset)? == 0,
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the mapping that has an address, KiB.
    fn resident(address: usize) -> Option<u64> {
        let smaps = fs::read_to_string("/proc/self/smaps").ok()?;
        let mut lines = smaps.lines();
        lines.find(|line| Part::of(line).is_some_and(|part| part.place.contains(&address)))?;
        let line = lines.find_map(|line| line.strip_prefix("Rss:"))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    #[test]
    fn what_is_not_needed_is_given_back_and_comes_again() -> io::Result<()> {
        // Most of this program's code is the standard library's, which nobody calls here; but
        // others may run at the same time, so that less is told than that all is gone.
        let bytes = give_back_program()?;
        let code = resident as *const () as usize;
        assert!(resident(code).is_some_and(|kib| kib * 1024 < bytes as u64));
        assert_eq!(&CONSTANT, b"constant");
        assert_eq!(format!("{:?}", unwritten("", [0, 0])), "[]");
        Ok(())
    }

    #[test]
    fn only_what_is_as_in_the_file_is() {
        let maps = "\
            1000-2000 r--p 00000000 fe:00 12 /usr/bin/a b\n\
            2000-3000 r-xp 00001000 fe:00 12 /usr/bin/a b\n\
            3000-4000 r--p 00002000 fe:00 12 /usr/bin/a b\n\
            4000-5000 r--p 00003000 fe:00 12 /usr/bin/a b\n\
            5000-6000 rw-p 00004000 fe:00 12 /usr/bin/a b\n\
            6000-7000 r--p 00000000 fe:00 13 /usr/lib/other\n\
            7000-8000 r-xp 00000000 00:00 0 [vdso]\n\
            8000-9000 rw-p 00000000 00:00 0\n";
        let all = [0x1000..0x2000, 0x2000..0x3000, 0x3000..0x4000];
        assert_eq!(unwritten(maps, [0x2345, 0x3456]), all);
        assert_eq!(unwritten(maps, [0x2345, 0x2456]), all[..2]);
        assert_eq!(unwritten(maps, [0x5345, 0x2456]), []);
        assert_eq!(unwritten(maps, [0x7345, 0x7456]), []);
    }
}
