//! A repository behind restic's REST server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RANGE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::answer::{Answer, joined};
use super::driver::Driver;
use super::http::{Http, Pieces, collect};
use super::{Fault, FileId, FileKind, FileName, Store, StoreError};
use crate::repository::address::Login;

/// With sizes in lists; a server that does not know it answers in the first version.
const V2: &str = "application/vnd.x.restic.rest.v2";
/// Ten million names with their sizes.
const LIST_BYTES_MAX: usize = 1 << 30;
const REFUSAL_BYTES_MAX: usize = 64 << 10;

pub(super) struct Rest {
    location: String,
    /// Ends with a slash.
    url: Url,
    login: Option<HeaderValue>,
    http: Http,
    driver: Driver,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({})", self.location)
    }
}

/// An entry of a list, in the second version.
#[derive(Deserialize)]
struct Entry {
    name: String,
    size: u64,
}

impl Rest {
    pub(super) fn new(location: String, url: Url, login: Option<&Login>, http: Http, driver: Driver) -> Self {
        let login = login.and_then(|Login { user, password }| {
            let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let mut value = HeaderValue::from_str(&text).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { location, url, login, http, driver }
    }

    fn run<T>(&self, file: &impl ToString, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        let error = |fault| StoreError { location: self.location.clone(), file: file.to_string(), fault };
        self.driver.run(work).map_err(error)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &[Bytes],
        range: Option<String>,
    ) -> Result<Response<Pieces>, Fault> {
        let url = self.url.join(path).map_err(|error| Fault::Broken(error.to_string()))?;
        let mut request = Request::builder().method(method.clone()).uri(url.as_str()).header(ACCEPT, V2);
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        if method == Method::POST {
            let length: usize = body.iter().map(Bytes::len).sum();
            request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, length);
        }
        let request = request.body(body.to_vec()).map_err(|error| Fault::Broken(error.to_string()))?;
        let (parts, body) = self.http.send(request).await?.into_parts();
        if parts.status.is_success() {
            return Ok(Response::from_parts(parts, body));
        }
        match parts.status {
            StatusCode::NOT_FOUND => Err(Fault::Missing),
            status => {
                let body = collect(body, REFUSAL_BYTES_MAX).await?;
                Err(Answer::new(status, &parts.headers, &body).fault)
            }
        }
    }

    async fn size_of(&self, path: &str) -> Result<u64, Fault> {
        let response = self.ask(Method::HEAD, path, &[], None).await?;
        length(response.headers()).ok_or_else(|| Fault::Broken("the server names no size".to_owned()))
    }

    async fn get(&self, file: FileName, part: Option<(u64, u64)>) -> Result<Bytes, Fault> {
        let path = path(file);
        let range = part.map(|(offset, length)| format!("bytes={offset}-{}", offset + length - 1));
        let response = match self.ask(Method::GET, &path, &[], range).await {
            Err(Fault::Broken(reason)) if reason.starts_with("416") => {
                let (offset, wanted) = part.unwrap_or_default();
                let got = self.size_of(&path).await?.saturating_sub(offset);
                return Err(Fault::Short { wanted, got });
            }
            other => other?,
        };
        if part.is_some() && response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(Fault::Broken("the server gives whole files only".to_owned()));
        }
        let wanted = part.map(|(_, length)| length).or(length(response.headers()));
        let (mut parts, mut got) = (Vec::new(), 0);
        let mut pieces = response.into_body();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            got += piece.len() as u64;
            parts.push(piece);
        }
        match wanted {
            Some(wanted) if got < wanted => Err(Fault::Short { wanted, got }),
            Some(wanted) if got > wanted => {
                Err(Fault::Broken(format!("{got} bytes came where {wanted} were asked for")))
            }
            Some(_) | None => Ok(joined(parts)),
        }
    }

    /// Makes the folders of a repository.
    async fn make(&self) -> Result<(), Fault> {
        match self.ask(Method::POST, "?create=true", &[], None).await {
            Err(Fault::Missing) => Err(Fault::Broken("the server has no such path: correct the address".to_owned())),
            other => other.map(drop),
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Servers keep packs in folders by themselves, and speak of them without.
fn path(file: FileName) -> String {
    match file {
        FileName::Config => "config".to_owned(),
        FileName::Of(kind, id) => format!("{}/{id}", kind.folder()),
    }
}

impl Store for Rest {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.run(&kind.folder(), async {
            let response = match self.ask(Method::GET, &format!("{}/", kind.folder()), &[], None).await {
                Err(Fault::Missing) => return Ok(Vec::new()),
                other => other?,
            };
            let sizes = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == V2);
            let body = collect(response.into_body(), LIST_BYTES_MAX).await?;
            let bad = |error: serde_json::Error| Fault::Broken(format!("the list cannot be read: {error}"));
            if sizes {
                let entries: Vec<Entry> = serde_json::from_slice(&body).map_err(bad)?;
                let of = |entry: Entry| Some((entry.name.parse().ok()?, entry.size));
                // A list that is put together while files come and go may name one twice.
                let files: BTreeMap<FileId, u64> = entries.into_iter().filter_map(of).collect();
                return Ok(files.into_iter().collect());
            }
            let names: Vec<String> = serde_json::from_slice(&body).map_err(bad)?;
            let ids: BTreeSet<FileId> = names.iter().filter_map(|name| name.parse().ok()).collect();
            let mut files = Vec::new();
            for id in ids {
                match self.size_of(&path(FileName::Of(kind, id))).await {
                    Ok(size) => files.push((id, size)),
                    // Somebody removed it meanwhile.
                    Err(Fault::Missing) => {}
                    Err(fault) => return Err(fault),
                }
            }
            Ok(files)
        })
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.run(&file, self.size_of(&path(file)))
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.run(&file, self.get(file, None))
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        self.run(&file, self.get(file, Some((offset, length))))
    }

    /// The protocol has no condition. Some servers refuse to overwrite and others do not, so between this look and this
    /// write another may write: that matters for the configuration alone, as all other names are sums of their content.
    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        let path = path(file);
        self.run(&file, async {
            match self.size_of(&path).await {
                Ok(_) => return Err(Fault::Exists),
                Err(Fault::Missing) => {}
                Err(fault) => return Err(fault),
            }
            match self.ask(Method::POST, &path, content, None).await {
                Ok(_) => Ok(()),
                // The first file of a repository.
                Err(Fault::Missing) => {
                    self.make().await?;
                    self.ask(Method::POST, &path, content, None).await.map(drop)
                }
                // Also what is said to who came second.
                Err(Fault::Denied(reason)) => match self.size_of(&path).await {
                    Ok(_) => Err(Fault::Exists),
                    Err(_) => Err(Fault::Denied(reason)),
                },
                Err(fault) => Err(fault),
            }
        })
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.run(&file, async {
            match self.ask(Method::DELETE, &path(file), &[], None).await {
                Err(Fault::Missing) => Ok(()),
                other => other.map(drop),
            }
        })
    }
}
