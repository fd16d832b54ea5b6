//! Paths, by their text alone.

/// `path` as an absolute path: relative ones start at the directory `base`, `.`, `..`, doubled and
/// trailing slashes are taken out. Links are not followed; `..` of the root is the root.
pub fn clean_path(base: &[u8], path: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(base.len() + path.len() + 1);
    if path.first() != Some(&b'/') {
        push_components(&mut clean, base);
    }
    push_components(&mut clean, path);
    if clean.is_empty() {
        clean.push(b'/');
    }
    clean
}

fn push_components(clean: &mut Vec<u8>, path: &[u8]) {
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let parent = clean.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                clean.truncate(parent);
            }
            name => {
                clean.push(b'/');
                clean.extend_from_slice(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_lexically() {
        let check = |base: &str, path: &str, expected: &str| {
            let clean = clean_path(base.as_bytes(), path.as_bytes());
            assert_eq!(String::from_utf8(clean).unwrap(), expected, "{base} {path}");
        };
        check("/root/", "a", "/root/a");
        check("/root", "a", "/root/a");
        check("/root", "/etc//passwd", "/etc/passwd");
        check("/root", "../etc/./shadow", "/etc/shadow");
        check("/a/b/", "../../../..", "/");
        check("/", "", "/");
        check("/", "etc/", "/etc");
        check("", "etc", "/etc");
        check("/x", "...", "/x/...");
    }
}
