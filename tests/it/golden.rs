//! Golden plans: a source, a cluster and a moment in `tests/golden/<case>/`, with the plan that they give beside them.
//!
//! `UPDATE_GOLDEN=1 cargo test golden` writes the plans anew; the difference is for a reviewer to read in Git.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast::model::delete_log::RecentDelete;
use holdfast::model::desired::Desired;
use holdfast::model::finding::{CoverageCode, HeldCode, ReasonCode, RefusalCode, WarningCode};
use holdfast::model::plan::Plan;
use holdfast::plan::Settings;
use holdfast::plan::render::{Palette, diff, json};
use holdfast::report::{Memory, files};
use holdfast::{schema, yaml};
use jiff::{SignedDuration, Timestamp};

use super::report_input::input;
use super::world::{Cluster, tree_of_folder};

/// Fewer cases than this are a lost folder.
const CASES_MIN: usize = 60;

struct Case {
    folder: PathBuf,
    desired: Desired,
    cluster: Cluster,
    settings: Settings,
    now: Timestamp,
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(!read("about.txt").trim().is_empty(), "{} has no about.txt", folder.display());
        let mut settings = Settings::default();
        for flag in read("flags.txt").lines().filter(|line| !line.is_empty()) {
            match flag.split_once('=') {
                Some(("delete-delay", value)) => settings.delete_delay = value.parse::<SignedDuration>().unwrap(),
                Some(("adopt", "stash")) => settings.adopt_stash = true,
                _ => panic!("{}: unknown flag {flag}", folder.display()),
            }
        }
        let mut cluster = Cluster::parse(&read("cluster.yaml"));
        // One line for each delete within the last hour, with its UID or not: the daemon remembers them, a dump cannot.
        let delete = |line: &str| {
            let (time, uid) = line.split_once(' ').map_or((line, None), |(time, uid)| (time, Some(uid.to_owned())));
            RecentDelete { time: time.parse().unwrap(), uid }
        };
        cluster.deletes = read("deletes.txt").lines().map(delete).collect();
        Self {
            desired: Desired::parse(&tree_of_folder(&folder.join("git"))).unwrap(),
            cluster,
            settings,
            now: read("now.txt").trim().parse().unwrap(),
            folder,
        }
    }

    fn plan(&self) -> Plan {
        self.cluster.plan(&self.desired, &self.settings, self.now)
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().filter(|folder| folder.is_dir()).map(Case::read).collect()
}

#[test]
fn plans_are_as_reviewed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let mut differing = Vec::new();
    for case in &cases {
        let plan = case.plan();
        let mut texts = vec![("plan.json", json(&plan, None)), ("plan.txt", diff(&plan, Palette::Plain, &|_| None))];
        // Where a case is about what people read on the forge.
        if case.folder.join("README.md").exists() {
            let readme = files(&input(&plan, &case.cluster.observed()), &Memory::default()).0.remove("README.md");
            texts.push(("README.md", String::from_utf8(readme.unwrap()).unwrap()));
        }
        for (name, text) in texts {
            let path = case.folder.join(name);
            if update {
                std::fs::write(&path, &text).unwrap();
            } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
                differing.push(format!("{}/{name}:\n{text}", case.name()));
            }
        }
    }
    assert!(differing.is_empty(), "{} differ; UPDATE_GOLDEN=1 writes them:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn the_files_of_every_plan_fit_their_schemas() {
    let mut checked = 0;
    for case in cases() {
        let (files, _) = files(&input(&case.plan(), &case.cluster.observed()), &Memory::default());
        for (path, bytes) in files.iter().filter(|(path, _)| !path.ends_with("README.md")) {
            let document = &yaml::parse(bytes, &yaml::Limits::default()).unwrap()[0].value;
            let crd = schema::written().find(|crd| document["kind"] == crd.kind);
            let issues = crd.unwrap_or_else(|| panic!("{}: {path} has no schema", case.name())).check(document);
            assert!(issues.is_empty(), "{}: {path}: {issues:?}", case.name());
            checked += 1;
        }
        let plan: serde_json::Value = serde_json::from_str(&json(&case.plan(), None)).unwrap();
        let issues = schema::written().find(|crd| crd.kind == "Plan").unwrap().check(&plan);
        assert!(issues.is_empty(), "{}: {issues:?}", case.name());
    }
    assert!(checked > 2 * CASES_MIN, "{checked}");
}

#[test]
fn a_plan_that_was_applied_leaves_nothing_to_do() {
    for mut case in cases() {
        let plan = case.plan();
        case.cluster.apply(&plan);
        let again = case.plan();
        // Without a delay the mark of one pass is the end of the next.
        let again = if case.settings.delete_delay.is_zero() {
            case.cluster.apply(&again);
            case.plan()
        } else {
            again
        };
        assert!(again.steps.is_empty(), "{}: {}", case.name(), diff(&again, Palette::Plain, &|_| None));
    }
}

/// No step that planning refuses may come back by another way: what is refused stays refused until something changes.
#[test]
fn a_refusal_outlives_the_other_steps() {
    for mut case in cases() {
        let plan = case.plan();
        case.cluster.apply(&plan);
        let again = case.plan();
        for refusal in &plan.refusals {
            let stays = again.refusals.iter().any(|other| other.code == refusal.code && other.target == refusal.target);
            assert!(stays, "{}: {} {}", case.name(), refusal.code.as_str(), refusal.message);
        }
    }
}

#[test]
fn every_code_occurs_in_a_golden_plan() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for case in cases() {
        let plan = case.plan();
        seen.extend(plan.steps.iter().map(|step| format!("reason {}", step.reason.code.as_str())));
        seen.extend(plan.refusals.iter().map(|refusal| format!("refusal {}", refusal.code.as_str())));
        seen.extend(plan.held.iter().map(|held| format!("held {}", held.code.as_str())));
        seen.extend(plan.warnings.iter().map(|warning| format!("warning {}", warning.code.as_str())));
        seen.extend(plan.uncovered.iter().map(|uncovered| format!("uncovered {}", uncovered.code.as_str())));
    }
    let all = ReasonCode::ALL.iter().map(|code| format!("reason {}", code.as_str()));
    let all = all.chain(RefusalCode::ALL.iter().map(|code| format!("refusal {}", code.as_str())));
    let all = all.chain(HeldCode::ALL.iter().map(|code| format!("held {}", code.as_str())));
    let all = all.chain(WarningCode::ALL.iter().map(|code| format!("warning {}", code.as_str())));
    let all = all.chain(CoverageCode::ALL.iter().map(|code| format!("uncovered {}", code.as_str())));
    let missing: Vec<String> = all.filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no golden plan has: {}", missing.join(", "));
}
