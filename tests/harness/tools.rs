//! What Argo CD and Flux do, by their own libraries: the program `beside` of `tests/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::skipped;

/// Exit status of the script when a program is missing.
const MISSING_PROGRAM: i32 = 3;

pub(crate) struct Tools {
    folder: PathBuf,
}

/// What a run of reconciles did.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Reconciled {
    pub(crate) rounds: usize,
    /// Objects that differed from the folder.
    pub(crate) changed: Vec<String>,
    /// Objects that were deleted since the folder lacks them.
    pub(crate) pruned: Vec<String>,
}

impl Tools {
    /// Built at the first call; none (and one loud line) where they cannot be.
    pub(crate) fn get() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/build.sh");
        let output = Command::new(script).output().expect("bash runs scripts");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(MISSING_PROGRAM) {
            skipped("tests beside Argo CD and Flux", said.trim_end());
            return None;
        }
        assert!(output.status.success(), "{}: {said}", output.status);
        Some(Self { folder: String::from_utf8(output.stdout).expect("a path").trim_end().into() })
    }

    /// Runs `beside ARGUMENTS` to its end.
    pub(crate) fn reconcile(&self, arguments: &[String]) -> Reconciled {
        let output = Command::new(self.folder.join("beside")).args(arguments).output().expect("it was built");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }
}
