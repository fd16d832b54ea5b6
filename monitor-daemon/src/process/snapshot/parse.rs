//! The formats of `/proc/PID/*`. Pure: any bytes in, `None` or less out.

use monitor_common::process::ExeFlags;

/// What the kernel puts behind the name of a file that was unlinked.
const DELETED: &[u8] = b" (deleted)";
/// What it puts before the name of an anonymous memory file.
const MEMFD: &[u8] = b"/memfd:";
/// `PF_KTHREAD` of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Stat {
    /// NUL-padded; the kernel's workers have longer names, which are cut.
    pub(super) comm: [u8; 16],
    pub(super) state: u8,
    pub(super) ppid: u32,
    pub(super) pgid: u32,
    pub(super) sid: u32,
    pub(super) tty: u32,
    pub(super) flags: u32,
    pub(super) threads: u32,
    /// Since boot, in ticks.
    pub(super) start: u64,
}

impl Stat {
    /// `PID (COMM) STATE PPID …`, where COMM may hold anything, blanks, parentheses and newlines
    /// included: so it ends at the last `)`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let name = text.get(open + 1..close)?;
        let mut fields = words(text.get(close + 1..)?);
        let state = *fields.next()?.first()?;
        let mut field = |skip: usize| fields.nth(skip);
        let mut comm = [0; 16];
        // The last byte stays NUL.
        comm.iter_mut()
            .take(15)
            .zip(name)
            .for_each(|(to, from)| *to = *from);
        Some(Self {
            comm,
            state,
            ppid: unsigned(field(0)?)?,
            pgid: unsigned(field(0)?)?,
            sid: unsigned(field(0)?)?,
            tty: signed(field(0)?)? as u32,
            flags: unsigned(field(1)?)?,
            threads: unsigned(field(10)?)?,
            start: number(field(1)?)?,
        })
    }

    pub(super) const fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// All of its threads are gone and only the parent has not looked yet.
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

/// `/proc/PID/status`. Absent lines leave zeros.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Status {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) gid: u32,
    pub(super) egid: u32,
    pub(super) vpid: u32,
    pub(super) vtid: u32,
    pub(super) vpgid: u32,
    pub(super) vsid: u32,
    pub(super) cap_inheritable: u64,
    pub(super) cap_permitted: u64,
    pub(super) cap_effective: u64,
}

impl Status {
    /// The name on the first line is escaped by the kernel, so no line can be forged by it.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (name, rest) = line.split_at(colon);
            status.line(name, rest.get(1..).unwrap_or_default());
        }
        status
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        let nth = |n| words(value).nth(n).and_then(unsigned).unwrap_or_default();
        // Ids are listed from the outermost namespace to the task's own.
        let last = || words(value).last().and_then(unsigned).unwrap_or_default();
        let hex = || {
            words(value)
                .next()
                .and_then(hexadecimal)
                .unwrap_or_default()
        };
        match name {
            b"Uid" => (self.uid, self.euid) = (nth(0), nth(1)),
            b"Gid" => (self.gid, self.egid) = (nth(0), nth(1)),
            b"NStgid" => self.vpid = last(),
            b"NSpid" => self.vtid = last(),
            b"NSpgid" => self.vpgid = last(),
            b"NSsid" => self.vsid = last(),
            b"CapInh" => self.cap_inheritable = hex(),
            b"CapPrm" => self.cap_permitted = hex(),
            b"CapEff" => self.cap_effective = hex(),
            _ => {}
        }
    }
}

/// The path in the unified hierarchy, or in that of a controller of cgroup v1, out of
/// `/proc/PID/cgroup`: `NUMBER:CONTROLLER,…:PATH`.
pub(super) fn cgroup<'t>(text: &'t [u8], controller: Option<&str>) -> Option<&'t [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let Some(controller) = controller else {
            return line.strip_prefix(b"0::");
        };
        let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
        let mut controllers = parts.next()?.split(|byte| *byte == b',');
        controllers.find(|name| *name == controller.as_bytes())?;
        parts.next()
    })
}

/// The inode number in a namespace link, `mnt:[4026531841]`; 0 when it is none.
pub(super) fn namespace(link: &[u8]) -> u32 {
    let number = || {
        let open = link.iter().position(|byte| *byte == b'[')?;
        unsigned(link.get(open + 1..)?.strip_suffix(b"]")?)
    };
    number().unwrap_or_default()
}

/// The target of `/proc/PID/exe` without the kernel's mark, and the [`ExeFlags`] that the mark
/// stands for.
pub(super) fn executable(link: &[u8]) -> (&[u8], u32) {
    match link.strip_suffix(DELETED) {
        Some(path) if path.starts_with(MEMFD) => (path, ExeFlags::MEMFD | ExeFlags::UNLINKED),
        Some(path) => (path, ExeFlags::UNLINKED),
        None => (link, 0),
    }
}

/// A whole file that holds one number.
pub(super) fn lone_number(text: &[u8]) -> Option<u32> {
    unsigned(text.trim_ascii())
}

/// The name of a directory in `/proc` that is a process.
pub(super) fn pid(name: &[u8]) -> Option<u32> {
    name.first().filter(|byte| byte.is_ascii_digit())?;
    unsigned(name)
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn unsigned(word: &[u8]) -> Option<u32> {
    number(word).and_then(|value| u32::try_from(value).ok())
}

fn signed(word: &[u8]) -> Option<i32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn hexadecimal(word: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comm(name: &[u8]) -> [u8; 16] {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name);
        comm
    }

    #[test]
    fn stat_lines_are_read_whatever_the_name() {
        let rest = b" S 812 4711 4712 34817 4711 4194304 1 2 3 4 5 6 7 8 20 0 3 0 1234567 99 1\n";
        let whole = Stat {
            comm: [0; 16],
            state: b'S',
            ppid: 812,
            pgid: 4711,
            sid: 4712,
            tty: 34817,
            flags: 4_194_304,
            threads: 3,
            start: 1_234_567,
        };
        for (name, kept) in [
            (b"bash".as_slice(), b"bash".as_slice()),
            (b"", b""),
            (b"a b", b"a b"),
            (b") R 1 1 (", b") R 1 1 ("),
            (b"x)\n(y", b"x)\n(y"),
            (b"((()))", b"((()))"),
            (b"\xff\xfe", b"\xff\xfe"),
            (b"kworker/u8:2-events_unbound", b"kworker/u8:2-ev"),
        ] {
            let line = [b"4711 (", name, b")", rest].concat();
            assert_eq!(
                Stat::parse(&line),
                Some(Stat {
                    comm: comm(kept),
                    ..whole
                })
            );
        }
    }

    #[test]
    fn a_terminal_number_may_be_negative_in_print() {
        let line = b"1 (a) S 0 0 0 -2147483392 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0";
        assert_eq!(Stat::parse(line).unwrap().tty, 0x8000_0100);
    }

    #[test]
    fn cut_stat_lines_are_nothing() {
        let line = b"1 (a) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5";
        assert!(Stat::parse(line).is_some());
        for len in 0..line.len() {
            assert_eq!(Stat::parse(&line[..len]), None, "{len}");
        }
    }

    #[test]
    fn only_a_process_without_threads_is_dead() {
        for (state, threads, dead) in [
            (b'S', 1, false),
            (b'Z', 1, true),
            (b'Z', 0, true),
            (b'Z', 2, false),
            (b'X', 0, true),
        ] {
            let stat = Stat {
                state,
                threads,
                ..Stat::default()
            };
            assert_eq!(stat.is_dead(), dead, "{} {threads}", char::from(state));
        }
    }

    #[test]
    fn status_of_a_process_in_a_container() {
        let text =
            b"Name:\tsh\\nUid:\nTgid:\t4711\nUid:\t100000\t100001\t2\t3\nGid:\t10\t11\t12\t13\n\
            NStgid:\t4711\t31\t7\nNSpid:\t4712\t32\t8\nNSpgid:\t4711\t31\t6\nNSsid:\t4700\t0\t0\n\
            CapInh:\t0000000000000001\nCapPrm:\t00000000a80425fb\nCapEff:\t000001ffffffffff\n";
        let expected = Status {
            uid: 100_000,
            euid: 100_001,
            gid: 10,
            egid: 11,
            vpid: 7,
            vtid: 8,
            vpgid: 6,
            vsid: 0,
            cap_inheritable: 1,
            cap_permitted: 0xa804_25fb,
            cap_effective: 0x1ff_ffff_ffff,
        };
        assert_eq!(Status::parse(text), expected);
    }

    #[test]
    fn small_formats() {
        let cgroup = b"9:name=systemd:/x\n0::/docker/abc\n";
        assert_eq!(super::cgroup(cgroup, None), Some(b"/docker/abc".as_slice()));
        assert_eq!(super::cgroup(b"9:name=systemd:/0::/x\n", None), None);
        let v1 = b"11:name=systemd:/pids:/x\n4:cpu,cpuacct:/a:b\n3:pids:/docker/abc\n";
        for (controller, path) in [
            ("pids", Some(&b"/docker/abc"[..])),
            ("cpu", Some(b"/a:b")),
            ("cpuacct", Some(b"/a:b")),
            ("memory", None),
        ] {
            assert_eq!(super::cgroup(v1, Some(controller)), path, "{controller}");
        }
        assert_eq!(super::cgroup(v1, None), None);
        assert_eq!(namespace(b"mnt:[4026531841]"), 4_026_531_841);
        assert_eq!(namespace(b"mnt:[]"), 0);
        assert_eq!(lone_number(b"4294967295\n"), Some(u32::MAX));
        assert_eq!(lone_number(b""), None);
        assert_eq!(pid(b"12"), Some(12));
        assert_eq!(pid(b"+12"), None);
        assert_eq!(pid(b"self"), None);
        for (link, path, flags) in [
            (b"/usr/bin/sh".as_slice(), b"/usr/bin/sh".as_slice(), 0),
            (b"/tmp/x (deleted)", b"/tmp/x", ExeFlags::UNLINKED),
            (
                b"/memfd:run (deleted)",
                b"/memfd:run",
                ExeFlags::UNLINKED | ExeFlags::MEMFD,
            ),
            (b"/memfd:run", b"/memfd:run", 0),
            (
                b"/a (deleted) (deleted)",
                b"/a (deleted)",
                ExeFlags::UNLINKED,
            ),
        ] {
            assert_eq!(executable(link), (path, flags));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(text: Vec<u8>) {
            let _ = (Stat::parse(&text), Status::parse(&text), cgroup(&text, None));
            let _ = (namespace(&text), executable(&text), lone_number(&text), pid(&text));
        }

        #[test]
        fn any_name_leaves_the_other_fields_alone(name: Vec<u8>) {
            let rest = b") R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19";
            let line = [b"9 (", name.as_slice(), rest].concat();
            let stat = Stat::parse(&line).unwrap();
            prop_assert_eq!((stat.ppid, stat.tty, stat.threads, stat.start), (1, 4, 17, 19));
        }
    }
}
