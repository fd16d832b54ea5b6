//! Every key of a section of `alerts.files`, as [`super::KEYS`] has the others.

use super::keys::{Key, PRIORITY, RULES, TAGS, key};

/// Keys of a file, in the order in which they are shown.
pub(super) const FILE_KEYS: &[Key] = &[
    key(
        "path",
        "path",
        "Alerts are appended here as lines. Has to be given; its folder has to be there.",
    ),
    key(
        "format",
        "`falco`, `text`, `ecs`, `ocsf`, `cef`, `otlp`",
        "The shape of alerts; docs/reference/formats.md has all of them.",
    ),
    key(
        "max_bytes",
        "4096 to 1099511627776, `off`",
        "Before a line with which it would be longer than this, the file is renamed to `PATH.1`, \
         which was renamed to `PATH.2` before, and so on, and begun anew. A longer line has a file for \
         itself. With `off` that is left to others, such as logrotate.",
    ),
    key(
        "keep",
        "1 to 1000",
        "How many files are kept besides the one that is written to. The oldest goes.",
    ),
    PRIORITY,
    TAGS,
    RULES,
];
