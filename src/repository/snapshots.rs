//! All snapshots of a repository, and which one is meant.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use super::backup::INCOMPLETE;
use super::open::Opened;
use super::parallel::{AT_ONCE, each};
use super::snapshot::{Snapshot, SnapshotError};
use super::store::{Fault, FileId, FileKind, FileName, StoreError};

/// Fewer characters of a name mean too many things.
const PREFIX_MIN: usize = 4;

#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// The oldest first.
    pub all: Vec<Snapshot>,
    /// Files that are no snapshot any more.
    pub lost: Vec<SnapshotError>,
}

/// Which snapshots are looked at; what is empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub hosts: BTreeSet<String>,
    /// One of these sets, of which each tag must be there.
    pub tags: Vec<BTreeSet<String>>,
    /// All of them.
    pub paths: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectError {
    #[error("no snapshot {0}")]
    None(String),
    #[error("{0} is not the name of a snapshot: give at least {PREFIX_MIN} digits of it, or `latest`")]
    NoName(String),
    #[error("{name} may be any of {}", .ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Several { name: String, ids: Vec<FileId> },
    #[error("no snapshot that matches is complete: name one, if a part is better than nothing")]
    OnlyIncomplete,
}

impl Filter {
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        let has_tag =
            |tag: &String| if tag.is_empty() { snapshot.tags.is_empty() } else { snapshot.tags.contains(tag) };
        (self.hosts.is_empty() || self.hosts.contains(&snapshot.host))
            && (self.tags.is_empty() || self.tags.iter().any(|tags| tags.iter().all(has_tag)))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
    }
}

impl Snapshots {
    pub fn read(opened: &Opened) -> Result<Self, StoreError> {
        let (store, seal) = (opened.store(), opened.seal());
        let files = store.list(FileKind::Snapshot)?;
        let gathered = Mutex::new((Vec::with_capacity(files.len()), Vec::new(), None));
        each(&files, AT_ONCE, |(id, _)| {
            let sealed = store.read(FileName::Of(FileKind::Snapshot, *id));
            let snapshot = sealed.map(|sealed| Snapshot::read(*id, &sealed, &seal));
            let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            match snapshot {
                Ok(Ok(snapshot)) => gathered.0.push(snapshot),
                Ok(Err(error)) => gathered.1.push(error),
                // Somebody removed it meanwhile.
                Err(error) if error.fault == Fault::Missing => {}
                Err(error) => gathered.2 = Some(error),
            }
        });
        let (mut all, mut lost, failed) = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failed {
            return Err(error);
        }
        all.sort_by(|one, other| one.time.cmp(&other.time).then(one.id.cmp(&other.id)));
        lost.sort_by_key(ToString::to_string);
        Ok(Self { all, lost })
    }

    /// By the beginning of its name; `latest` is the newest complete one that the filter leaves.
    pub fn select(&self, name: &str, filter: &Filter) -> Result<&Snapshot, SelectError> {
        if name == "latest" {
            let mut newest = self.all.iter().rev().filter(|snapshot| filter.matches(snapshot)).peekable();
            let any = newest.peek().is_some();
            return newest.find(|snapshot| snapshot.is_complete()).ok_or_else(|| {
                if any { SelectError::OnlyIncomplete } else { SelectError::None("matches".to_owned()) }
            });
        }
        if name.len() < PREFIX_MIN || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SelectError::NoName(name.to_owned()));
        }
        let wanted = name.to_ascii_lowercase();
        let mut found = self.all.iter().filter(|snapshot| snapshot.id.to_string().starts_with(&wanted));
        match (found.next(), found.next()) {
            (None, _) => Err(SelectError::None(format!("begins with {name}"))),
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => {
                let ids = [one, other].into_iter().chain(found).map(|snapshot| snapshot.id).collect();
                Err(SelectError::Several { name: name.to_owned(), ids })
            }
        }
    }
}

impl Snapshot {
    pub fn is_complete(&self) -> bool {
        !self.tags.iter().any(|tag| tag == INCOMPLETE)
    }
}
