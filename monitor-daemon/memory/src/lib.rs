//! What the daemon does with memory that is unsafe: it reads rings and arrays that the
//! kernel writes to, writes to arrays that it reads, and gives back what is in a file anyway.

mod mapping;
mod program;
mod ring;
mod words;

pub use program::give_back_program;
pub use ring::Ring;
pub use words::Words;
