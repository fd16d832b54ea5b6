//! Opens a file through `io_uring` and reads its first bytes.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let path: PathBuf = std::env::args_os()
        .nth(1)
        .context("usage: uring-open FILE")?
        .into();
    tokio_uring::start(async {
        let file = tokio_uring::fs::File::open(&path).await?;
        let (read, _) = file.read_at(vec![0; 64], 0).await;
        println!("{}: {} bytes", path.display(), read?);
        Ok(file.close().await?)
    })
}
