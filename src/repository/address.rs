//! Where a repository is, as restic writes it: `s3:host/bucket/prefix`, `rest:https://host/`, a path and so on.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// A parsed address. User and password of a REST server are in it, and in nothing that is printed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Local(PathBuf),
    S3 {
        /// Scheme, host and port.
        endpoint: String,
        bucket: String,
        prefix: String,
    },
    Gcs {
        bucket: String,
        prefix: String,
    },
    Azure {
        container: String,
        prefix: String,
    },
    B2 {
        bucket: String,
        prefix: String,
    },
    Swift {
        container: String,
        prefix: String,
    },
    Rest {
        /// Ends with a slash.
        url: Url,
        login: Option<Login>,
    },
}

/// User and password of a REST server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

/// What is wrong with an address, and how a right one looks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}; an address of this kind looks like `{example}`")]
pub struct AddressError {
    pub what: String,
    pub example: &'static str,
}

const LOCAL: &str = "/backups/web";
const S3: &str = "s3:s3.amazonaws.com/bucket/prefix";
const GCS: &str = "gs:bucket:/prefix";
const AZURE: &str = "azure:container:/prefix";
const B2: &str = "b2:bucket:prefix";
const SWIFT: &str = "swift:container:/prefix";
const REST: &str = "rest:https://host:8000/path/";

fn bad(what: impl Into<String>, example: &'static str) -> AddressError {
    AddressError { what: what.into(), example }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(bad("the address of the repository is empty", LOCAL));
        }
        if text.starts_with(['/', '.']) {
            return Ok(Address::Local(text.into()));
        }
        let Some((scheme, rest)) = text.split_once(':') else { return Ok(Address::Local(text.into())) };
        match scheme {
            "local" if rest.is_empty() => Err(bad("there is no path behind `local:`", "local:/backups/web")),
            "local" => Ok(Address::Local(rest.into())),
            "s3" => s3(rest),
            "gs" => {
                let (bucket, prefix) = bucket_and_prefix(rest, GCS)?;
                Ok(Address::Gcs { bucket, prefix })
            }
            "azure" => {
                let (container, prefix) = bucket_and_prefix(rest, AZURE)?;
                Ok(Address::Azure { container, prefix })
            }
            "b2" => b2(rest),
            "swift" => swift(rest),
            "rest" => rest_server(rest),
            "sftp" | "rclone" => Err(bad(format!("repositories behind `{scheme}:` are not supported"), REST)),
            other => {
                let what =
                    format!("`{other}:` is no kind of repository; a folder of that name needs `local:` in front");
                Err(bad(what, "local:/backups/web"))
            }
        }
    }
}

fn s3(rest: &str) -> Result<Address, AddressError> {
    let (scheme, rest, is_url) = match rest.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest, true),
        Some(("", rest)) => ("https", rest, false),
        _ => ("https", rest.strip_prefix("//").unwrap_or(rest), false),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() {
        return Err(bad("the address names no host", S3));
    }
    if host.contains('@') {
        return Err(bad("keys do not belong into the address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", S3));
    }
    let endpoint = format!("{scheme}://{host}");
    match Url::parse(&endpoint) {
        Ok(url) if url.host_str().is_some() && url.path() == "/" && url.query().is_none() => {}
        Ok(_) | Err(_) => return Err(bad(format!("`{host}` is no host"), S3)),
    }
    // As in restic: what is a URL is read as one, anything else as it stands.
    let path = if is_url { decoded(path).ok_or_else(|| bad("the path is no text", S3))? } else { path.to_owned() };
    let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
    if bucket.is_empty() {
        return Err(bad(format!("the bucket is missing: it comes after `{host}/`"), S3));
    }
    let prefix = clean(prefix, S3)?;
    Ok(Address::S3 { endpoint, bucket: bucket.to_owned(), prefix })
}

fn bucket_and_prefix(rest: &str, example: &'static str) -> Result<(String, String), AddressError> {
    let Some((bucket, prefix)) = rest.split_once(':') else {
        return Err(bad(format!("the `:` between `{rest}` and the path is missing"), example));
    };
    Ok((named(bucket, example)?, clean(prefix, example)?))
}

fn named(bucket: &str, example: &'static str) -> Result<String, AddressError> {
    if bucket.is_empty() || bucket.contains('/') {
        return Err(bad(format!("`{bucket}` is no name of a bucket or container"), example));
    }
    Ok(bucket.to_owned())
}

fn b2(rest: &str) -> Result<Address, AddressError> {
    let (bucket, prefix) = rest.split_once(':').unwrap_or((rest, ""));
    let right =
        (6..=50).contains(&bucket.len()) && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !right {
        return Err(bad(format!("`{bucket}` is no bucket: B2 names them with 6 to 50 letters, digits and dashes"), B2));
    }
    Ok(Address::B2 { bucket: bucket.to_owned(), prefix: clean(prefix, B2)? })
}

fn swift(rest: &str) -> Result<Address, AddressError> {
    let (container, prefix) = rest.split_once(':').unwrap_or((rest, ""));
    let container = named(container, SWIFT)?;
    let Some(prefix) = prefix.strip_prefix('/') else {
        return Err(bad("the path behind the container does not begin with `/`", SWIFT));
    };
    Ok(Address::Swift { container, prefix: clean(prefix, SWIFT)? })
}

fn rest_server(rest: &str) -> Result<Address, AddressError> {
    let slash = if rest.ends_with('/') { "" } else { "/" };
    // The reason of the parser is enough: the text may hold a password.
    let mut url = Url::parse(&format!("{rest}{slash}")).map_err(|error| bad(error.to_string(), REST))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("`{}` is neither http nor https", url.scheme()), REST));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("the URL goes on after its path", REST));
    }
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => {
            let text = |part: &str| decoded(part).ok_or_else(|| bad("user or password are no text", REST));
            Some(Login { user: text(user)?, password: text(password.unwrap_or_default())? })
        }
    };
    // Both can be taken away from any URL with a host, which http and https have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(Address::Rest { url, login })
}

/// A prefix as restic cleans it: no empty segments, none that stands for itself or for the one above, no slash around it.
fn clean(prefix: &str, example: &'static str) -> Result<String, AddressError> {
    let mut segments = Vec::new();
    for segment in prefix.split('/') {
        if segment == ".." {
            // From the root there is nothing above; anything else would leave the bucket.
            if segments.pop().is_none() && !prefix.starts_with('/') {
                return Err(bad(format!("the path `{prefix}` leads out of the bucket"), example));
            }
        } else if !matches!(segment, "" | ".") {
            segments.push(segment);
        }
    }
    Ok(segments.join("/"))
}

/// Without `%`; `None` if it is no UTF-8 then.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Local(path) => {
                let text = path.display().to_string();
                let looks_like_another = !text.starts_with(['/', '.']) && text.contains(':');
                write!(f, "{}{text}", if looks_like_another { "local:" } else { "" })
            }
            Address::S3 { endpoint, bucket, prefix } => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                write!(f, "s3:{endpoint}/{bucket}{slash}{prefix}")
            }
            Address::Gcs { bucket, prefix } => write!(f, "gs:{bucket}:/{prefix}"),
            Address::Azure { container, prefix } => write!(f, "azure:{container}:/{prefix}"),
            Address::B2 { bucket, prefix } => write!(f, "b2:{bucket}:{prefix}"),
            Address::Swift { container, prefix } => write!(f, "swift:{container}:/{prefix}"),
            Address::Rest { url, login: _ } => write!(f, "rest:{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().unwrap().to_string()
    }

    fn refused(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn every_kind_is_read_as_restic_reads_it() {
        for (text, is) in [
            ("/srv/a", "/srv/a"),
            ("srv/a", "srv/a"),
            ("../a:b", "../a:b"),
            ("local:a:b", "local:a:b"),
            ("local:/srv/a", "/srv/a"),
            ("s3:s3.amazonaws.com/bucket", "s3:https://s3.amazonaws.com/bucket"),
            ("s3://s3.amazonaws.com/bucket/a//b/", "s3:https://s3.amazonaws.com/bucket/a/b"),
            ("s3:host:9000/bucket/a/../b/./c", "s3:https://host:9000/bucket/b/c"),
            ("s3:http://127.0.0.1:9000/bucket/a%20b/", "s3:http://127.0.0.1:9000/bucket/a b"),
            ("s3:https://bucket.s3.amazonaws.com/bucket/", "s3:https://bucket.s3.amazonaws.com/bucket"),
            ("gs:bucket:/", "gs:bucket:/"),
            ("gs:bucket:a/b", "gs:bucket:/a/b"),
            ("azure:container:/../a", "azure:container:/a"),
            ("b2:bucket", "b2:bucket:"),
            ("b2:bucket:/a/b/", "b2:bucket:a/b"),
            ("swift:container:/a/b", "swift:container:/a/b"),
            ("rest:http://host:8000", "rest:http://host:8000/"),
            ("rest:https://host/a/b", "rest:https://host/a/b/"),
        ] {
            assert_eq!(shown(text), is, "{text}");
            // What is printed is an address again.
            assert_eq!(shown(&shown(text)), is, "{text}");
        }
        let s3: Address = "s3:http://host:9000/bucket/a".parse().unwrap();
        let parts = Address::S3 { endpoint: "http://host:9000".into(), bucket: "bucket".into(), prefix: "a".into() };
        assert_eq!(s3, parts);
    }

    #[test]
    fn a_password_is_read_and_never_printed() {
        let address: Address = "rest:https://me:se%40cret@host:8000/a".parse().unwrap();
        let Address::Rest { url, login } = &address else { panic!("{address:?}") };
        assert_eq!(url.as_str(), "https://host:8000/a/");
        assert_eq!(*login, Some(Login { user: "me".to_owned(), password: "se@cret".to_owned() }));
        for text in [address.to_string(), format!("{address:?}"), refused("rest:ftp://me:se@cret/")] {
            assert!(!text.contains("cret") && !text.contains("me:s"), "{text}");
        }
        assert!(refused("s3:key:secret@host/bucket").starts_with("keys do not belong"));
        assert!(!refused("s3:key:secret@host/bucket").contains("secret@"));
    }

    #[test]
    fn what_is_wrong_is_named_with_an_example() {
        for (text, what) in [
            ("", "is empty"),
            ("local:", "no path"),
            ("s3:", "names no host"),
            ("s3:bucket.s3.amazonaws.com", "bucket is missing: it comes after `bucket.s3.amazonaws.com/`"),
            ("s3:host/", "bucket is missing"),
            ("s3:ho st/bucket", "`ho st` is no host"),
            ("s3:host/bucket/../..", "leads out of the bucket"),
            ("gs:bucket", "the `:` between `bucket` and the path is missing"),
            ("gs::/a", "`` is no name"),
            ("azure:container", "is missing"),
            ("b2:abc", "`abc` is no bucket"),
            ("swift:container:a", "does not begin with `/`"),
            ("rest:host:8000/", "neither http nor https"),
            ("rest:https://host/?a", "goes on after its path"),
            ("sftp:host:/a", "not supported"),
            ("ftp:host", "`ftp:` is no kind of repository"),
        ] {
            let error = refused(text);
            assert!(error.contains(what) && error.contains("looks like `"), "{text}: {error}");
        }
    }
}
