//! Mutants do not rot: each still applies to the sources, names a test that there is, and every property has one.

#![expect(clippy::disallowed_methods, reason = "reads the repository and asks Git whether a patch applies")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Planted bugs that only a simulated world can find.
const SIMULATED_MIN: usize = 10;

struct Mutant {
    path: PathBuf,
    binary: String,
    killed_by: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn mutants() -> Vec<Mutant> {
    let entries = std::fs::read_dir(root().join("tests/mutants")).unwrap().map(|entry| entry.unwrap().path());
    let patches = entries.filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    let mut mutants: Vec<Mutant> = patches.map(read).collect();
    mutants.sort_by(|one, other| one.path.cmp(&other.path));
    mutants
}

fn read(path: PathBuf) -> Mutant {
    let text = std::fs::read_to_string(&path).unwrap();
    let header = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {name}: ")));
        line.unwrap_or_else(|| panic!("{} does not say `# {name}: `", path.display())).to_owned()
    };
    let (killed_by, binary) = (header("killed by"), header("binary"));
    for line in text.lines().filter(|line| line.starts_with("+++ ")) {
        assert!(line.starts_with("+++ b/src/"), "{}: {line} is not of src", path.display());
    }
    Mutant { path, binary, killed_by }
}

#[test]
fn mutants_apply_to_the_sources() {
    let mut rotten = Vec::new();
    for mutant in mutants() {
        let check = Command::new("git")
            .args(["apply", "--check"])
            .arg(&mutant.path)
            .current_dir(root())
            .output()
            .expect("git is at hand wherever the project is built");
        if !check.status.success() {
            rotten.push(format!("{}: {}", mutant.path.display(), String::from_utf8_lossy(&check.stderr)));
        }
    }
    assert!(rotten.is_empty(), "make these patches anew, so that they make the same mistake:\n{}", rotten.join("\n"));
}

#[test]
fn mutants_name_tests_that_there_are_and_every_property_has_one() {
    let mutants = mutants();
    let of = |binary: &str| mutants.iter().filter(|mutant| mutant.binary == binary).collect::<Vec<_>>();
    let known: usize = ["it", "sim", "git", "repository", "agent"].iter().map(|binary| of(binary).len()).sum();
    assert_eq!(known, mutants.len(), "a binary is `it`, `sim`, `git`, `repository` or `agent`");
    assert!(of("sim").len() >= SIMULATED_MIN, "{} planted bugs for the simulation", of("sim").len());
    for mutant in &mutants {
        let (module, name) = mutant.killed_by.rsplit_once("::").unwrap_or(("main", &mutant.killed_by));
        let file = root().join(format!("tests/{}/{}.rs", mutant.binary, module.replace("::", "/")));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{}: no test {}", mutant.path.display(), mutant.killed_by);
    }
    let named: BTreeSet<&str> = of("it").iter().map(|mutant| mutant.killed_by.as_str()).collect();
    let spared: Vec<String> = properties().into_iter().filter(|property| !named.contains(property.as_str())).collect();
    assert!(spared.is_empty(), "properties that are not known to fail: {spared:?}");
}

/// Every test below `tests/it/properties`, as the test binary names it.
fn properties() -> Vec<String> {
    let mut properties = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/it/properties")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for after in text.split("#[test]").skip(1) {
            let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap();
            properties.push(format!("properties::{module}::{name}"));
        }
    }
    assert!(properties.len() > 20, "{properties:?}");
    properties
}
