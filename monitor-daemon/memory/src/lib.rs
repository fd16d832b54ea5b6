//! What the daemon does with memory that is unsafe: it reads rings that the kernel writes to, and
//! gives back what is in a file anyway.

mod code;
mod mapping;
mod ring;

pub use code::give_back_code;
pub use ring::Ring;
