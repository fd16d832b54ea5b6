//! Whether the log is what was written to it.

use std::iter::Peekable;
use std::path::Path;

use super::chain::{self, Hash};
use super::read::{COLUMNS, row};
use super::schema::newest;
use super::{LogError, of, schema};

/// What the chain of hashes says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Alerts that are kept, up to the first that does not fit.
    pub alerts: u64,
    /// Alerts that were removed, of which the hashes are left.
    pub removed: u64,
    /// Number below which nothing is left.
    pub anchor: u64,
    /// Number of the newest alert.
    pub newest: u64,
    /// The hash over all, in hexadecimal: noted elsewhere, it proves later that nothing up to
    /// `newest` was changed.
    pub hash: String,
    /// Ranges of numbers that were given to no alert of the log.
    pub gaps: Vec<(u64, u64)>,
    /// Number of the first alert that is not what was written, or is missing without a note.
    pub broken: Option<u64>,
}

/// Reads the whole log.
///
/// # Errors
///
/// It cannot be read.
pub fn verify(path: &Path) -> Result<Verified, LogError> {
    let (connection, _) = schema::open(path)?;
    let read = || {
        // All of it as it was at one moment, while alerts come in.
        let transaction = connection.unchecked_transaction()?;
        let meta = schema::meta(&transaction)?;
        let mut gaps = transaction.prepare("SELECT first, last FROM gaps ORDER BY first")?;
        let gaps = gaps.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let gaps: Vec<(u64, u64)> = gaps.collect::<Result<_, _>>()?;
        let mut removed = transaction.prepare("SELECT sequence, digest FROM removed ORDER BY 1")?;
        let removed = removed.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut kept = transaction.prepare(&format!(
            "SELECT {COLUMNS}, chain FROM alerts ORDER BY sequence"
        ))?;
        let mut kept = kept.query(())?;
        let mut walk = Walk {
            removed: removed.peekable(),
            gaps: &gaps,
            last: meta.anchor,
            chain: meta.chain,
            passed: 0,
        };
        let mut alerts = 0;
        let mut broken = None;
        while let Some(columns) = kept.next()? {
            let found = row(columns)?;
            let sequence = found.sequence;
            if !walk.reach(sequence)?
                || !walk.add(sequence, &chain::digest(&found), &columns.get(9)?)
            {
                broken = Some(walk.last + 1);
                break;
            }
            alerts += 1;
        }
        let (newest, hash) = newest(&transaction, &meta)?;
        Ok(Verified {
            alerts,
            removed: walk.passed,
            anchor: meta.anchor,
            newest,
            hash: chain::hex(hash),
            broken,
            gaps,
        })
    };
    read().map_err(of(path))
}

/// Goes along the chain.
struct Walk<'a, I: Iterator> {
    removed: Peekable<I>,
    gaps: &'a [(u64, u64)],
    last: u64,
    chain: Hash,
    passed: u64,
}

impl<I: Iterator<Item = rusqlite::Result<(u64, Hash)>>> Walk<'_, I> {
    /// Goes over what was removed before `sequence`; `false` when something is missing.
    fn reach(&mut self, sequence: u64) -> rusqlite::Result<bool> {
        let before = |next: &rusqlite::Result<(u64, Hash)>| match next {
            Ok((removed, _)) => *removed < sequence,
            Err(_) => true,
        };
        while let Some(next) = self.removed.next_if(before) {
            let (removed, digest) = next?;
            if !self.follows(removed) {
                return Ok(false);
            }
            self.chain = chain::after(&self.chain, &digest);
            self.last = removed;
            self.passed += 1;
        }
        Ok(self.follows(sequence))
    }

    /// Goes over a kept alert; `false` when the hash beside it is another.
    fn add(&mut self, sequence: u64, digest: &Hash, expected: &Hash) -> bool {
        let chain = chain::after(&self.chain, digest);
        if chain != *expected {
            return false;
        }
        self.chain = chain;
        self.last = sequence;
        true
    }

    /// Whether `sequence` is the next number, or the one behind a gap.
    fn follows(&self, sequence: u64) -> bool {
        sequence == self.last + 1
            || self
                .gaps
                .contains(&(self.last + 1, sequence.wrapping_sub(1)))
    }
}
