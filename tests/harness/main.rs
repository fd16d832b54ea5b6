//! The tests' own tools: each helper does what it says and leaves nothing behind.

mod docker;
mod prometheus;
mod vm;
