//! One of the two programs on its repository, and what a call costs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::far::Far;
use crate::many::PASSWORD;
use crate::servers::Server;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Holdfast,
    Restic,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Holdfast => "holdfast",
            Program::Restic => "restic",
        }
    }
}

pub(crate) enum Place {
    Folder(PathBuf),
    /// Of both programs, and too large to be measured after each call.
    Shared(PathBuf),
    Remote {
        address: String,
        variables: BTreeMap<String, String>,
        far: Far,
    },
}

impl Place {
    pub(crate) fn remote(program: Program, far: &Far, server: &Server) -> Self {
        let repository = server.repository("bench");
        let address = repository.address.replace(&server.url(), &far.url());
        Place::Remote {
            address: format!("{address}-{}", program.name()),
            variables: repository.variables,
            far: far.clone(),
        }
    }
}

pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) peak_bytes: u64,
    /// Of the whole repository afterwards; 0 where it is not seen.
    pub(crate) stored_bytes: u64,
    pub(crate) requests: u64,
}

pub(crate) struct Side {
    pub(crate) program: Program,
    home: PathBuf,
    place: Place,
}

impl Side {
    pub(crate) fn new(program: Program, home: &Path, place: Place) -> Self {
        let home = home.join(format!("home-{}", program.name()));
        fs::create_dir_all(&home).expect("made");
        Self { program, home, place }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Cost {
        let mut command = match self.program {
            Program::Holdfast => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
                command.arg("repo");
                command
            }
            Program::Restic => Command::new("restic"),
        };
        command.args(arguments).env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("HOME", &self.home).env("RESTIC_PASSWORD", PASSWORD).stdout(Stdio::null());
        match &self.place {
            Place::Folder(folder) | Place::Shared(folder) => drop(command.env("RESTIC_REPOSITORY", folder)),
            Place::Remote { address, variables, .. } => drop(command.env("RESTIC_REPOSITORY", address).envs(variables)),
        }
        let requests_before = self.requests();
        // Who waits until its own files are on the disk waits for what others have written before, too.
        rustix::fs::sync();
        let begun = Instant::now();
        let mut child = command.spawn().expect("it is installed");
        let mut peak_bytes = 0;
        let status = loop {
            peak_bytes = peak(child.id()).unwrap_or(peak_bytes);
            if let Some(status) = child.try_wait().expect("it is ours") {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let seconds = begun.elapsed().as_secs_f64();
        assert!(status.success(), "{} {arguments:?}: {status}", self.program.name());
        let stored_bytes = match &self.place {
            Place::Folder(folder) => size(folder),
            Place::Shared(_) | Place::Remote { .. } => 0,
        };
        Cost { seconds, peak_bytes, stored_bytes, requests: self.requests() - requests_before }
    }

    fn requests(&self) -> u64 {
        match &self.place {
            Place::Folder(_) | Place::Shared(_) => 0,
            Place::Remote { far, .. } => far.requests(),
        }
    }
}

fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| entry.metadata().map_or(0, |meta| if meta.is_dir() { size(&entry.path()) } else { meta.len() }))
        .sum()
}
