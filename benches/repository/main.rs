//! `holdfast repo` beside restic, in pairs of one run: `cargo bench --bench repository [-- PART-OF-A-NAME...]`.
//!
//! Time, peak memory, what the repository takes, and over S3 the requests. Machines differ, so what counts are the ratios.
#![allow(clippy::disallowed_methods, reason = "a bench reads clocks, files and its arguments, and starts programs")]

#[path = "../../tests/harness/mod.rs"]
#[allow(unused_imports, reason = "made for the tests; a part of it serves here too")]
mod harness;
#[path = "../../tests/repository/servers.rs"]
#[allow(dead_code, reason = "made for the tests; a part of it serves here too")]
mod servers;

mod data;
mod far;
mod many;
mod side;

use std::path::Path;

use data::Shape;
use far::Far;
use side::{Cost, Place, Program, Side};

/// Added to each answer of the object store.
const FAR_MS: u64 = 20;

fn main() {
    // Cargo itself adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| args.is_empty() || args.iter().any(|arg| name.contains(arg.as_str()));
    println!("| work | holdfast | restic | time | memory | stored | requests |\n|---|---|---|---|---|---|---|");
    for (name, shape) in [
        ("1 GB in 3,000 files", Shape::Mixed),
        ("100,000 small files", Shape::Small),
        ("one file of 4 GB", Shape::Large),
    ] {
        if wanted(name) {
            measure(name, shape, None);
        }
    }
    let many = "an index of 10 million blobs";
    if wanted(many) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("repository");
        many::make(&folder);
        let files = home.path().join("files");
        data::make(&files, Shape::Few);
        for arguments in [
            &["stats", "--mode", "raw-data"][..],
            &["backup", path(&files)],
            &["check"],
            // Finds out all that a prune must know.
            &["prune", "--dry-run"],
        ] {
            let [ours, theirs] = [Program::Holdfast, Program::Restic].map(|program| {
                let place = Place::Shared(folder.clone());
                Side::new(program, home.path(), place).run(arguments)
            });
            row(&format!("{many}: {}", arguments[0]), &ours, &theirs);
        }
    }
    let far = "1 GB in 3,000 files, S3 20 ms away";
    if wanted(far)
        && let Some(server) = servers::Server::start("seaweedfs")
    {
        server.make("bench");
        measure(far, Shape::Mixed, Some(&server));
    }
}

/// Both programs do the same, one after the other, each in a repository of its own.
fn measure(name: &str, shape: Shape, server: Option<&servers::Server>) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let files = home.path().join("files");
    data::make(&files, shape);
    let far = server.map(|server| Far::in_front_of(&server.url(), FAR_MS));
    let sides = [Program::Holdfast, Program::Restic].map(|program| {
        let place = match (&far, server) {
            (Some(far), Some(server)) => Place::remote(program, far, server),
            _ => Place::Folder(home.path().join(program.name())),
        };
        Side::new(program, home.path(), place)
    });
    let both = |what: &str, work: &dyn Fn(&Side) -> Cost| {
        let [ours, theirs] = sides.each_ref().map(work);
        row(&format!("{name}: {what}"), &ours, &theirs);
    };
    both("init", &|side| side.run(&["init"]));
    both("first backup", &|side| side.run(&["backup", path(&files)]));
    both("nothing changed", &|side| side.run(&["backup", path(&files)]));
    data::change(&files, shape);
    both("1 % changed", &|side| side.run(&["backup", path(&files)]));
    both("restore", &|side| {
        let target = home.path().join(format!("{}-restored", side.program.name()));
        let cost = side.run(&["restore", "latest", "--target", path(&target)]);
        std::fs::remove_dir_all(&target).expect("removed");
        cost
    });
    both("check, all data", &|side| side.run(&["check", "--read-data"]));
    both("forget and prune", &|side| side.run(&["forget", "--keep-last", "1", "--prune"]));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people: three digits are shown")]
fn row(what: &str, ours: &Cost, theirs: &Cost) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let seconds = |cost: &Cost| format!("{:.2} s, {:.0} MiB", cost.seconds, mib(cost.peak_bytes));
    let share =
        |one: u64, other: u64| if other == 0 { "–".to_owned() } else { format!("{:.2}", one as f64 / other as f64) };
    println!(
        "| {what} | {} | {} | **{:.2}** | {} | {} | {} / {} |",
        seconds(ours),
        seconds(theirs),
        ours.seconds / theirs.seconds,
        share(ours.peak_bytes, theirs.peak_bytes),
        share(ours.stored_bytes, theirs.stored_bytes),
        ours.requests,
        theirs.requests,
    );
}
