//! Where documents are read from: flags into a source.

use std::path::Path;

use super::args::SourceArgs;
use crate::git::{EXCHANGE_TIMEOUT, Endpoint, GitUrl, SourceSettings, read_folder};
use crate::model::tree::{InputPaths, Tree};

/// The source that the flags name, if they name one.
pub(super) fn source(args: &SourceArgs) -> anyhow::Result<Option<SourceSettings>> {
    let Some(endpoint) = endpoint(args, args.git_url.as_deref())? else { return Ok(None) };
    let paths = InputPaths::parse(&args.git_paths)?;
    Ok(Some(SourceSettings { endpoint, reference: args.git_ref.clone(), paths }))
}

pub(super) fn endpoint(args: &SourceArgs, url: Option<&str>) -> anyhow::Result<Option<Endpoint>> {
    let Some(url) = url else { return Ok(None) };
    let url = GitUrl::parse(url, args.git_insecure)?;
    Ok(Some(Endpoint { url, credentials: args.git_credentials.clone(), timeout: EXCHANGE_TIMEOUT }))
}

/// Documents in a folder instead of a repository.
pub(super) fn folder(folder: &Path, paths: &[String]) -> anyhow::Result<Tree> {
    Ok(read_folder(folder, InputPaths::parse(paths)?)?)
}
