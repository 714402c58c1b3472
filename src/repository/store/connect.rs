//! From an address and what gives access to it, the store: with retries, limits and an end on demand.

use std::future::ready;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::access::{self, Entry};
use super::driver::Driver;
use super::http::{Http, HttpError, Patience, Trust};
use super::limited::Limited;
use super::object::{Condition, Object, Open};
use super::pace::Pace;
use super::rest::Rest;
use super::retried::Retried;
use super::{Folder, Store, s3::Lookup};
use crate::repository::address::Address;
use crate::repository::cancel::Cancel;

/// As in restic.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(5).unwrap();

/// How a repository is reached.
pub struct Access<'a> {
    /// The variables that restic reads, and the keys of Stash's Secrets.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// `CA_CERT_DATA` of the variables counts when this is [`Trust::System`].
    pub trust: Trust,
    pub lookup: Lookup,
    /// Requests at a time.
    pub connections: Option<NonZeroUsize>,
    /// Bytes per second, of all requests together. A folder has no limit.
    pub upload: Option<NonZeroU64>,
    pub download: Option<NonZeroU64>,
    pub patience: Patience,
    /// While an outage lasts no longer than this, requests are tried again.
    pub outage: Duration,
    pub cancel: Cancel,
}

impl<'a> Access<'a> {
    /// With nothing but variables.
    pub fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variable,
            trust: Trust::System,
            lookup: Lookup::Auto,
            connections: None,
            upload: None,
            download: None,
            patience: Patience::default(),
            outage: super::retried::PATIENCE,
            cancel: Cancel::default(),
        }
    }
}

/// Why there is no store. The service itself was not asked yet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    #[error("{location} needs {}: set them in the environment or in the storage Secret", .names.join(", "))]
    Missing { location: String, names: Vec<&'static str> },
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("no threads for requests: {0}")]
    Threads(String),
}

/// Asks nothing of the service yet.
pub fn connect(address: &Address, access: &Access) -> Result<Arc<dyn Store>, ConnectError> {
    let bare: Arc<dyn Store> = match address {
        Address::Local(path) => Arc::new(Folder::new(path.clone())),
        remote => remote_store(remote, access)?,
    };
    let most = access.connections.unwrap_or(CONNECTIONS);
    let limited = Limited::new(bare, most, access.cancel.clone());
    Ok(Arc::new(Retried::new(Arc::new(limited), access.outage, access.cancel.clone())))
}

fn remote_store(address: &Address, access: &Access) -> Result<Arc<dyn Store>, ConnectError> {
    let location = address.to_string();
    let variable = |name: &str| (access.variable)(name).filter(|value| !value.is_empty());
    let entry = access::entry(address, &variable, access.lookup)
        .map_err(|names| ConnectError::Missing { location: location.clone(), names })?;
    let trust = match (&access.trust, variable("CA_CERT_DATA")) {
        (Trust::System, Some(pem)) => Trust::Only(pem.into_bytes()),
        (trust, _) => trust.clone(),
    };
    let pace = |limit: Option<NonZeroU64>| limit.map(|limit| Arc::new(Pace::new(limit)));
    let http = Http::new(&trust, pace(access.upload), pace(access.download), access.patience)?;
    let driver = Driver::new(access.cancel.clone()).map_err(|error| ConnectError::Threads(error.to_string()))?;
    let (open, condition): (Open, Condition) = match entry {
        Entry::Folder(path) => return Ok(Arc::new(Folder::new(path))),
        Entry::Rest { url, login } => return Ok(Arc::new(Rest::new(location, url, login.as_ref(), http, driver))),
        Entry::S3(bucket) => (Box::new(move || Box::pin(bucket.clone().open(http.clone()))), Condition::Asked),
        Entry::Google(bucket) => {
            (Box::new(move || Box::pin(ready(bucket.clone().open(http.clone())))), Condition::Always)
        }
        Entry::Azure(bucket) => {
            (Box::new(move || Box::pin(ready(bucket.clone().open(http.clone())))), Condition::Asked)
        }
        Entry::Backblaze(bucket) => (Box::new(move || Box::pin(bucket.clone().open(http.clone()))), Condition::Nobody),
        Entry::Swift(container) => {
            (Box::new(move || Box::pin(container.clone().open(http.clone()))), Condition::Always)
        }
    };
    Ok(Arc::new(Object::new(location, driver, open, condition)))
}
