//! What the daemon does with memory that is unsafe: it reads rings and arrays that the
//! kernel writes to, and gives back what is in a file anyway.

mod code;
mod mapping;
mod ring;
mod words;

pub use code::give_back_code;
pub use ring::Ring;
pub use words::Words;
