//! The hash over an alert and all before it: who changes or takes away one has to change all later
//! ones, and a hash that was noted elsewhere before tells.

use sha2::digest::Output;
use sha2::{Digest as _, Sha256};

use super::entry::Row;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// Before the first alert.
pub(super) const BEGINNING: Hash = [0; 32];

/// Hash of one alert by itself.
pub(super) fn digest(row: &Row) -> Hash {
    let mut hash = Sha256::new();
    for number in [row.sequence, row.time, u64::from(row.priority)] {
        hash.update(number.to_le_bytes());
    }
    let Row {
        rule,
        source,
        tags,
        hostname,
        output,
        fields,
        ..
    } = row;
    for text in [rule, source, tags, hostname, output, fields] {
        // With its length, so that no text can pass for the end of another.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// Hash of all up to the alert whose own is `digest`.
pub(super) fn after(before: &Hash, digest: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(digest);
    hash.finalize().into()
}

/// In hexadecimal.
pub(super) fn hex(hash: Hash) -> String {
    format!("{:x}", Output::<Sha256>::from(hash))
}
