//! Reference pages and manifests that are generated: equal to what the code says, or rewritten with `UPDATE_DOCS=1`.

#![expect(clippy::disallowed_methods, reason = "the generator reads and writes the repository")]

use std::path::Path;

use holdfast::cli::docs::{Topic, page};
use holdfast::git::read_folder;
use holdfast::install::manifests::{Settings, manifests, to_yaml};
use holdfast::model::desired::Desired;
use holdfast::model::observed::Observed;
use holdfast::model::tree::InputPaths;
use holdfast::plan::{self, plan, render};
use holdfast::yaml;
use jiff::Timestamp;

#[test]
fn docs_reference_is_what_the_command_prints() {
    for (path, topic) in [
        ("docs/reference/cli.md", Topic::Cli),
        ("docs/reference/codes.md", Topic::Codes),
        ("docs/reference/metrics.md", Topic::Metrics),
    ] {
        compare(path, &page(topic).unwrap());
    }
}

#[test]
fn docs_deployed_manifests_are_what_the_command_prints() {
    let settings = Settings {
        git_credentials: Some("holdfast-git".to_owned()),
        ..Settings::new("my-cluster", "https://git.example.com/acme/platform")
    };
    let command = "holdfast manifests --cluster-name my-cluster --git-url https://git.example.com/acme/platform --git-secret holdfast-git";
    let text = format!("# Generated: {command}\n{}", to_yaml(&manifests(&settings)));
    compare("deploy/manifests.yaml", &text);
}

#[test]
fn docs_readme_shows_the_real_plan_of_the_quick_start() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quick-start");
    let tree = read_folder(&folder.join("git"), InputPaths::default()).unwrap();
    let cluster = std::fs::read(folder.join("cluster.yaml")).unwrap();
    let documents = yaml::parse(&cluster, &yaml::Limits::default()).unwrap();
    let values: Vec<_> = documents.into_iter().map(|document| document.value).collect();
    let now: Timestamp = std::fs::read_to_string(folder.join("now.txt")).unwrap().trim().parse().unwrap();
    let desired = Desired::parse(&tree).unwrap();
    assert!(desired.held.is_empty() && desired.warnings.is_empty(), "{:?} {:?}", desired.held, desired.warnings);
    let plan = plan(&desired, &Observed::of_dump(&values), &plan::Settings::default(), now);
    let shown = render::diff(&plan, render::Palette::Plain, &|_| None);
    let readme = std::fs::read_to_string(folder.join("../../README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```diff\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(!blocks.is_empty(), "README.md shows no plan");
    for block in blocks {
        assert!(shown.contains(block), "README.md shows what no plan says:\n{block}\nthe plan says:\n{shown}");
    }
}

#[track_caller]
pub(crate) fn compare(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not what the code says: UPDATE_DOCS=1 cargo test --test it docs, then look at the difference"
    );
}
