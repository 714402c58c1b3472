//! The layouts in `examples`: their documents have no errors, and the plan beside them is what the commands in their pages print.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders that have a plan beside them; README.md shows that of quick-start.
fn layouts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|folder| folder.join("plan.txt").exists()).collect();
    folders.sort();
    folders
}

/// What a line of a page prints, as a person who stands in the folder of the example sees it.
fn run(folder: &Path, line: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).current_dir(folder).env("PATH", format!("{binary}:{path}")).env_remove("KUBECONFIG");
    let output = bash.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn layouts_do_what_their_pages_say() {
    let layouts = layouts();
    assert!(layouts.len() >= 2, "{layouts:?}");
    for folder in layouts {
        let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let block = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let lines: Vec<&str> = block.lines().collect();
        assert!(
            matches!(lines[..], [check, plan] if check.starts_with("holdfast check") && plan.starts_with("holdfast plan"))
        );
        run(&folder, lines[0]);
        let plan = run(&folder, lines[1]);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(folder.join("plan.txt"), &plan).unwrap();
        }
        let shown = std::fs::read_to_string(folder.join("plan.txt")).unwrap();
        assert_eq!(plan, shown, "{}: UPDATE_GOLDEN=1 writes it", folder.display());
        assert!(plan.contains("; 0 refused, 0 held, 0 warnings."), "{plan}");
    }
}

/// Without the flag that the pages insist on, a blueprint that is in both places counts in neither.
#[test]
fn layout_of_blueprints_in_the_cluster_needs_its_path() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/blueprints-as-crs");
    let plan = run(&folder, "holdfast plan --tree git --cluster cluster.yaml --now \"$(cat now.txt)\"");
    assert!(plan.contains("BlueprintInBothPlaces"), "{plan}");
}
