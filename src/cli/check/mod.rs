//! `holdfast check`: a linter for documents, for people, editors and CI.

mod finding;
mod output;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::args::{CheckArgs, CheckOutput};
use super::excerpt::Excerpts;
use super::inputs;
use super::output::print;
use crate::clock;
use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::plan::Counted;
use crate::model::tree::Tree;
use crate::plan::{self, Settings};
use crate::policy;
use finding::{Finding, Level};

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let mut passed = Passed::default();
    for path in &args.paths {
        findings.extend(check(path, args, &mut passed).with_context(|| format!("cannot check {}", path.display()))?);
    }
    let text = match args.output {
        CheckOutput::Text => output::text(&findings, &passed),
        CheckOutput::Json => output::json(&findings),
        CheckOutput::Github => output::github(&findings),
        CheckOutput::Sarif => output::sarif(&findings),
    };
    print(&text)?;
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What was checked and found in order, for the last lines of the text.
#[derive(Default)]
struct Passed {
    cases: usize,
    coverage: BTreeMap<String, Counted>,
}

/// Findings of one file or folder, with paths as the caller would type them.
fn check(path: &Path, args: &CheckArgs, passed: &mut Passed) -> anyhow::Result<Vec<Finding>> {
    let (tree, base) = tree(path)?;
    let excerpts = Excerpts::of(&tree);
    let desired = Desired::parse(&tree)?;
    let now = args.now.unwrap_or_else(clock::now);
    let settings = Settings { cluster_name: args.cluster_name.clone().unwrap_or_default(), ..Settings::default() };
    let mut findings = finding::of_source(&desired, &excerpts);
    for case in &desired.cases {
        match policy::run(case, |name| desired.policies.get(name), now) {
            Ok(()) => passed.cases += 1,
            Err(broken) => findings.push(finding::of_case(broken, &excerpts)),
        }
    }
    let observed = args.cluster.as_deref().map(inputs::cluster).transpose()?;
    let decided = plan::judge(&desired, observed.as_ref().unwrap_or(&Observed::default()), &settings, now);
    findings.extend(decided.into_iter().map(|(at, decision)| finding::of_decision(at, &decision, &excerpts)));
    if let Some(observed) = &observed {
        let plan = plan::plan(&desired, observed, &settings, now);
        findings.extend(finding::of_plan(&plan, &excerpts));
        if args.coverage {
            findings.extend(finding::of_coverage(&plan, &excerpts));
            passed.coverage.extend(plan.coverage);
        }
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
