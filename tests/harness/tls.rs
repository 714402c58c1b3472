//! A certificate authority of the test's own, made with `openssl`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

/// The name under which pods reach the server, where a Service `git` of a namespace `forge` leads to it.
pub(crate) const NAME_FOR_PODS: &str = "git.forge.svc.cluster.local";

/// An authority and the certificate of one server at 127.0.0.1 signed by it.
pub(crate) struct TestAuthority {
    folder: TempDir,
}

impl TestAuthority {
    pub(crate) fn create() -> Self {
        Self::of(&[])
    }

    /// For a server that stands for others too, by their names.
    pub(crate) fn of(others: &[&str]) -> Self {
        let others = others.iter().fold(String::new(), |names, name| format!("{names},DNS:{name}"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path();
        fs::write(dir.join("openssl.cnf"), "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n").expect("file written");
        let authority = ["-subj", "/CN=test-authority", "-addext", "basicConstraints=critical,CA:true"];
        openssl_request(dir, "ca", &authority);
        let server = [
            "-subj",
            "/CN=test-server",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-addext",
            "basicConstraints=critical,CA:false",
            "-addext",
            &format!("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:{NAME_FOR_PODS}{others}"),
            "-addext",
            "extendedKeyUsage=serverAuth",
        ];
        openssl_request(dir, "server", &server);
        Self { folder }
    }

    /// The authority's certificate (PEM).
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let read = |name: &str| fs::read(self.folder.path().join(name)).expect("openssl wrote it");
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).expect("openssl writes PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_no_client_auth()
            .with_single_cert(certificates(&read("server.crt")), key)
            .expect("certificate and key belong together");
        Arc::new(config)
    }
}

/// The certificates in `pem`.
pub(crate) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().expect("certificates as PEM")
}

/// What a client of a server needs that trusts only the authorities in `authority` (PEM) and shows
/// the certificate and key in `identity` (PEM).
pub(crate) fn client_config(authority: &[u8], identity: Option<(&[u8], &[u8])>) -> Arc<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    let (accepted, _) = roots.add_parsable_certificates(certificates(authority));
    assert!(accepted > 0, "no usable certificate authority");
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots);
    Arc::new(match identity {
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate), PrivateKeyDer::from_pem_slice(key).expect("a key as PEM"))
            .expect("certificate and key belong together"),
        None => builder.with_no_client_auth(),
    })
}

fn openssl_request(dir: &Path, name: &str, more: &[&str]) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let common = ["req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(common)
        .args(["-nodes", "-days", "2", "-keyout", &key, "-out", &certificate])
        .args(more)
        .output()
        .expect("openssl can be started: apt-get install -y openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
