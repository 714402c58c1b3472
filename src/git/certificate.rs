//! Trust in an HTTPS server whose authority is ours: `ca.crt` of the credentials, in place of the system's authorities.
//!
//! libgit2 knows one set of authorities for the whole process and hands out only the server's own certificate. So the
//! judgement is made here, by rustls, and libgit2 proves that the server holds that certificate's key.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::credentials::CredentialsError;

/// For the connection that only asks for the chain, each way.
const CHAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The certificates of `ca.crt`.
pub(super) struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    pub(super) fn parse(pem: &[u8]) -> Result<Self, CredentialsError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(Self(all)),
            Ok(_) | Err(_) => Err(CredentialsError::NoAuthority),
        }
    }

    /// Whether the certificate (DER) that `host` showed is vouched for; else why not.
    pub(super) fn judge(&self, certificate: &[u8], host: &str, port: u16) -> Result<(), String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name for a certificate"))?;
        let shown = CertificateDer::from(certificate.to_vec());
        if self.0.contains(&shown) {
            // A server that signed for itself: it is trusted as such, so only its names are left to check.
            let parsed = ParsedCertificate::try_from(&shown).map_err(|error| distrust(&error))?;
            return verify_server_name(&parsed, &name).map_err(|error| distrust(&error));
        }
        if self.verify(&shown, &self.0, &name).is_ok() {
            return Ok(());
        }
        let between = ask_for_chain(host, port, &name).unwrap_or_default();
        let between: Vec<_> = between.into_iter().chain(self.0.iter().cloned()).collect();
        self.verify(&shown, &between, &name).map_err(|error| distrust(&error))
    }

    fn verify(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.0.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(shown, between, name, &[], UnixTime::now()).map(|_| ())
    }
}

fn distrust(error: &rustls::Error) -> String {
    format!("ca.crt does not vouch for the server's certificate ({error}): put the certificate of its authority there")
}

/// The certificates that the server sends along. They are proof of nothing: they only fill the chain that is verified.
fn ask_for_chain(host: &str, port: u16, name: &ServerName<'static>) -> Option<Vec<CertificateDer<'static>>> {
    let address = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, CHAIN_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(CHAIN_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(CHAIN_TIMEOUT)).ok()?;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Listener(provider)))
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name.clone()).ok()?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    connection.peer_certificates().map(<[_]>::to_vec)
}

/// Takes any certificate, since nothing is sent over that connection.
#[derive(Debug)]
struct Listener(Arc<CryptoProvider>);

impl ServerCertVerifier for Listener {
    fn verify_server_cert(
        &self,
        _shown: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
