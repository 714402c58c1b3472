//! `holdfast status`: what the status branches say, read from Git alone.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::args::StatusArgs;
use super::output::print;
use super::source::endpoint;
use crate::git::{Endpoint, StatusBranch, branches};
use crate::report::{ClusterFile, fleet};

/// Branches of a fleet; more clusters write to more repositories.
const BRANCHES_MAX: usize = 500;

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let Some(endpoint) = endpoint(&args.source, args.source.git_url.as_deref())? else {
        bail!("--git-url is required: it says where the status branches are");
    };
    let text = if args.fleet { fleet(&endpoint)? } else { one(&endpoint, args)? };
    print(&printable(&text))
}

fn one(endpoint: &Endpoint, args: &StatusArgs) -> anyhow::Result<String> {
    let branch = match (&args.status_branch, &args.cluster_name) {
        (Some(branch), _) => branch.clone(),
        (None, Some(name)) => format!("holdfast/{name}"),
        (None, None) => bail!("say which cluster: --cluster-name NAME, or --fleet for all of them"),
    };
    let cache = tempfile::tempdir()?;
    let mut status = StatusBranch::open(endpoint.clone(), &branch, cache.path())?;
    let tip = status.tip()?.with_context(|| format!("there is no branch {branch}: no daemon has written it yet"))?;
    let readme = tip.read("README.md")?.with_context(|| format!("branch {branch} has no README.md"))?;
    Ok(String::from_utf8_lossy(&readme).into_owned())
}

fn fleet(endpoint: &Endpoint) -> anyhow::Result<String> {
    let cache = tempfile::tempdir()?;
    let names = branches(endpoint, "holdfast/", &cache.path().join("list"))?;
    if names.is_empty() {
        bail!("there are no branches holdfast/*: no daemon has written one yet");
    }
    let mut rows = Vec::new();
    for (index, name) in names.iter().take(BRANCHES_MAX).enumerate() {
        let mut status = StatusBranch::open(endpoint.clone(), name, &cache.path().join(index.to_string()))?;
        let file = match status.tip()? {
            Some(tip) => tip.read("cluster.yaml")?.as_deref().and_then(ClusterFile::parse),
            None => None,
        };
        rows.push((name.clone(), file));
    }
    let mut table = fleet::table(&rows);
    if names.len() > BRANCHES_MAX {
        let _ = writeln!(table, "and {} more branches", names.len() - BRANCHES_MAX);
    }
    Ok(table)
}

/// Whoever may push to a branch must not reach the terminal of who reads it: control characters are shown as such.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
