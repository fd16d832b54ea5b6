//! The policies built into the binary: every rules file of `policies/`, in load order, so that the
//! daemon detects something on a machine that has nothing but the binary.

use monitor_policy::RulesFile;

macro_rules! embed {
    ($name:literal, $end:literal) => {
        RulesFile {
            name: concat!("policies/", $name, $end),
            text: include_str!(concat!("../../policies/", $name, $end)),
        }
    };
}

macro_rules! themes {
    ($($name:literal,)*) => {
        /// The rules files, named as in the repository.
        pub const FILES: &[RulesFile<'static>] = &[$(embed!($name, ".yaml"),)*];

        /// The tests beside them.
        pub const TESTS: &[RulesFile<'static>] = &[$(embed!($name, ".test.yaml"),)*];
    };
}

themes![
    "credentials",
    "escape",
    "execution",
    "files",
    "kernel",
    "network",
    "persistence",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn every_shipped_policy_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let shipped: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .filter(|stem| !stem.contains('.'))
            .map(|stem| format!("policies/{stem}.yaml"))
            .collect();
        let built_in: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(built_in, shipped);
    }
}
