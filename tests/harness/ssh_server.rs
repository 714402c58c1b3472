//! A Git server over SSH: a real OpenSSH `sshd` on loopback that lets one key do nothing but reach
//! the repository.

use std::{
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{bare_repository::BareRepository, skipped};

/// sshd wants to be started by its full path: it starts itself again for each connection.
const SSHD: &str = "/usr/sbin/sshd";
const READY_WITHIN: Duration = Duration::from_secs(10);
/// The port is picked before sshd binds it, so another program may take it in between.
const ATTEMPTS: usize = 5;
/// What stands before a key that may do nothing but reach a repository.
const FORCED: &str = r#"restrict,command="git-shell -c \"$SSH_ORIGINAL_COMMAND\"""#;

/// One line for a `known_hosts` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownHost {
    Right,
    /// The right host with another host's key.
    WrongKey,
    /// The right line with its host name hashed, as OpenSSH's `HashKnownHosts` writes it.
    Hashed,
    /// The right key, marked `@revoked`.
    Revoked,
}

/// The running sshd; ends when dropped.
pub(crate) struct SshServer {
    folder: TempDir,
    repository: BareRepository,
    user: String,
    port: u16,
    sshd: Child,
}

impl SshServer {
    /// Serves a new empty repository; none (and one loud line) where sshd is not installed.
    pub(crate) fn start() -> Option<Self> {
        if !Path::new(SSHD).exists() {
            skipped(
                "Git over SSH",
                "no sshd, install it with: apt-get install -y --no-install-recommends openssh-server",
            );
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        for key in ["host", "other-host", "client"] {
            run(folder.path(), "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", key]);
        }
        let client = fs::read_to_string(folder.path().join("client.pub")).expect("ssh-keygen wrote it");
        fs::write(folder.path().join("authorized_keys"), format!("{FORCED} {client}")).expect("file written");
        let user = run(folder.path(), "id", &["-un"]);
        if user == "root" {
            // Where sshd as root puts its unprivileged half; without an init system nobody has made it.
            fs::create_dir_all("/run/sshd").expect("root can make it");
        }
        for _ in 0..ATTEMPTS {
            if let Some((port, sshd)) = try_start(folder.path()) {
                return Some(Self { folder, repository: BareRepository::create(), user, port, sshd });
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("sshd did not start: {log}");
    }

    pub(crate) fn url(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, self.repository.path().display())
    }

    /// Its port of 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn repository(&self) -> &BareRepository {
        &self.repository
    }

    /// The private key (OpenSSH format, no passphrase) that the server lets in.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// Lets in whoever has the private key of this public one, too.
    pub(crate) fn allow(&self, public_key: &Path) {
        let key = fs::read_to_string(public_key).unwrap_or_else(|error| panic!("{}: {error}", public_key.display()));
        let file = File::options().append(true).open(self.folder.path().join("authorized_keys"));
        write!(file.expect("the server has such a file"), "{FORCED} {key}").expect("file written");
    }

    /// A private key that the server refuses.
    pub(crate) fn foreign_key(&self) -> PathBuf {
        self.folder.path().join("other-host")
    }

    /// A line for `known_hosts`, with its line break.
    pub(crate) fn known_host(&self, kind: KnownHost) -> String {
        let line = |key: &str| {
            let public = fs::read_to_string(self.folder.path().join(key)).expect("ssh-keygen wrote it");
            let mut fields = public.split_whitespace();
            let (kind, key) = (fields.next().expect("a kind"), fields.next().expect("a key"));
            format!("[127.0.0.1]:{} {kind} {key}\n", self.port)
        };
        match kind {
            KnownHost::Right => line("host.pub"),
            KnownHost::WrongKey => line("other-host.pub"),
            KnownHost::Revoked => format!("@revoked {}", line("host.pub")),
            KnownHost::Hashed => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                fs::write(folder.path().join("known_hosts"), line("host.pub")).expect("file written");
                run(folder.path(), "ssh-keygen", &["-q", "-H", "-f", "known_hosts"]);
                fs::read_to_string(folder.path().join("known_hosts")).expect("ssh-keygen wrote it")
            }
        }
    }

    /// What sshd has written so far: connections, keys accepted and refused.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("sshd has a log")
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

/// Starts sshd on a free port and waits until it answers; none if it ended instead.
fn try_start(folder: &Path) -> Option<(u16, Child)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    drop(listener);
    let dir = folder.display();
    // No PAM and no StrictModes: sshd then runs as an ordinary user and from a temporary folder.
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized_keys\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nLogLevel VERBOSE\n"
    );
    fs::write(folder.join("sshd_config"), config).expect("file written");
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log file");
    let mut sshd = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd can be started");
    let end = Instant::now() + READY_WITHIN;
    while Instant::now() < end {
        if sshd.try_wait().expect("a child can be asked").is_some() {
            return None;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((port, sshd));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = sshd.kill();
    let _ = sshd.wait();
    None
}

fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: apt-get install -y openssh-client"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("plain output").trim().to_owned()
}
