//! Whom we trust: authorities of certificates and keys of hosts.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast::git::{Class, ReadError, TransportError};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::http_thread::{HttpThread, full};
use crate::harness::ssh_server::{KnownHost, SshServer};
use crate::harness::tls::certificates;
use crate::support::{DOCUMENT, Secret, TestSource, endpoint};

fn outcome(url: &str, secret: Option<&Secret>) -> Result<(), TransportError> {
    match TestSource::new(endpoint(url, secret), None, &[]).read() {
        Ok(_) => Ok(()),
        Err(ReadError::Transport(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn untrusted(url: &str, secret: Option<&Secret>) -> String {
    match outcome(url, secret) {
        Err(error @ TransportError::Untrusted { .. }) => {
            assert_eq!(error.class(), Class::Denied);
            error.to_string()
        }
        other => panic!("trusted: {other:?}"),
    }
}

#[test]
fn an_authority_of_ours_is_trusted_and_no_other() {
    let start = || {
        let server = GitServer::start(Transport::Https, &Access::Open);
        server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
        let authority = fs::read_to_string(server.authority_file().expect("it has one")).expect("a file");
        (server, authority)
    };
    let ((server, authority), (_other, foreign)) = (start(), start());
    outcome(&server.url(), Some(&Secret::new(&[("ca.crt", &authority)]))).expect("trusted");
    outcome(&server.url(), Some(&Secret::new(&[("ca.crt", &format!("{foreign}{authority}"))]))).expect("one of two");
    untrusted(&server.url(), Some(&Secret::new(&[("ca.crt", &foreign)])));
    assert!(untrusted(&server.url(), None).contains("ca.crt"));
    let garbage = outcome(&server.url(), Some(&Secret::new(&[("ca.crt", "garbage")])));
    assert!(matches!(garbage, Err(TransportError::Credentials { .. })), "{garbage:?}");
    // No request was made where the certificate was not trusted.
    let count = server.requests().len();
    untrusted(&server.url(), Some(&Secret::new(&[("ca.crt", &foreign)])));
    assert_eq!(server.requests().len(), count);
}

/// Runs `openssl` in `folder`.
fn openssl(folder: &Path, args: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(args).output().expect("openssl can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes `NAME.crt` and `NAME.key`, signed by `signer` or by itself.
fn certificate(folder: &Path, name: &str, signer: Option<&str>, extensions: &[&str]) {
    let (key, certificate, subject) = (format!("{name}.key"), format!("{name}.crt"), format!("/CN={name}"));
    let mut args = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    args.extend(["-keyout", &key, "-out", &certificate, "-subj", &subject]);
    let by = signer.map(|name| [format!("{name}.crt"), format!("{name}.key")]);
    if let Some([authority, authority_key]) = &by {
        args.extend(["-CA", authority, "-CAkey", authority_key]);
    }
    for extension in extensions {
        args.extend(["-addext", extension]);
    }
    openssl(folder, &args);
}

/// A server that shows `chain` and has no repository.
fn tls_server(folder: &Path, chain: &[&str], key: &str) -> HttpThread {
    let pem: Vec<u8> = chain.iter().flat_map(|name| fs::read(folder.join(name)).expect("a file")).collect();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(folder.join(key)).expect("a file")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(certificates(&pem), key)
        .expect("they belong together");
    HttpThread::start(Some(Arc::new(config)), |_| async { Ok(hyper::Response::builder().status(404).body(full(""))?) })
}

#[test]
fn chains_names_and_servers_that_sign_for_themselves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (is_authority, at_loopback) = ("basicConstraints=critical,CA:true", "subjectAltName=IP:127.0.0.1");
    certificate(folder, "root", None, &[is_authority]);
    certificate(folder, "between", Some("root"), &[is_authority]);
    certificate(folder, "server", Some("between"), &["basicConstraints=critical,CA:false", at_loopback]);
    certificate(folder, "elsewhere", Some("root"), &["basicConstraints=CA:false", "subjectAltName=DNS:other.example"]);
    // As `openssl req -x509` makes it if nothing is said: an authority and a server in one.
    certificate(folder, "alone", None, &[at_loopback]);
    let secret = |name: &str| Secret::new(&[("ca.crt", &fs::read_to_string(folder.join(name)).expect("a file"))]);
    let url = |server: &HttpThread| format!("https://{}/a.git", server.address());
    let trusted = |server: &HttpThread, authority: &str| {
        let outcome = outcome(&url(server), Some(&secret(authority)));
        assert!(matches!(outcome, Err(TransportError::NotFound { .. })), "{authority}: {outcome:?}");
    };

    let full_chain = tls_server(folder, &["server.crt", "between.crt"], "server.key");
    trusted(&full_chain, "root.crt");
    trusted(&full_chain, "between.crt");
    untrusted(&url(&full_chain), Some(&secret("alone.crt")));
    let no_chain = tls_server(folder, &["server.crt"], "server.key");
    untrusted(&url(&no_chain), Some(&secret("root.crt")));
    trusted(&no_chain, "between.crt");
    let wrong_name = tls_server(folder, &["elsewhere.crt"], "elsewhere.key");
    untrusted(&url(&wrong_name), Some(&secret("root.crt")));
    untrusted(&url(&wrong_name), Some(&secret("elsewhere.crt")));
    let alone = tls_server(folder, &["alone.crt"], "alone.key");
    trusted(&alone, "alone.crt");
    untrusted(&url(&alone), Some(&secret("root.crt")));
}

#[test]
fn host_keys_are_judged_strictly() {
    let Some(server) = SshServer::start() else { return };
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let key = fs::read_to_string(server.client_key()).expect("a key");
    let with = |known_hosts: &str| Secret::new(&[("identity", &key), ("known_hosts", known_hosts)]);
    let right = server.known_host(KnownHost::Right);
    for known in [right.clone(), server.known_host(KnownHost::Hashed), format!("# mine\nother ssh-rsa AA\n{right}")] {
        outcome(&server.url(), Some(&with(&known))).unwrap_or_else(|error| panic!("{known}: {error}"));
    }
    let plain_port = right.replace(&right[..right.find(' ').expect("fields")], "127.0.0.1");
    for (known, said) in [
        (server.known_host(KnownHost::WrongKey), "none of those in known_hosts"),
        (format!("{right}{}", server.known_host(KnownHost::Revoked)), "@revoked"),
        (server.known_host(KnownHost::Revoked), "@revoked"),
        (String::new(), "ssh-keyscan"),
        (plain_port, "ssh-keyscan"),
    ] {
        let error = untrusted(&server.url(), Some(&with(&known)));
        assert!(error.contains(said), "{known}: {error}");
    }
    let missing = outcome(&server.url(), Some(&Secret::new(&[("identity", &key)])));
    let Err(error @ TransportError::Credentials { .. }) = missing else { panic!("{missing:?}") };
    assert!(error.to_string().contains("ssh-keyscan"), "{error}");
    // Nobody was asked for a key where the host was not trusted.
    let accepted = |log: &str| log.matches("Accepted key").count() + log.matches("Accepted publickey").count();
    let before = accepted(&server.log());
    untrusted(&server.url(), Some(&with("")));
    assert_eq!(accepted(&server.log()), before);
}

/// An sshd with host keys of several types that lets nobody in.
struct Sshd {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Sshd {
    fn start(kinds: &[&str]) -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            crate::harness::skipped("host keys of several types", "no sshd, install openssh-server");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().display().to_string();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut config =
            format!("ListenAddress 127.0.0.1:{port}\nPidFile none\nUsePAM no\nPasswordAuthentication no\n");
        for kind in kinds {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-f", kind])
                .current_dir(folder.path())
                .status();
            assert!(made.expect("ssh-keygen can be started").success());
            config.extend(["HostKey ", &dir, "/", kind, "\n"]);
        }
        fs::write(folder.path().join("config"), config).expect("file written");
        let _ = fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &format!("{dir}/config")])
            .stdin(Stdio::null())
            .stderr(File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("sshd can be started");
        let sshd = Self { folder, port, child };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "sshd does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(sshd)
    }

    fn line(&self, kind: &str) -> String {
        let public = fs::read_to_string(self.folder.path().join(format!("{kind}.pub"))).expect("a key");
        format!("[127.0.0.1]:{} {public}", self.port)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_is_asked_for_the_type_of_key_that_is_known() {
    let kinds = ["ed25519", "ecdsa", "rsa"];
    let Some(sshd) = Sshd::start(&kinds) else { return };
    let key = fs::read_to_string(sshd.folder.path().join("ed25519")).expect("a key");
    for kind in kinds {
        let secret = Secret::new(&[("identity", &key), ("known_hosts", &sshd.line(kind))]);
        let outcome = outcome(&format!("ssh://nobody@127.0.0.1:{}/a.git", sshd.port), Some(&secret));
        // The host is trusted, so it got as far as to refuse us.
        assert!(matches!(outcome, Err(TransportError::Refused { .. })), "{kind}: {outcome:?}");
    }
}
