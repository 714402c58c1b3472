//! How much a file may hold before it is refused.

/// Fifty times the largest manifest people write, and below the 1.5 MiB that etcd takes for one object.
const BYTES_MAX: usize = 1024 * 1024;
/// The number of documents a whole source may hold, so no single file is ever stopped by this before the source is.
const DOCUMENTS_MAX: usize = 5000;
/// Four times the depth of the deepest Kubernetes schema in use, half of what JSON readers commonly stop at.
const DEPTH_MAX: usize = 64;
/// One node for every four bytes of the largest file: real manifests have one for every twenty.
const NODES_MAX: usize = 250_000;

/// Limits on one file; each is the largest value that still passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Documents that have content.
    pub documents: usize,
    /// Mappings and sequences inside each other; a mapping at the root counts as one.
    pub depth: usize,
    /// Mappings, sequences, scalars and keys of all documents together.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: BYTES_MAX, documents: DOCUMENTS_MAX, depth: DEPTH_MAX, nodes: NODES_MAX }
    }
}
