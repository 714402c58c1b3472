//! The branches of a repository, by their beginning.

use std::path::Path;

use super::clone::{LocalClone, open_repository};
use super::error::{Failure, ReadError};
use super::transport::Endpoint;

/// Short names of the branches that begin with `prefix`, sorted. Nothing is fetched; `cache` is a folder for this alone.
pub fn branches(endpoint: &Endpoint, prefix: &str, cache: &Path) -> Result<Vec<String>, ReadError> {
    let clone = LocalClone::open(cache)?.for_use()?;
    let listed = endpoint.exchange(move |session| -> Result<_, Failure> {
        let clone = open_repository(&clone)?;
        session.connect(&clone)?.list()
    });
    let mut names: Vec<String> = listed
        .map_err(ReadError::from)?
        .iter()
        .filter_map(|listed| listed.name.strip_prefix("refs/heads/"))
        .filter(|name| name.starts_with(prefix))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}
