//! Address of a Git repository: parsed once, never shown with user or password, comparable.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use url::Url;

/// Longer addresses are mistakes; servers refuse them too.
const URL_CHARS_MAX: usize = 2048;

/// An address that the daemon may connect to.
#[derive(Clone, PartialEq, Eq)]
pub struct GitUrl {
    scheme: Scheme,
    /// As libgit2 takes it, without user and password for HTTP.
    connect: String,
    /// From the address itself: of HTTP a secret, of SSH the account.
    user: Option<String>,
    password: Option<String>,
    /// Lower case; an IPv6 address without brackets; empty for a folder.
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Http,
    Ssh,
    /// A repository in the file system.
    Local,
}

/// Why an address is refused. It never holds the address: that may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    #[error("the Git URL is not a URL: write https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH")]
    NotAUrl,
    #[error("the scheme of the Git URL is not supported: use https:// or ssh://")]
    Scheme,
    #[error("http:// and paths as Git URL need --git-insecure: nothing proves who answers there")]
    Insecure,
    #[error("the Git URL names no repository: add its path")]
    NoPath,
    #[error("the Git URL has a query or a fragment: remove what follows `?` or `#`")]
    Query,
    #[error("the Git URL has a password for SSH: use a key (`identity` in the credentials)")]
    SshPassword,
    #[error("the Git URL has a host, user or path that begins with `-` or holds blanks or control characters")]
    BadCharacters,
}

impl GitUrl {
    /// Takes `https://`, `ssh://`, `user@host:path`; with `insecure` also `http://`, `file://` and paths.
    pub fn parse(text: &str, insecure: bool) -> Result<Self, UrlError> {
        if text.is_empty() || text.len() > URL_CHARS_MAX {
            return Err(UrlError::NotAUrl);
        }
        if text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::BadCharacters);
        }
        let parsed = if text.contains("://") {
            Self::from_url(&Url::parse(text).map_err(|_| UrlError::NotAUrl)?)?
        } else if let Some((place, path)) = split_scp(text) {
            Self::from_scp(place, path)?
        } else {
            Self::from_path(text)?
        };
        match parsed.scheme {
            Scheme::Http | Scheme::Local if !insecure => Err(UrlError::Insecure),
            Scheme::Https | Scheme::Http | Scheme::Ssh | Scheme::Local => Ok(parsed),
        }
    }

    fn from_url(url: &Url) -> Result<Self, UrlError> {
        let (scheme, port) = match url.scheme() {
            "https" => (Scheme::Https, 443),
            "http" => (Scheme::Http, 80),
            "ssh" => (Scheme::Ssh, 22),
            "file" => return Self::from_path(&url.to_file_path().map_err(|()| UrlError::NotAUrl)?.to_string_lossy()),
            _ => return Err(UrlError::Scheme),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        let password = url.password().map(decoded).transpose()?;
        let host = url.host_str().unwrap_or_default();
        let mut connect = url.clone();
        match scheme {
            Scheme::Ssh if password.is_some() => return Err(UrlError::SshPassword),
            Scheme::Ssh | Scheme::Local => {}
            Scheme::Https | Scheme::Http => {
                connect.set_username("").and_then(|()| connect.set_password(None)).map_err(|()| UrlError::NotAUrl)?;
            }
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port().unwrap_or(port);
        Self::remote(scheme, connect.into(), (user, password), host, port, url.path())
    }

    fn from_scp(place: &str, path: &str) -> Result<Self, UrlError> {
        // `user:password@host:path` splits at its first colon.
        if path.split('/').next().is_some_and(|first| first.contains('@')) {
            return Err(UrlError::SshPassword);
        }
        let (user, host) = match place.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, place),
        };
        Self::remote(Scheme::Ssh, format!("{place}:{path}"), (user, None), host, 22, path)
    }

    fn from_path(path: &str) -> Result<Self, UrlError> {
        let absolute = std::path::absolute(path).map_err(|_| UrlError::NotAUrl)?;
        let connect = absolute.to_str().ok_or(UrlError::NotAUrl)?.to_owned();
        let path = connect.clone();
        Ok(Self { scheme: Scheme::Local, connect, user: None, password: None, host: String::new(), port: 0, path })
    }

    fn remote(
        scheme: Scheme,
        connect: String,
        (user, password): (Option<String>, Option<String>),
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<Self, UrlError> {
        let host = host.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let odd = |text: &str| text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control());
        if host.is_empty() || !host.chars().all(plain) || odd(&host) || odd(path) || user.as_deref().is_some_and(odd) {
            return Err(UrlError::BadCharacters);
        }
        if path.trim_matches('/').is_empty() {
            return Err(UrlError::NoPath);
        }
        Ok(Self { scheme, connect, user, password, host, port, path: path.to_owned() })
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The folder of a local repository, which can be watched for changes.
    pub fn local_path(&self) -> Option<PathBuf> {
        (self.scheme == Scheme::Local).then(|| PathBuf::from(&self.path))
    }

    /// Whether both are spellings of one repository. A forge serves the same path over HTTPS and SSH, so the scheme,
    /// the account, `.git` at the end and a default port do not matter.
    pub fn is_same_repository(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    pub(super) fn connect(&self) -> &str {
        &self.connect
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    fn identity(&self) -> (&str, Option<u16>, &str) {
        let path = match self.scheme {
            Scheme::Local => Path::new(&self.path).to_str().unwrap_or_default(),
            Scheme::Https | Scheme::Http | Scheme::Ssh => self.path.trim_start_matches("/~/").trim_start_matches('/'),
        };
        let path = path.trim_end_matches('/');
        (&self.host, self.other_port(), path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/'))
    }

    fn other_port(&self) -> Option<u16> {
        let usual = match self.scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::Ssh => 22,
            Scheme::Local => 0,
        };
        (self.port != usual).then_some(self.port)
    }
}

/// Without user and password.
impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
            Scheme::Local => return write!(f, "{}", self.path),
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]", self.host)?;
        } else {
            write!(f, "{scheme}://{}", self.host)?;
        }
        if let Some(port) = self.other_port() {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.path.trim_start_matches('/'))
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitUrl({self})")
    }
}

/// `[user@]host:path`, as Git tells it from a path: no slash before the first colon outside of brackets.
fn split_scp(text: &str) -> Option<(&str, &str)> {
    let (place, path) = text.split_once(':')?;
    (!place.is_empty() && !place.contains('/')).then_some((place, path))
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| UrlError::NotAUrl)?;
                (u8::from_str_radix(digits, 16).map_err(|_| UrlError::NotAUrl)?, after)
            }
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| UrlError::NotAUrl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> GitUrl {
        GitUrl::parse(text, true).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn user_and_password_are_never_shown() {
        for text in ["https://us%40er:pl4nted@host.example/a.git", "https://pl4nted@host.example/a.git"] {
            let url = url(text);
            assert_eq!(url.to_string(), "https://host.example/a.git");
            assert!(!format!("{url:?} {}", url.connect()).contains("pl4nted"));
        }
        assert_eq!(url("https://us%40er:p%2Fw@h/a").user(), Some("us@er"));
        assert_eq!(url("https://us%40er:p%2Fw@h/a").password(), Some("p/w"));
        for text in ["ssh://git:pl4nted@h/a", "git:pl4nted@h:a", "https://:pl4nted@/", "ftp://a:pl4nted@h/a"] {
            let error = GitUrl::parse(text, true).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("pl4nted"), "{text}");
        }
    }

    #[test]
    fn spellings_of_one_repository_are_one() {
        let one = url("https://git.example.com/acme/platform");
        for same in [
            "https://GIT.example.com:443/acme/platform.git",
            "https://token@git.example.com/acme/platform/",
            "ssh://git@git.example.com/acme/platform.git",
            "git@git.example.com:acme/platform.git",
            "git@git.example.com:/acme/platform",
            "http://git.example.com/acme/platform",
        ] {
            assert!(one.is_same_repository(&url(same)), "{same}");
        }
        for other in
            ["https://git.example.com/acme/other", "https://git.example.com:8443/acme/platform", "/acme/platform"]
        {
            assert!(!one.is_same_repository(&url(other)), "{other}");
        }
        assert!(url("/a/b.git").is_same_repository(&url("file:///a/b")));
    }

    #[test]
    fn only_safe_addresses_pass() {
        for (text, error) in [
            ("http://h/a", UrlError::Insecure),
            ("/a/b", UrlError::Insecure),
            ("file:///a/b", UrlError::Insecure),
            ("git://h/a", UrlError::Scheme),
            ("https://h/", UrlError::NoPath),
            ("git@h:", UrlError::NoPath),
            ("https://h/a?token=x", UrlError::Query),
            ("https://h/a#x", UrlError::Query),
            ("ssh://-oProxyCommand=x/a", UrlError::BadCharacters),
            ("git@h:-x", UrlError::BadCharacters),
            ("-x@h:a", UrlError::BadCharacters),
            ("https://h/a b", UrlError::BadCharacters),
            ("", UrlError::NotAUrl),
            ("https://", UrlError::NotAUrl),
        ] {
            assert_eq!(GitUrl::parse(text, false), Err(error), "{text}");
        }
    }

    #[test]
    fn parts_are_found() {
        let scp = url("me@Host.example:acme/x.git");
        assert_eq!((scp.scheme(), scp.host(), scp.port(), scp.user()), (Scheme::Ssh, "host.example", 22, Some("me")));
        assert_eq!(scp.to_string(), "ssh://host.example/acme/x.git");
        let ssh = url("ssh://git@[::1]:2222/acme/x.git");
        assert_eq!((ssh.host(), ssh.port()), ("::1", 2222));
        assert_eq!(ssh.to_string(), "ssh://[::1]:2222/acme/x.git");
        assert_eq!(url("/a/b").local_path(), Some(PathBuf::from("/a/b")));
        assert_eq!(url("https://h/a").local_path(), None);
    }
}
