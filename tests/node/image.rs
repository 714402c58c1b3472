//! The image: what is in it, that the same source gives the same bytes, and that it tells nothing of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::readme;
use crate::shell::Shell;

/// Builds an image as the page says; a missing program fails the test, since whoever builds Holdfast has them all.
pub(crate) fn build(shell: &Shell, file: &Path, reference: &str) -> String {
    let commands = readme::commands("The image").replace("holdfast.tar", &file.display().to_string());
    shell.run(&commands.replace(readme::IMAGE, reference)).trim().to_owned()
}

fn unpacked(shell: &Shell, archive: &Path, name: &str) -> PathBuf {
    let folder = shell.file(name);
    std::fs::create_dir(&folder).unwrap();
    let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&folder).status().unwrap();
    assert!(status.success());
    folder
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn blob(image: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    image.join("blobs").join(digest.replace(':', "/"))
}

#[test]
fn image_holds_the_program_and_authorities_only_and_is_reproducible() {
    let Some(shell) = Shell::new(None) else { return };
    let (first, second) = (shell.file("first.tar"), shell.file("second.tar"));
    let name = build(&shell, &first, readme::IMAGE);
    assert_eq!(build(&shell, &second, readme::IMAGE), name);
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap(), "two builds differ");

    let image = unpacked(&shell, &first, "image");
    let index = read(&image.join("index.json"));
    assert_eq!(format!("{}@{}", readme::IMAGE, index["manifests"][0]["digest"].as_str().unwrap()), name);
    let manifest = read(&blob(&image, &index["manifests"][0]));
    let config = read(&blob(&image, &manifest["config"]));
    assert_eq!(config["config"]["Entrypoint"], json!(["/holdfast"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Env"], json!(["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]));
    // What `docker load` reads leads to the same blobs.
    let list = read(&image.join("manifest.json"));
    for (path, descriptor) in
        [(&list[0]["Config"], &manifest["config"]), (&list[0]["Layers"][0], &manifest["layers"][0])]
    {
        assert_eq!(image.join(path.as_str().unwrap()), blob(&image, descriptor));
    }

    let layer = blob(&image, &manifest["layers"][0]);
    let listed =
        Command::new("tar").args(["--list", "--verbose", "--numeric-owner", "--file"]).arg(&layer).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<(&str, &str, &str)> = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| !columns[0].starts_with('d'))
        .map(|columns| (columns[0], columns[1], columns[5]))
        .collect();
    assert_eq!(
        files,
        [("-rw-r--r--", "0/0", "etc/ssl/certs/ca-certificates.crt"), ("-rwxr-xr-x", "0/0", "holdfast")],
        "{listed}"
    );
    let root = unpacked(&shell, &layer, "root");
    let program = std::fs::read(root.join("holdfast")).unwrap();
    for place in [env!("CARGO_MANIFEST_DIR"), &std::env::var("HOME").unwrap()] {
        // The home of root is the root of some path in any program.
        let place = format!("{}/", place.trim_end_matches('/'));
        let found = program.windows(place.len()).position(|window| window == place.as_bytes());
        let shown = found.map(|at| String::from_utf8_lossy(&program[at..(at + 100).min(program.len())]).into_owned());
        assert_eq!(shown, None, "the program names a place of this machine");
    }
}
