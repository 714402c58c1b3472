//! A source: which commit its branch is at, and everything that counts in it.

use std::path::Path;

use super::clone::{LocalClone, open_repository};
use super::error::{Failure, ReadError};
use super::transport::{Endpoint, Listed, is_branch_name};
use super::walk::walk;
use crate::model::tree::{InputPaths, Revision, Tree, TreeBuilder};

const BRANCHES: &str = "refs/heads/";

/// What is read, and where.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub endpoint: Endpoint,
    /// Short branch name; none for the default branch of the server.
    pub reference: Option<String>,
    pub paths: InputPaths,
}

/// A repository that is read. Every call blocks, and ends within the timeout of its endpoint or two of them.
#[derive(Debug)]
pub struct Source {
    settings: SourceSettings,
    clone: LocalClone,
}

impl Source {
    /// `cache` is a folder that this source has for itself. Nothing is fetched yet.
    pub fn open(settings: SourceSettings, cache: &Path) -> Result<Self, ReadError> {
        if let Some(name) = settings.reference.as_deref().filter(|name| !is_branch_name(name)) {
            return Err(ReadError::BadBranch(name.to_owned()));
        }
        Ok(Self { clone: LocalClone::open(cache)?, settings })
    }

    /// The commit that the branch is at now. Nothing is fetched.
    pub fn probe(&mut self) -> Result<Revision, ReadError> {
        let clone = self.clone.path()?;
        let reference = self.settings.reference.clone();
        self.settings.endpoint.exchange(move |session| {
            let clone = open_repository(&clone)?;
            let listed = session.connect(&clone)?.list()?;
            resolve(&listed, reference.as_deref(), &session.url())
        })
    }

    /// Fetches the branch and reads all that counts. A clone that turns out to be broken is made anew once.
    pub fn read(&mut self) -> Result<Tree, ReadError> {
        let fresh = !self.clone.is_made();
        match self.attempt() {
            Err(ReadError::Clone(_)) if !fresh => self.attempt(),
            result => result,
        }
    }

    fn attempt(&mut self) -> Result<Tree, ReadError> {
        let path = self.clone.for_use()?;
        let (clone, reference) = (path.clone(), self.settings.reference.clone());
        let fetched = self.settings.endpoint.exchange(move |session| -> Result<_, Interrupted> {
            let clone = open_repository(&clone)?;
            let mut connection = session.connect(&clone)?;
            let listed = connection.list()?;
            let found = resolve(&listed, reference.as_deref(), &session.url()).map_err(Interrupted::Resolve)?;
            let commit = connection.fetch(&found.reference)?;
            // The branch may have moved since it was listed.
            Ok((commit, Revision { commit: commit.to_string(), reference: found.reference }))
        });
        let (commit, revision) = fetched.map_err(|interrupted| match interrupted {
            Interrupted::Resolve(error) => error,
            Interrupted::Failure(failure) => self.give_up(failure),
        })?;
        let mut builder = TreeBuilder::new(self.settings.paths.clone());
        let walked = open_repository(&path).and_then(|clone| walk(&clone, commit, &mut builder));
        match walked {
            Ok(()) => Ok(builder.finish(Some(revision))?),
            // The limits of a tree say nothing against the clone.
            Err(Failure::Limit(error)) => Err(error.into()),
            Err(failure) => Err(self.give_up(failure)),
        }
    }

    fn give_up(&mut self, failure: Failure) -> ReadError {
        self.clone.after(&failure);
        failure.into()
    }
}

enum Interrupted {
    Failure(Failure),
    Resolve(ReadError),
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The branch that is meant, among the names that the server lists.
fn resolve(listed: &[Listed], reference: Option<&str>, url: &str) -> Result<Revision, ReadError> {
    let url = || url.to_owned();
    if listed.is_empty() {
        return Err(ReadError::Empty { url: url() });
    }
    let at = |branch: &str| {
        let found = listed.iter().find(|head| head.name.strip_prefix(BRANCHES) == Some(branch))?;
        Some(Revision { reference: branch.to_owned(), commit: found.commit.clone() })
    };
    match reference {
        Some(branch) => at(branch).ok_or_else(|| ReadError::BranchMissing { url: url(), branch: branch.to_owned() }),
        None => default_branch(listed).and_then(at).ok_or_else(|| ReadError::NoDefaultBranch { url: url() }),
    }
}

/// What HEAD points to; where a server does not tell, a branch at the same commit, `main` and `master` first as in Git.
fn default_branch(listed: &[Listed]) -> Option<&str> {
    let head = listed.iter().find(|head| head.name == "HEAD")?;
    if let Some(target) = &head.target {
        return target.strip_prefix(BRANCHES);
    }
    let same = |head: &&Listed, other: &Listed| head.commit == other.commit;
    let branches =
        || listed.iter().filter(|other| same(&head, other)).filter_map(|other| other.name.strip_prefix(BRANCHES));
    branches().find(|name| matches!(*name, "main" | "master")).or_else(|| branches().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[(&str, &str)], target: Option<&str>) -> Vec<Listed> {
        let head = |(name, commit): &(&str, &str)| Listed {
            name: (*name).to_owned(),
            commit: (*commit).to_owned(),
            target: target.filter(|_| *name == "HEAD").map(str::to_owned),
        };
        names.iter().map(head).collect()
    }

    #[test]
    fn the_default_branch_is_what_head_says() {
        let names = [("HEAD", "1"), ("refs/heads/a", "1"), ("refs/heads/main", "1"), ("refs/heads/z", "2")];
        let found = |target| resolve(&listed(&names, target), None, "u").map(|found| found.reference);
        assert_eq!(found(Some("refs/heads/z")), Ok("z".to_owned()));
        assert_eq!(found(None), Ok("main".to_owned()));
        assert_eq!(found(Some("refs/heads/gone")), Err(ReadError::NoDefaultBranch { url: "u".to_owned() }));
        let unborn = listed(&names[1..], None);
        assert_eq!(resolve(&unborn, None, "u"), Err(ReadError::NoDefaultBranch { url: "u".to_owned() }));
        assert_eq!(resolve(&unborn, Some("z"), "u").map(|found| found.commit), Ok("2".to_owned()));
        assert!(matches!(resolve(&unborn, Some("x"), "u"), Err(ReadError::BranchMissing { .. })));
        assert!(matches!(resolve(&[], Some("x"), "u"), Err(ReadError::Empty { .. })));
    }
}
