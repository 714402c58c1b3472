//! The world that the pages assume: a cluster, a Git server over SSH, and a person with a checkout, a shell and `holdfast`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::harness::cluster::Cluster;
use crate::harness::daemon::DaemonProcess;
use crate::harness::ssh_server::{KnownHost, SshServer};
use crate::harness::wait::eventually;
use crate::pages::{Block, blocks, blocks_of, root};

pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const STATUS: &str = "holdfast/prod-eu1";
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");
/// For one block; `timeout` ends what it started.
const BLOCK_SECONDS: &str = "60";
/// Of the pages; the cluster must not have them before.
const NAMESPACES: [&str; 2] = ["holdfast", "shop"];

/// Of a placeholder, in this world.
type Value = fn(&World) -> String;

/// What stands in the pages for something of the reader's, and what it is here. In this order.
const PLACEHOLDERS: [(&str, Value); 6] = [
    // The binary under test is what this would install.
    ("cargo install --locked --path .", |_| "holdfast --version".to_owned()),
    ("ssh://git@git.example.com/acme/platform", |world| world.ssh.url()),
    ("ssh-keyscan git.example.com", |world| format!("ssh-keyscan -p {} 127.0.0.1", world.ssh_port())),
    ("IMAGE", |_| "localhost/holdfast:0.1.0".to_owned()),
    ("archive/prod-eu1/2026-10", |world| world.archive().expect("a month was archived before")),
    ("1b95709f", World::digest),
];

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) ssh: SshServer,
    home: TempDir,
    /// With `holdfast` and `kubectl`.
    path: String,
    ran: RefCell<BTreeSet<String>>,
    replaced: RefCell<BTreeSet<&'static str>>,
}

impl World {
    /// None, and one loud line, where a cluster or an SSH server cannot run.
    pub(crate) async fn new() -> Option<Self> {
        let cluster = Cluster::get().await?;
        let ssh = SshServer::start()?;
        let lab = Command::new("bash")
            .args(["-c", "set -e; ./build.sh; . ./env.sh; echo \"$BIN\""])
            .current_dir(root().join("tests/lab"))
            .output()
            .expect("bash runs");
        assert!(lab.status.success(), "{}", String::from_utf8_lossy(&lab.stderr));
        let programs = String::from_utf8(lab.stdout).expect("a path").trim_end().to_owned();
        let own = Path::new(HOLDFAST).parent().expect("a program is in a folder").display();
        let path = format!("{own}:{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let home = tempfile::tempdir().expect("a temporary folder");
        let world = Self { cluster, ssh, home, path, ran: RefCell::default(), replaced: RefCell::default() };
        for name in NAMESPACES {
            let phase = format!("kubectl get namespace {name} --ignore-not-found -o 'jsonpath={{.status.phase}}'");
            // What an earlier run made is about to go.
            if world.sh(root(), &phase) == "Terminating" {
                world.sh(root(), &format!("kubectl wait --for=delete --timeout=50s namespace {name}"));
            }
            let there = world.sh(root(), &format!("kubectl get namespace {name} --ignore-not-found"));
            assert!(there.is_empty(), "namespace {name} is there already, and the pages would change what is in it");
        }
        world.clear_definitions();
        world.person();
        Some(world)
    }

    /// A Git configuration, a key that may do everything, and a checkout of the repository.
    fn person(&self) {
        fs::write(self.home.path().join(".gitconfig"), "[user]\nname = A Person\nemail = person@example.org\n")
            .expect("written");
        fs::write(self.home.path().join("known_hosts"), self.ssh.known_host(KnownHost::Right)).expect("written");
        self.ssh.repository().push_files("main", &[("README.md", "Our platform.\n")], "begin");
        self.sh(self.home.path(), &format!("git clone --quiet {} platform", self.ssh.url()));
    }

    /// The checkout that the pages speak of as the reader's.
    pub(crate) fn checkout(&self) -> PathBuf {
        self.home.path().join("platform")
    }

    /// Runs commands that must succeed and gives what they print, on both streams.
    #[track_caller]
    pub(crate) fn sh(&self, folder: &Path, commands: &str) -> String {
        let (succeeded, said) = self.try_sh(folder, commands);
        assert!(succeeded, "{commands}\n--- failed and said:\n{said}");
        said
    }

    /// The same for commands that may fail.
    pub(crate) fn try_sh(&self, folder: &Path, commands: &str) -> (bool, String) {
        let home = self.home.path().display();
        let output = Command::new("timeout")
            .args(["--kill-after=5", BLOCK_SECONDS, "bash", "-euo", "pipefail", "-c"])
            .arg(format!("exec 2>&1\n{commands}"))
            .current_dir(folder)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_PAGER", "cat")
            .env("LC_ALL", "C.UTF-8")
            .env(
                "GIT_SSH_COMMAND",
                format!(
                    "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={home}/known_hosts",
                    self.ssh.client_key().display()
                ),
            )
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Begins to read a page.
    pub(crate) fn page(&self, page: &'static str) -> Page<'_> {
        let blocks = blocks_of(page, "sh").into_iter().filter(|block| block.not_run().is_none()).collect();
        Page { world: self, path: page, blocks, next: 0 }
    }

    /// With the reader's own things in place of the examples.
    pub(crate) fn filled_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (placeholder, value) in PLACEHOLDERS {
            if text.contains(placeholder) {
                self.replaced.borrow_mut().insert(placeholder);
                text = text.replace(placeholder, &value(self));
            }
        }
        text
    }

    /// What no page has used or run, although it should.
    pub(crate) fn assert_all_was_read(&self) {
        let ran = self.ran.borrow();
        let left: Vec<String> = blocks()
            .into_iter()
            .filter(|block| block.language == "sh" && block.not_run().is_none())
            .map(|block| block.place())
            .filter(|place| !ran.contains(place))
            .collect();
        assert!(left.is_empty(), "no test runs {left:?}: add the page to tests/guides");
        let replaced = self.replaced.borrow();
        let unused: Vec<_> = PLACEHOLDERS.iter().filter(|(text, _)| !replaced.contains(text)).collect();
        assert!(unused.is_empty(), "no page has {unused:?}");
        println!("{} blocks of commands ran", ran.len());
    }

    /// Starts what the Deployment in the cluster would: its arguments, with the Secrets that it mounts, under its account.
    pub(crate) async fn daemon(&self, more: &[&str]) -> DaemonProcess {
        let deployment = self.object("-n holdfast deployment holdfast");
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let mut arguments: Vec<String> = list(&container["args"]).iter().map(text).collect();
        for volume in list(&pod["volumes"]) {
            let Some(secret) = volume["secret"]["secretName"].as_str() else { continue };
            let mounts = list(&container["volumeMounts"]);
            let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).expect("a volume is mounted");
            let folder = self.secret(secret).display().to_string();
            for argument in &mut arguments {
                *argument = argument.replace(&text(&mount["mountPath"]), &folder);
            }
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let listen = format!("--listen={}", free.expect("a free port"));
        let own = arguments.iter_mut().find(|one| one.starts_with("--listen=")).expect("the manifest has a port");
        own.clone_from(&listen);
        let account = self.cluster.service_account_kubeconfig("holdfast", "holdfast").await;
        arguments.push(format!("--kubeconfig={}", account.display()));
        arguments.push("--git-interval=1s".to_owned());
        arguments.extend(more.iter().map(|one| (*one).to_owned()));
        let mut daemon = DaemonProcess::spawn(Path::new(HOLDFAST), &arguments, &[("POD_NAME", "holdfast-0")]);
        daemon.wait_for_ready(&format!("{}/readyz", listen.replace("--listen=", "http://")), SOON).await;
        daemon
    }

    /// The Secret as a mounted folder.
    fn secret(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join("mounted").join(name);
        fs::create_dir_all(&folder).expect("folder made");
        let secret = self.object(&format!("-n holdfast secret {name}"));
        for (key, value) in secret["data"].as_object().expect("a Secret has data") {
            let bytes = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
            fs::write(folder.join(key), bytes).expect("written");
        }
        folder
    }

    /// An object of the cluster, by the arguments of `kubectl get`.
    pub(crate) fn object(&self, which: &str) -> Json {
        serde_json::from_str(&self.sh(root(), &format!("kubectl get {which} -o json"))).expect("kubectl prints JSON")
    }

    /// Waits until a file of the status branch has `words`.
    pub(crate) async fn status(&self, path: &str, words: &str) {
        eventually(SOON, &format!("{words:?} in {path}"), async || {
            let text = self.status_file(path);
            if text.contains(words) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    pub(crate) fn status_file(&self, path: &str) -> String {
        self.ssh.repository().files(STATUS).remove(path).unwrap_or_default()
    }

    /// The end of the name of the ref that keeps the last month, if there is one.
    pub(crate) fn archive(&self) -> Option<String> {
        let listed = self.sh(&self.checkout(), "git ls-remote origin 'refs/holdfast/archive/*'");
        listed.lines().next().and_then(|line| Some(line.split_once("refs/holdfast/")?.1.to_owned()))
    }

    /// The one that the findings ask for.
    fn digest(&self) -> String {
        let findings = self.status_file("findings.yaml");
        let digest = findings.lines().find_map(|line| line.trim().strip_prefix("acknowledge: "));
        digest.expect("a refusal has a digest").trim_matches('\'').to_owned()
    }

    fn ssh_port(&self) -> String {
        let url = self.ssh.url();
        let after = url.split_once("127.0.0.1:").expect("it is served on loopback").1;
        after.split('/').next().unwrap_or_default().to_owned()
    }

    /// Takes away what the pages made.
    pub(crate) fn clear(&self) {
        self.sh(root(), &format!("kubectl delete namespace --ignore-not-found --wait=false {}", NAMESPACES.join(" ")));
        self.sh(root(), "kubectl delete clusterrolebinding --ignore-not-found holdfast-holdfast");
    }

    /// Other tests leave definitions in the cluster that they share; a reader begins without. A cluster of the user keeps them.
    fn clear_definitions(&self) {
        if self.cluster.audit_log().is_some() {
            let names = "kubectl get crd -o name | { grep appscode.com || true; }";
            self.sh(root(), &format!("{names} | xargs --no-run-if-empty kubectl delete"));
        }
    }
}

/// A page that is read from its beginning to its end.
pub(crate) struct Page<'w> {
    world: &'w World,
    path: &'static str,
    blocks: Vec<Block>,
    next: usize,
}

impl Page<'_> {
    /// Runs the next block, which begins like this, and gives what it prints.
    #[track_caller]
    pub(crate) fn run(&mut self, begins: &str, folder: &Path) -> String {
        let block = self.blocks.get(self.next).unwrap_or_else(|| panic!("{}: no block {begins:?}", self.path));
        let place = block.place();
        assert!(block.text.starts_with(begins), "{place}: {begins:?} comes next, found:\n{}", block.text);
        self.next += 1;
        let (succeeded, said) = self.world.try_sh(folder, &self.world.filled_in(&block.text));
        assert!(succeeded, "{place}:\n{}--- failed and said:\n{said}", block.text);
        self.world.ran.borrow_mut().insert(place);
        said
    }

    /// Runs all blocks that are left.
    pub(crate) fn run_all(mut self, folder: &Path) -> String {
        let left: Vec<String> = self.blocks.iter().skip(self.next).map(|block| block.text.clone()).collect();
        left.iter().map(|begins| self.run(begins, folder)).collect()
    }

    /// One of its YAML blocks.
    pub(crate) fn yaml(&self, nth: usize) -> String {
        let blocks = blocks_of(self.path, "yaml");
        let block = blocks.get(nth).unwrap_or_else(|| panic!("{}: no YAML block {nth}", self.path));
        self.world.filled_in(&block.text)
    }
}
