//! Starts the clusters of `tests/lab` once for the whole test run, or takes the user's: a control plane, and a node.
//!
//! Test processes share one cluster: each holds a lease on it (a shared lock that ends with the
//! process, however it ends), and `guard.sh` ends the cluster when no lease is left.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use super::skipped;

/// Names a kubeconfig file: tests run against that cluster and start none.
const OWN_CLUSTER: &str = "HOLDFAST_TEST_KUBECONFIG";
/// Set to 1: the cluster and all test namespaces stay after the tests.
const KEEP: &str = "HOLDFAST_KEEP_LAB";
/// Exit status of the scripts when a program is missing.
const MISSING_PROGRAM: i32 = 3;

/// A running cluster.
pub(crate) struct Lab {
    /// Of an administrator.
    pub(crate) kubeconfig: PathBuf,
    /// Only a cluster started here has one.
    pub(crate) audit_log: Option<PathBuf>,
    /// Which cluster of `tests/lab` it is; none for the user's.
    number: Option<String>,
    /// Held for as long as the process lives.
    _lease: Option<File>,
}

/// The cluster of this process, started at the first call; none where it cannot run.
pub(crate) fn lab() -> Option<&'static Lab> {
    static LAB: OnceLock<Option<Lab>> = OnceLock::new();
    LAB.get_or_init(|| match std::env::var_os(OWN_CLUSTER) {
        Some(kubeconfig) => Some(Lab { kubeconfig: kubeconfig.into(), audit_log: None, number: None, _lease: None }),
        None => start(Size::ControlPlane).inspect_err(|why| skipped("tests on a cluster", why)).ok(),
    })
    .as_ref()
}

/// A cluster with a node that runs pods, started at the first call; none where it cannot run. Never the user's: images
/// are loaded into it, and what is installed belongs to the whole cluster.
pub(crate) fn node() -> Option<&'static Lab> {
    static NODE: OnceLock<Option<Lab>> = OnceLock::new();
    NODE.get_or_init(|| start(Size::Full).inspect_err(|why| skipped("tests on a node", why)).ok()).as_ref()
}

impl Lab {
    /// Runs a script of the lab on this cluster and gives its last line.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        script(&scripts(), self.number(), program, args).unwrap_or_else(|why| panic!("{program}: {why}"))
    }

    /// Starts a script of the lab that ends by being killed.
    pub(crate) fn spawn(&self, program: &str, args: &[&str]) -> Child {
        let mut command = Command::new(program);
        command.args(args).current_dir(scripts()).env("N", self.number()).stdin(Stdio::null());
        command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    fn number(&self) -> &str {
        self.number.as_deref().expect("only a cluster of tests/lab has scripts")
    }
}

/// Runs a script of `tests/lab` that is about no cluster and gives its last line; none, and one loud line, where a
/// program is missing.
pub(crate) fn tool(program: &str, args: &[&str]) -> Option<String> {
    script(&scripts(), "0", program, args).inspect_err(|why| skipped(program, why)).ok()
}

/// As `up.sh` calls it.
#[derive(Clone, Copy)]
enum Size {
    ControlPlane,
    Full,
}

impl Size {
    fn argument(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Full => "full",
        }
    }

    /// Begins the number of its cluster: the two run side by side.
    fn letter(self) -> char {
        match self {
            Self::ControlPlane => 't',
            Self::Full => 'n',
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").canonicalize().expect("tests/lab is there")
}

pub(crate) fn is_kept() -> bool {
    std::env::var(KEEP).as_deref() == Ok("1")
}

/// Starts the cluster or finds it running. `Err` says which program is missing.
fn start(size: Size) -> Result<Lab, String> {
    let scripts = scripts();
    // One cluster for each checkout: the CRDs of two would not agree.
    let mut hasher = DefaultHasher::new();
    scripts.hash(&mut hasher);
    let number = format!("{}{:08x}", size.letter(), hasher.finish() & 0xffff_ffff);

    let state = script(&scripts, &number, "bash", &["-c", "set -e; . ./env.sh; own_lab; echo \"$C\""])?;
    let lock = |name: &str| {
        let path = format!("{state}.{name}.lock");
        File::options().create(true).append(true).open(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let starting = lock("up");
    starting.lock().expect("a lock on a local file");
    let lease = lock("users");
    lease.lock_shared().expect("a lock on a local file");
    if !is_kept() {
        guard(&scripts, &number);
    }
    script(&scripts, &number, "./up.sh", &[size.argument()])?;
    let state = PathBuf::from(state);
    Ok(Lab {
        kubeconfig: state.join("admin.conf"),
        audit_log: Some(state.join("audit.log")),
        number: Some(number),
        _lease: Some(lease),
    })
}

/// Starts what ends the cluster. Before the cluster itself, so that none stays if this process is
/// killed while it comes up.
fn guard(scripts: &Path, number: &str) {
    // In a session of its own, so that Ctrl-C for the tests does not end it.
    let mut guard = Command::new("setsid");
    guard.arg("./guard.sh").current_dir(scripts).env("N", number);
    guard.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without setsid no cluster comes up either, and up.sh says how to install it.
    let _ = guard.spawn();
}

/// Runs a script of the lab and gives its last line of output. `Err`: a program is missing.
fn script(scripts: &Path, number: &str, program: &str, args: &[&str]) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(scripts)
        .env("N", number)
        .env("AUDIT", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}: apt-get install -y bash"))?;
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().expect("it is piped")).lines() {
        let line = line.expect("scripts write UTF-8");
        // Past the test runner, at once: a first build takes minutes.
        let _ = writeln!(std::io::stderr(), "{line}");
        said.push_str(&line);
        said.push('\n');
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    if output.status.code() == Some(MISSING_PROGRAM) {
        return Err(said.trim_end().to_owned());
    }
    assert!(output.status.success(), "{program} {args:?}: {}: {said}", output.status);
    let text = String::from_utf8(output.stdout).expect("scripts write UTF-8");
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
