//! One `holdfast daemon` process of a world: how it is started, and what it says of itself.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::daemon::{DaemonProcess, get};
use crate::harness::wait::eventually;
use crate::world::{SOON, World};

/// What a test decides about a daemon before it starts.
pub(crate) struct Start<'w> {
    world: &'w World,
    name: String,
    kubeconfig: PathBuf,
    git_url: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

pub(crate) struct Daemon {
    pub(crate) process: DaemonProcess,
    address: String,
}

impl<'w> Start<'w> {
    pub(crate) fn new(world: &'w World, name: &str) -> Self {
        Self {
            world,
            name: name.to_owned(),
            kubeconfig: world.kubeconfig.clone(),
            git_url: world.git.url(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// More flags (`--NAME=VALUE`); the last of a name counts.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        let name = |argument: &str| argument.split('=').next().map(str::to_owned);
        for argument in arguments {
            self.arguments.retain(|known| name(known) != name(argument));
            self.arguments.push((*argument).to_owned());
        }
        self
    }

    pub(crate) fn environment(mut self, environment: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(environment);
        self
    }

    /// Through a proxy to the API server.
    pub(crate) fn kubeconfig(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// Through a proxy to the Git server.
    pub(crate) fn git_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.git_url);
        self
    }

    /// Starts it and waits for nothing.
    pub(crate) fn start(self) -> Daemon {
        let address = free_address();
        let mut arguments = vec![
            "daemon".to_owned(),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--namespace={}", self.world.namespace.name),
            "--cluster-name=test".to_owned(),
            format!("--git-url={}", self.git_url),
            "--git-insecure".to_owned(),
            "--cache-dir=cache".to_owned(),
            // What runs is `tests/runs`' matter.
            "--engine=external".to_owned(),
            format!("--listen={address}"),
        ];
        arguments.extend(self.arguments);
        let mut environment = vec![("POD_NAME", self.name.as_str())];
        environment.extend(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let process = DaemonProcess::spawn(Path::new(env!("CARGO_BIN_EXE_holdfast")), &arguments, &environment);
        Daemon { process, address }
    }

    /// Starts it and waits until it leads.
    pub(crate) async fn leading(self) -> Daemon {
        let mut daemon = self.start();
        daemon.leads(SOON).await;
        daemon
    }
}

impl Daemon {
    pub(crate) async fn ready(&mut self) {
        let url = format!("http://{}/readyz", self.address);
        self.process.wait_for_ready(&url, SOON).await;
    }

    /// Waits until it may write and has all that planning needs.
    pub(crate) async fn leads(&mut self, timeout: Duration) {
        self.ready().await;
        eventually(timeout, "the daemon leads", async || match self.metric("holdfast_leader").await {
            Some(1) => Ok(()),
            other => Err(format!("holdfast_leader {other:?}")),
        })
        .await;
    }

    pub(crate) async fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        get(&format!("http://{}{path}", self.address)).await
    }

    /// The whole part of the value of a series, which is named with its labels as `/metrics` prints them.
    pub(crate) async fn metric(&self, series: &str) -> Option<i64> {
        let (_, text) = self.get("/metrics").await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.split('.').next()?.parse().ok())
    }

    /// Waits until a series has a value that `wanted` accepts, and gives it.
    pub(crate) async fn metric_is(&self, series: &str, wanted: impl Fn(i64) -> bool) -> i64 {
        eventually(SOON, series, async || match self.metric(series).await {
            Some(value) if wanted(value) => Ok(value),
            other => Err(format!("{other:?}; {}", self.log())),
        })
        .await
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// Lines of the log with all of `words`.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        lines.map(str::to_owned).collect()
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}
