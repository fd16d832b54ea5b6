//! The archive: plain files in the POSIX ustar format, which every `tar` reads.

use std::io::{self, Write};

const BLOCK: usize = 512;

/// Writes a file of the archive; `time` is seconds since the epoch.
///
/// # Errors
///
/// The name is longer than the format allows, or the writer fails.
pub(super) fn file(out: &mut impl Write, name: &str, time: u64, content: &[u8]) -> io::Result<()> {
    out.write_all(&header(name, time, content.len() as u64)?)?;
    out.write_all(content)?;
    let rest = content.len() % BLOCK;
    if rest > 0 {
        out.write_all(&vec![0; BLOCK - rest])?;
    }
    Ok(())
}

/// Ends the archive.
///
/// # Errors
///
/// The writer fails.
pub(super) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn header(name: &str, time: u64, size: u64) -> io::Result<Vec<u8>> {
    if name.len() > 100 {
        return Err(io::Error::other("a name of more than 100 bytes"));
    }
    let before = format!("{name:\0<100}0000600\x000000000\x000000000\0{size:011o}\0{time:011o}\0");
    let behind = format!("0{:\0<100}ustar\x0000root{:\0<28}root{:\0<28}", "", "", "");
    // The sum is over the header with spaces in its own place.
    let bytes = before.bytes().chain(behind.bytes());
    let sum: u64 = bytes.map(u64::from).sum::<u64>() + 8 * u64::from(b' ');
    let mut header = format!("{before}{sum:06o}\0 {behind}").into_bytes();
    header.resize(BLOCK, 0);
    Ok(header)
}
