//! One connection to a server: who we are, whom we trust, how much we take and how long we wait.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use git2::cert::Cert;
use git2::{AutotagOption, CertificateCheckStatus, Cred, CredentialType, FetchOptions, PushOptions, RemoteCallbacks};
use git2::{RemoteRedirect, Repository};

use super::bounded::{HANGING_MAX, NoResult, bounded};
use super::certificate::Authorities;
use super::credentials::{Credentials, Proof};
use super::error::{Failure, TransportError};
use super::known_hosts::{self, Verdict};
use super::process;
use super::redact::Redactor;
use super::sort::sort;
use super::url::{GitUrl, Scheme};
use crate::model::tree::check_fetch;

/// For one exchange with a server, from connecting to the last byte. Half of it is what Flux gives; a source may
/// take a fetch of 256 MiB over a slow line.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(2);
/// A source with two factors asks twice at most; whoever asks more often turns in a circle.
const QUESTIONS_MAX: u32 = 3;
/// The place in the clone where the fetched branch is kept.
const FETCHED: &str = "refs/holdfast/fetched";
/// Fits no name of a server: what is fetched by it is nothing, but the server's names are listed.
const NOTHING: &str = "refs/holdfast/nothing:refs/holdfast/nothing";

/// Where a repository is and how to get in.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: GitUrl,
    /// Folder with the key names of Flux's Secrets.
    pub credentials: Option<PathBuf>,
    /// The end of every exchange, usually [`EXCHANGE_TIMEOUT`].
    pub timeout: Duration,
}

/// A name that the server lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// 40 hexadecimal digits.
    pub(super) commit: String,
    /// Where the name only points to.
    pub(super) target: Option<String>,
}

impl Endpoint {
    /// Runs one exchange on a thread of its own; it ends within the timeout, whatever the server does.
    pub(super) fn exchange<T, E>(&self, work: impl FnOnce(&Session) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        let endpoint = self.clone();
        let url = self.url.to_string();
        let result = bounded(self.timeout, move || work(&Session::new(endpoint).map_err(Failure::Transport)?));
        let failure = match result {
            Ok(result) => return result,
            Err(NoResult::Timeout) => TransportError::Timeout { url, seconds: self.timeout.as_secs() },
            Err(NoResult::Panicked) => {
                TransportError::Failed { url, message: "the server sent a text that is not UTF-8".to_owned() }
            }
            Err(NoResult::TooManyHanging) => TransportError::TooManyHanging { url, count: HANGING_MAX },
            Err(NoResult::NoThread) => TransportError::Failed { url, message: "no thread can be started".to_owned() },
        };
        Err(Failure::Transport(failure).into())
    }
}

/// What one exchange knows.
pub(super) struct Session {
    endpoint: Endpoint,
    credentials: Credentials,
    authorities: Option<Authorities>,
    redactor: Redactor,
    end: Instant,
    /// Why we stopped it ourselves; libgit2 only says that somebody did.
    stopped: RefCell<Option<Failure>>,
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "the deadline of a connection is its own")]
    fn new(endpoint: Endpoint) -> Result<Self, TransportError> {
        let url = &endpoint.url;
        let wrong = |error| TransportError::Credentials { url: url.to_string(), error };
        let credentials = Credentials::read(endpoint.credentials.as_deref(), url).map_err(wrong)?;
        let authorities = credentials.authorities.as_deref().map(Authorities::parse).transpose().map_err(wrong)?;
        if url.scheme() == Scheme::Ssh {
            let lines = known_hosts::plain_lines(&credentials.known_hosts, url.host(), url.port());
            let failed =
                |error: std::io::Error| TransportError::Failed { url: url.to_string(), message: error.to_string() };
            process::suggest_keys(url.host(), url.port(), &lines).map_err(failed)?;
        }
        let redactor = credentials.redactor(url);
        let end = Instant::now() + endpoint.timeout;
        Ok(Self { endpoint, credentials, authorities, redactor, end, stopped: RefCell::new(None) })
    }

    pub(super) fn url(&self) -> String {
        self.endpoint.url.to_string()
    }

    pub(super) fn clean(&self, message: &str) -> String {
        self.redactor.clean(message)
    }

    pub(super) fn connect<'a>(&'a self, clone: &'a Repository) -> Result<Connection<'a>, Failure> {
        let remote = clone.remote_anonymous(self.endpoint.url.connect()).map_err(|error| self.failure(&error))?;
        Ok(Connection { session: self, clone, remote })
    }

    /// What a libgit2 error means: our own reason if we stopped it.
    pub(super) fn failure(&self, error: &git2::Error) -> Failure {
        self.stopped.borrow_mut().take().unwrap_or_else(|| sort(error, &self.url(), &self.redactor))
    }

    fn stop(&self, failure: Failure) -> git2::Error {
        *self.stopped.borrow_mut() = Some(failure);
        git2::Error::from_str("stopped by Holdfast")
    }

    fn refuse(&self, error: TransportError) -> git2::Error {
        self.stop(Failure::Transport(error))
    }

    fn fetch_options(&self) -> FetchOptions<'_> {
        let mut options = FetchOptions::new();
        options.remote_callbacks(self.callbacks());
        options.download_tags(AutotagOption::None).update_fetchhead(false).follow_redirects(RemoteRedirect::None);
        if self.endpoint.url.scheme() != Scheme::Local {
            // libgit2's transport for folders has no shallow fetch.
            options.depth(1);
        }
        if let Some(header) = self.header() {
            options.custom_headers(&[&header]);
        }
        options
    }

    pub(super) fn push_options<'a>(&'a self, callbacks: RemoteCallbacks<'a>) -> PushOptions<'a> {
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks).follow_redirects(RemoteRedirect::None);
        if let Some(header) = self.header() {
            options.custom_headers(&[&header]);
        }
        options
    }

    fn header(&self) -> Option<String> {
        match &self.credentials.proof {
            Proof::Bearer { token } => Some(format!("Authorization: Bearer {token}")),
            Proof::None | Proof::Password { .. } | Proof::Key { .. } => None,
        }
    }

    pub(super) fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        let (mut questions, mut shown) = (0, false);
        callbacks.credentials(move |url, _, allowed| {
            questions += 1;
            self.answer(url, allowed, questions, &mut shown)
        });
        callbacks.certificate_check(|certificate, host| self.judge(certificate, host));
        callbacks
            .transfer_progress(|progress| self.may_go_on(progress.received_bytes() as u64, progress.total_objects()));
        callbacks.sideband_progress(|_| self.may_go_on(0, 0));
        callbacks
    }

    #[expect(clippy::disallowed_methods, reason = "the deadline of a connection is its own")]
    pub(super) fn may_go_on(&self, bytes: u64, objects: usize) -> bool {
        let failure = match check_fetch(bytes, objects) {
            Err(limit) => Failure::Limit(limit),
            Ok(()) if Instant::now() < self.end => return true,
            Ok(()) => Failure::Transport(TransportError::Timeout {
                url: self.url(),
                seconds: self.endpoint.timeout.as_secs(),
            }),
        };
        self.stop(failure);
        false
    }

    /// Shows the credentials to the server of the settings, once: it has seen them when it asks again.
    fn answer(
        &self,
        asker: &str,
        allowed: CredentialType,
        questions: u32,
        shown: &mut bool,
    ) -> Result<Cred, git2::Error> {
        let url = self.url();
        if !self.is_ours(asker) {
            let message = "the credentials are for another host".to_owned();
            return Err(self.refuse(TransportError::Redirected { url, message }));
        }
        if *shown || questions > QUESTIONS_MAX {
            return Err(self.refuse(TransportError::Refused { url }));
        }
        match &self.credentials.proof {
            Proof::Key { user, .. } if allowed.contains(CredentialType::USERNAME) => Cred::username(user),
            Proof::Key { user, private, public, passphrase } if allowed.contains(CredentialType::SSH_MEMORY) => {
                *shown = true;
                Cred::ssh_key_from_memory(user, public.as_deref(), private, passphrase.as_deref())
            }
            Proof::Password { user, password } if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                *shown = true;
                Cred::userpass_plaintext(user, password)
            }
            Proof::None => Err(self.refuse(TransportError::NoCredentials { url })),
            Proof::Key { .. } | Proof::Password { .. } | Proof::Bearer { .. } => {
                Err(self.refuse(TransportError::Refused { url }))
            }
        }
    }

    /// Whether a question comes from the host and port of the settings.
    fn is_ours(&self, asker: &str) -> bool {
        let ours = &self.endpoint.url;
        GitUrl::parse(asker, true).is_ok_and(|asker| {
            asker.scheme() == ours.scheme() && asker.host() == ours.host() && asker.port() == ours.port()
        })
    }

    fn judge(&self, certificate: &Cert<'_>, host: &str) -> Result<CertificateCheckStatus, git2::Error> {
        let port = self.endpoint.url.port();
        let verdict = match (certificate.as_hostkey(), certificate.as_x509(), &self.authorities) {
            (Some(key), _, _) => key.hostkey().map_or_else(
                || Err("the server showed no host key".to_owned()),
                |key| host_key_verdict(&known_hosts::judge(&self.credentials.known_hosts, host, port, key), host),
            ),
            (None, Some(shown), Some(authorities)) => authorities.judge(shown.data(), host, port),
            (None, _, _) => return Ok(CertificateCheckStatus::CertificatePassthrough),
        };
        match verdict {
            Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
            Err(message) => Err(self.refuse(TransportError::Untrusted { url: self.url(), message })),
        }
    }
}

fn host_key_verdict(verdict: &Verdict, host: &str) -> Result<(), String> {
    match verdict {
        Verdict::Known => Ok(()),
        Verdict::Revoked => {
            Err("the host key is marked @revoked in known_hosts: find out who answers there".to_owned())
        }
        Verdict::WrongKey(kinds) => Err(format!(
            "the host key is none of those in known_hosts ({}): find out who answers there; if the key was renewed, \
             replace the line",
            kinds.join(", ")
        )),
        Verdict::UnknownHost => Err(format!(
            "{host} is not in known_hosts: put the line there that `ssh-keyscan` prints (with -p for another port than \
             22), once you have checked it"
        )),
    }
}

/// A remote that connects at its first use.
pub(super) struct Connection<'a> {
    session: &'a Session,
    clone: &'a Repository,
    remote: git2::Remote<'a>,
}

impl Connection<'_> {
    /// The names that the server has, in its order.
    pub(super) fn list(&mut self) -> Result<Vec<Listed>, Failure> {
        let mut options = self.session.fetch_options();
        // Not `connect_auth`: that takes no headers of ours.
        let asked = self.remote.download(&[NOTHING], Some(&mut options));
        asked.map_err(|error| self.session.failure(&error))?;
        let heads = self.remote.list().map_err(|error| self.session.failure(&error))?;
        // A name that is not UTF-8 makes git2 panic; it is none that we look for.
        let listed = heads.iter().filter_map(|head| {
            std::panic::catch_unwind(|| Listed {
                name: head.name().to_owned(),
                commit: head.oid().to_string(),
                target: head.symref_target().map(str::to_owned),
            })
            .ok()
        });
        Ok(listed.collect())
    }

    /// Fetches the commit of `branch` without its history, and gives its id.
    pub(super) fn fetch(&mut self, branch: &str) -> Result<git2::Oid, Failure> {
        let refspec = format!("+refs/heads/{branch}:{FETCHED}");
        let mut options = self.session.fetch_options();
        let fetched = self.remote.fetch(&[refspec], Some(&mut options), None);
        fetched.map_err(|error| self.session.failure(&error))?;
        self.clone.refname_to_id(FETCHED).map_err(|error| Failure::clone(error.message()))
    }

    pub(super) fn push(&mut self, refspec: &str, options: &mut PushOptions<'_>) -> Result<(), git2::Error> {
        self.remote.push(&[refspec], Some(options))
    }
}

/// Whether `name` can be a branch.
pub(super) fn is_branch_name(name: &str) -> bool {
    !name.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{name}"))
}
