//! Looks for everything that is wrong in a repository, goes on after each finding, and names the file that it is in.

mod content;
mod structure;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::blob::BlobKind;
use super::cancel::Cancel;
use super::node::{Node, NodeKind};
use super::open::Opened;
use super::packs::PackUse;
use super::progress::Progress;
use super::reader::{BlobError, Reader, data};
use super::snapshot::SnapshotError;
use super::snapshots::Snapshots;
use super::store::{Fault, FileId, FileKind, FileName, StoreError};
use super::trees;

/// How much of the packs is read and not only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No more than snapshots, index and trees.
    Structure,
    All,
    /// One of so many parts, which together are all: the first is 1.
    Part {
        part: u32,
        of: u32,
    },
    /// So many of a hundred packs, which `seed` chooses.
    Percent {
        percent: u8,
        seed: u64,
    },
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A file that is not there, or not as it should be.
    Damaged { file: FileName, reason: String },
    /// Something in a snapshot that cannot be restored.
    Lost { path: PathBuf, reason: String },
    /// Takes room and harms nothing: the next prune removes it.
    Unused { file: FileName },
}

impl Finding {
    pub fn is_error(&self) -> bool {
        match self {
            Finding::Damaged { .. } | Finding::Lost { .. } => true,
            Finding::Unused { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Damaged { file, reason } => write!(f, "{file}: {reason}"),
            Finding::Lost { path, reason } => write!(f, "snapshot {}: {reason}", path.display()),
            Finding::Unused { file } => write!(f, "{file}: no index names it; the next prune removes it"),
        }
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub snapshots: u64,
    pub packs: u64,
    pub packs_read: u64,
    pub findings: Vec<Finding>,
}

impl Checked {
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }
}

#[derive(Debug, Default)]
struct Findings {
    all: Mutex<Vec<Finding>>,
    /// What could not be looked at: neither sound nor damaged.
    unseen: Mutex<Option<StoreError>>,
}

impl Findings {
    fn add(&self, finding: Finding) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
    }

    /// Damage, if it is of the file; an outage of the store is not.
    fn unread(&self, file: FileName, error: StoreError) {
        match &error.fault {
            Fault::Missing
            | Fault::Exists
            | Fault::Denied(_)
            | Fault::Full
            | Fault::Short { .. }
            | Fault::Broken(_) => {
                self.damaged(file, &error.fault);
            }
            Fault::Unavailable(_) | Fault::Memory(_) | Fault::Cancelled => {
                self.unseen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// Whatever is still found, there will be no verdict.
    fn is_over(&self) -> bool {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn damaged(&self, file: FileName, reason: &(impl ToString + ?Sized)) {
        self.add(Finding::Damaged { file, reason: reason.to_string() });
    }
}

/// Needs a lock that is at least shared: beside a prune, files are missing that nobody misses.
pub fn check(opened: &Opened, depth: Depth, progress: &Progress, cancel: &Cancel) -> Result<Checked, StoreError> {
    let findings = Findings::default();
    structure::keys(opened, &findings)?;
    let reader = Reader::new(opened)?;
    let packs = structure::packs(opened, &reader, &findings)?;
    let snapshots = Snapshots::read(opened)?;
    for lost in &snapshots.lost {
        let reason = match lost {
            SnapshotError::Sealed { error, .. } => error.to_string(),
            SnapshotError::NoSnapshot { reason, .. } => reason.clone(),
        };
        findings.damaged(FileName::Of(FileKind::Snapshot, lost.id()), &reason);
    }
    contents(&reader, &snapshots, &findings, cancel);
    let chosen = depth.chosen(&packs);
    if depth != Depth::Structure {
        progress.expect_bytes(chosen.iter().filter_map(|(_, pack)| pack.bytes).sum());
        content::read(&reader, &chosen, &findings, progress, cancel);
    }
    if cancel.is_cancelled() {
        // What was not looked at would count as sound.
        let (location, file) = (opened.store.location(), FileKind::Data.folder().to_owned());
        return Err(StoreError { location, file, fault: Fault::Cancelled });
    }
    if let Some(error) = findings.unseen.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut findings = findings.all.into_inner().unwrap_or_else(PoisonError::into_inner);
    findings.sort_by_key(|finding| (!finding.is_error(), finding.to_string()));
    findings.dedup();
    let packs_read = if depth == Depth::Structure { 0 } else { chosen.len() as u64 };
    Ok(Checked { snapshots: snapshots.all.len() as u64, packs: packs.len() as u64, packs_read, findings })
}

/// Every tree can be read, and everything that it names is named by an index.
fn contents(reader: &Reader, snapshots: &Snapshots, findings: &Findings, cancel: &Cancel) {
    let roots = snapshots.all.iter().map(|snapshot| (snapshot.tree, PathBuf::from(format!("{}:/", snapshot.id))));
    trees::visit(reader, roots, cancel, |(_, path), tree| match tree {
        Err(error) => {
            match &error {
                BlobError::Sealed { at, .. } | BlobError::Other { at, .. } => findings.damaged(data(**at), &error),
                BlobError::Store { at, error, .. } => findings.unread(data(**at), (**error).clone()),
                BlobError::Unknown(_) | BlobError::Cancelled | BlobError::NoTree { .. } => {}
            }
            findings.add(Finding::Lost { path: path.clone(), reason: error.to_string() });
        }
        Ok(tree) => tree.nodes.iter().for_each(|node| {
            for reason in faults(reader, node) {
                let path = node.name().map_or_else(|_| path.clone(), |name| path.join(name));
                findings.add(Finding::Lost { path, reason });
            }
        }),
    });
}

fn faults(reader: &Reader, node: &Node) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(node.name().err());
    match node.kind {
        NodeKind::Dir if node.subtree.is_none() => faults.push("it is a folder without a tree".to_owned()),
        NodeKind::File => {
            let lost = node.blobs().iter().filter(|id| !reader.index.has(BlobKind::Data, **id));
            faults.extend(lost.map(|id| format!("blob {id} is in no index")));
        }
        NodeKind::Dir
        | NodeKind::Symlink
        | NodeKind::BlockDevice
        | NodeKind::CharacterDevice
        | NodeKind::Fifo
        | NodeKind::Socket
        | NodeKind::Unknown => {}
    }
    faults
}

impl Depth {
    /// As in restic, some of a hundred are one at least: a repository with few packs is not left unread for ever.
    fn chosen(self, packs: &[(FileId, PackUse)]) -> Vec<&(FileId, PackUse)> {
        let included: Vec<_> = packs.iter().filter(|(id, _)| self.includes(*id)).collect();
        match self {
            Depth::Percent { percent: 1.., seed } if included.is_empty() && !packs.is_empty() => {
                let turn = usize::try_from(seed % packs.len() as u64).unwrap_or_default();
                packs.get(turn).into_iter().collect()
            }
            Depth::Structure | Depth::All | Depth::Part { .. } | Depth::Percent { .. } => included,
        }
    }

    fn includes(self, pack: FileId) -> bool {
        let number = u64::from_le_bytes(*pack.0.first_chunk().unwrap_or(&[0; 8]));
        match self {
            Depth::Structure => false,
            Depth::All => true,
            // By the first byte, as restic cuts a repository in parts.
            Depth::Part { part, of } => u32::from(pack.0[0]) % of.max(1) == part.saturating_sub(1),
            Depth::Percent { percent, seed } => {
                // SplitMix64: which packs it are differs with each seed, how many does not.
                let mixed = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                (mixed ^ mixed >> 27) % 100 < u64::from(percent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_together_and_none_twice() {
        let packs: Vec<_> = (0..=255).map(|byte| FileId([byte; 32])).collect();
        for of in [1, 2, 7, 256] {
            let included = |id: &FileId| (1..=of).filter(|part| Depth::Part { part: *part, of }.includes(*id)).count();
            assert!(packs.iter().all(|id| included(id) == 1), "{of}");
        }
        let chosen = |seed| packs.iter().filter(|id| Depth::Percent { percent: 30, seed }.includes(**id)).count();
        assert!((20..140).contains(&chosen(1)), "{}", chosen(1));
        let percent = |percent| packs.iter().filter(|id| Depth::Percent { percent, seed: 5 }.includes(**id)).count();
        assert_eq!((percent(0), percent(100)), (0, 256));
    }
}
