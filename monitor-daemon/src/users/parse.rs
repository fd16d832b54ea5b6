//! The formats of `passwd`, `group` and `/proc/PID/uid_map`. Pure: any bytes in, bounded out.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Most entries taken of one file.
const ENTRIES_MAX: usize = 16_384;
/// Longest name; longer ones are no names.
const NAME_MAX: usize = 256;

/// One line of `passwd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Login name.
    pub name: Box<str>,
    /// Home directory.
    pub home: Box<str>,
    /// Login shell.
    pub shell: Box<str>,
}

impl User {
    pub(super) fn root() -> &'static Self {
        static ROOT: LazyLock<User> = LazyLock::new(|| User {
            name: "root".into(),
            home: "/root".into(),
            shell: "".into(),
        });
        &ROOT
    }

    pub(super) fn size(&self) -> usize {
        self.name.len() + self.home.len() + self.shell.len()
    }
}

/// Users by id. Of several with one id the first counts, as for the C library.
pub(super) fn users(passwd: &[u8]) -> HashMap<u32, User> {
    entries(passwd, |mut fields| {
        let name = fields.next().filter(is_name)?;
        let id = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?.into();
        let shell = fields.next().unwrap_or_default().into();
        Some((
            id,
            User {
                name: name.into(),
                home,
                shell,
            },
        ))
    })
}

/// Group names by id.
pub(super) fn groups(group: &[u8]) -> HashMap<u32, Box<str>> {
    entries(group, |mut fields| {
        let name = fields.next().filter(is_name)?;
        Some((fields.nth(1)?.parse().ok()?, name.into()))
    })
}

fn entries<T>(
    text: &[u8],
    mut parse: impl FnMut(std::str::Split<'_, char>) -> Option<(u32, T)>,
) -> HashMap<u32, T> {
    let mut found = HashMap::new();
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok());
    for (id, entry) in lines.filter_map(|line| parse(line.split(':'))) {
        if found.len() >= ENTRIES_MAX {
            break;
        }
        found.entry(id).or_insert(entry);
    }
    found
}

fn is_name(name: &&str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && !name.starts_with(['#', '+', '-'])
}

/// Which ids inside a user namespace stand for which outside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct IdMap(
    /// (inside, outside, count); none: every id stands for itself.
    Vec<(u32, u32, u32)>,
);

impl IdMap {
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let ranges = text.lines().filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            let mut number = || numbers.next()?.ok();
            Some((number()?, number()?, number()?))
        });
        Self(ranges.filter(|range| *range != (0, 0, u32::MAX)).collect())
    }

    /// The id inside, `None` when it has none there.
    pub(super) fn inside(&self, outside: u32) -> Option<u32> {
        if self.0.is_empty() {
            return Some(outside);
        }
        self.0.iter().find_map(|(inside, first, count)| {
            let offset = outside
                .checked_sub(*first)
                .filter(|offset| offset < count)?;
            inside.checked_add(offset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_passwd() {
        let text = b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:\n\n# comment:x:7:7::/:\n\
            +nis:x:8:8::/:\nno-shell:x:9:9::/nine\nshort:x:10\n:x:11:11::/:\nbad:x:-1:0::/:/b\n\
            \xff:x:12:12::/:/b\nwww-data:x:33:33:www:/var/www:/usr/sbin/nologin";
        let found = users(text);
        let mut ids: Vec<_> = found.keys().copied().collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 9, 33]);
        let user = |id: u32| {
            let user = &found[&id];
            (&*user.name, &*user.home, &*user.shell)
        };
        assert_eq!(user(0), ("root", "/root", "/bin/bash"));
        assert_eq!(user(9), ("no-shell", "/nine", ""));
        assert_eq!(user(33), ("www-data", "/var/www", "/usr/sbin/nologin"));
    }

    #[test]
    fn lines_of_group() {
        let found = groups(b"root:x:0:\nadm:x:4:syslog,me\nbroken:4\ncut:x:5");
        let mut found: Vec<_> = found.iter().map(|(id, name)| (*id, &**name)).collect();
        found.sort_unstable();
        assert_eq!(found, [(0, "root"), (4, "adm"), (5, "cut")]);
    }

    #[test]
    fn a_flood_of_entries_is_cut() {
        use std::fmt::Write as _;
        let mut text = String::new();
        (0..40_000).for_each(|id| writeln!(text, "u{id}:x:{id}:0::/:").unwrap());
        assert_eq!(users(text.as_bytes()).len(), ENTRIES_MAX);
        let long = format!("{}:x:1:1::/:", "n".repeat(NAME_MAX + 1));
        assert!(users(long.as_bytes()).is_empty());
    }

    #[test]
    fn ids_are_mapped_as_the_namespace_says() {
        let identity = "         0          0 4294967295\n";
        let remapped = "0 100000 65536\n65536 5000 1\n";
        for (map, outside, inside) in [
            ("", 7, Some(7)),
            (identity, 7, Some(7)),
            (remapped, 100_000, Some(0)),
            (remapped, 165_535, Some(65_535)),
            (remapped, 165_536, None),
            (remapped, 5_000, Some(65_536)),
            (remapped, 0, None),
            ("4294967295 0 10\n", 5, None),
        ] {
            assert_eq!(
                IdMap::parse(map.as_bytes()).inside(outside),
                inside,
                "{map} {outside}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(text: Vec<u8>, id: u32) {
            let _ = (users(&text), groups(&text), IdMap::parse(&text).inside(id));
        }

        #[test]
        fn colons_and_numbers_neither(text in "[a-z0-9:\n-]{0,200}", id: u32) {
            let text = text.as_bytes();
            let _ = (users(text), groups(text), IdMap::parse(text).inside(id));
        }
    }
}
