//! A process that does not outlive what started it.

use std::process::Child;

/// Killed and reaped on drop.
#[derive(Debug)]
pub struct Tied(pub Child);

impl Drop for Tied {
    fn drop(&mut self) {
        // It fails only for one that has come to its end by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
