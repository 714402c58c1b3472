//! `holdfast check`: a linter for documents, for people, editors and CI.

mod finding;
mod output;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::args::{CheckArgs, CheckOutput};
use super::excerpt::Excerpts;
use super::inputs;
use crate::clock;
use crate::model::desired::Desired;
use crate::model::tree::Tree;
use crate::plan::{self, Settings};
use finding::{Finding, Level};

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    for path in &args.paths {
        findings.extend(check(path, args).with_context(|| format!("cannot check {}", path.display()))?);
    }
    let text = match args.output {
        CheckOutput::Text => output::text(&findings),
        CheckOutput::Json => output::json(&findings),
        CheckOutput::Github => output::github(&findings),
        CheckOutput::Sarif => output::sarif(&findings),
    };
    print!("{text}");
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Findings of one file or folder, with paths as the caller would type them.
fn check(path: &Path, args: &CheckArgs) -> anyhow::Result<Vec<Finding>> {
    let (tree, base) = tree(path)?;
    let excerpts = Excerpts::of(&tree);
    let desired = Desired::parse(&tree)?;
    let mut findings = finding::of_source(&desired, &excerpts);
    if let Some(file) = &args.cluster {
        let observed = inputs::cluster(file)?;
        let plan = plan::plan(&desired, &observed, &Settings::default(), clock::now());
        findings.extend(finding::of_plan(&plan, &excerpts));
    }
    for finding in &mut findings {
        if let Some(place) = &mut finding.at {
            place.path = base.join(&*place.path).to_string_lossy().into();
        }
    }
    Ok(findings)
}

/// A file is read as the one path that counts of its folder.
fn tree(path: &Path) -> anyhow::Result<(Tree, std::path::PathBuf)> {
    if path.metadata()?.is_dir() {
        return Ok((super::source::folder(path, &[])?, path.to_owned()));
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().context("not a file or folder")?.to_string_lossy().into_owned();
    let base = if folder == Path::new(".") { std::path::PathBuf::new() } else { folder.to_owned() };
    Ok((super::source::folder(folder, &[name])?, base))
}
