//! A program under test as a process: started, watched, killed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::wait::eventually;

/// So much of the output is shown when a test fails.
const SHOWN_BYTES: usize = 8192;

/// A running program; killed when dropped.
pub(crate) struct DaemonProcess {
    folder: TempDir,
    child: Child,
}

impl DaemonProcess {
    /// Starts `binary` with an empty home and no environment but `PATH` and `environment`.
    pub(crate) fn spawn<A: AsRef<OsStr>>(binary: &Path, args: &[A], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = |name: &str| File::create(folder.path().join(name)).expect("a file for output");
        let child = Command::new(binary)
            .args(args)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        Self { folder, child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its home and working folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits until `text` is in its output (either stream).
    ///
    /// # Panics
    /// After `timeout`, or if it ends before.
    pub(crate) async fn wait_for_output(&mut self, text: &str, timeout: Duration) {
        self.wait(timeout, &format!("`{text}` in the output"), async |daemon| {
            let found = daemon.stdout().contains(text) || daemon.stderr().contains(text);
            if found { Ok(()) } else { Err("not there".to_owned()) }
        })
        .await;
    }

    /// Waits until a GET of `url` (plain HTTP) is answered with 200.
    ///
    /// # Panics
    /// After `timeout`, or if it ends before.
    pub(crate) async fn wait_for_ready(&mut self, url: &str, timeout: Duration) {
        self.wait(timeout, &format!("{url} ready"), async |_| match get(url).await {
            Ok((200, _)) => Ok(()),
            Ok((status, _)) => Err(format!("status {status}")),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// After `timeout`.
    pub(crate) async fn wait_for_exit(&mut self, timeout: Duration) -> ExitStatus {
        eventually(timeout, "the process ended", async || self.exited().ok_or("it runs")).await
    }

    /// Ends it as a crash does (SIGKILL).
    pub(crate) fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// If it runs on after `timeout`.
    pub(crate) async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.ask_to_end();
        self.wait_for_exit(timeout).await
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn ask_to_end(&mut self) {
        // By the shell: the standard library has only SIGKILL, and unsafe code is denied here.
        let kill = ["-c", "kill -TERM \"$1\"", "sh", &self.pid().to_string()].map(str::to_owned);
        let status = Command::new("sh").args(kill).status().expect("sh can be started");
        assert!(status.success() || self.exited().is_some(), "SIGTERM not sent");
    }

    async fn wait(&mut self, timeout: Duration, what: &str, condition: impl AsyncFn(&Self) -> Result<(), String>) {
        eventually(timeout, what, async || {
            if let Some(status) = self.exited() {
                panic!("{what}: the process ended before ({status})");
            }
            condition(self).await
        })
        .await;
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).expect("its file is there");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (name, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                eprintln!("--- {name} of process {}, its end:\n{}", self.pid(), tail(&text));
            }
        }
    }
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(SHOWN_BYTES);
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[start..]
}

/// GETs `url` (plain HTTP) and gives status and body; a connection that hangs fails after two seconds.
pub(crate) async fn get(url: &str) -> std::io::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").expect("a plain HTTP URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let exchange = async {
        let mut stream = TcpStream::connect(authority).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        status.zip(body).ok_or_else(|| std::io::Error::other("no HTTP answer"))
    };
    tokio::time::timeout(Duration::from_secs(2), exchange).await?
}
