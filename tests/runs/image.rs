//! The image of the pods: the program under test itself, with the libraries of this machine that it needs. What is shipped is
//! built and judged by `tests/node`.

use std::path::Path;
use std::process::Command;

use crate::harness::lab::Lab;

pub(crate) const IMAGE: &str = "localhost/holdfast:runs";
const CONFIG: &str = r#"{"Entrypoint":["/holdfast"],"User":"65532:65532"}"#;

/// Loads it into the node, if it is not there yet.
pub(crate) fn load(lab: &Lab) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    let program = env!("CARGO_BIN_EXE_holdfast");
    let libraries = run(Command::new("ldd").arg(program));
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries {
        copy(Path::new(file), &root.join(file.trim_start_matches('/')));
    }
    std::fs::create_dir_all(root.join("tmp")).expect("a folder");
    copy(Path::new(program), &root.join("holdfast"));
    run(Command::new("strip").arg(root.join("holdfast")));
    let archive = folder.path().join("image.tar").display().to_string();
    lab.run("images/mkimage.sh", &[IMAGE, &root.display().to_string(), &archive, CONFIG]);
    lab.run("./load.sh", &[&archive]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("it is below a root")).expect("a folder");
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
