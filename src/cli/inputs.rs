//! Files that commands read.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::model::observed::Observed;
use crate::yaml::{self, Limits};

/// A dump of a cluster with 100,000 objects; more would not fit the memory of a laptop as a tree.
const CLUSTER_BYTES_MAX: usize = 512 << 20;

/// Reads a cluster file; `-` is standard input.
#[expect(clippy::disallowed_methods, reason = "the command line reads the files that it is given")]
pub(super) fn cluster(path: &Path) -> anyhow::Result<Observed> {
    let shown = path.display();
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(CLUSTER_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot open the cluster file {shown}"))?;
        file.take(CLUSTER_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {shown}"))?;
    }
    if bytes.len() > CLUSTER_BYTES_MAX {
        bail!("{shown} is over {} MiB", CLUSTER_BYTES_MAX >> 20);
    }
    Ok(Observed::of_dump(&documents(&bytes).with_context(|| format!("cannot read the cluster file {shown}"))?))
}

fn documents(bytes: &[u8]) -> anyhow::Result<Vec<Value>> {
    // JSON is YAML, but its own reader is many times faster on large dumps.
    if bytes.trim_ascii_start().starts_with(b"{") {
        let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(bytes).into_iter().collect();
        if let Ok(documents) = documents {
            return Ok(documents);
        }
    }
    let limits = Limits { bytes: CLUSTER_BYTES_MAX, documents: usize::MAX, nodes: usize::MAX, ..Limits::default() };
    match yaml::parse(bytes, &limits) {
        Ok(documents) => Ok(documents.into_iter().map(|document| document.value).collect()),
        Err(error) => bail!("line {}, column {}: {}", error.at.line, error.at.column, error.message),
    }
}
