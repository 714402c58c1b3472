//! A repository in a bucket of an object store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use opendal::options::{ListOptions, WriteOptions};
use opendal::{Buffer, BytesRange, ErrorKind, Operator};
use tokio::sync::OnceCell;

use super::answer::{NO_BUCKET, fault, joined};
use super::driver::Driver;
use super::transport::status;
use super::{Fault, FileId, FileKind, FileName, Store, StoreError};

/// Finds out what an operator needs to know, such as the region of a bucket. May fail and be asked again.
pub(super) type Open = Box<dyn Fn() -> BoxFuture<'static, Result<Operator, Fault>> + Send + Sync>;

/// Who sees to it that nothing is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Each write asks for it.
    Asked,
    /// The transport, with all uploads.
    Always,
    /// Only a look before.
    Nobody,
}

pub(super) struct Object {
    location: String,
    driver: Driver,
    open: Open,
    condition: Condition,
    operator: OnceCell<Operator>,
    /// The service refuses conditions, so that only looking before tells whether a file exists.
    unconditional: AtomicBool,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.location)
    }
}

impl Object {
    pub(super) fn new(location: String, driver: Driver, open: Open, condition: Condition) -> Self {
        Self { location, driver, open, condition, operator: OnceCell::new(), unconditional: AtomicBool::new(false) }
    }

    async fn operator(&self) -> Result<&Operator, Fault> {
        self.operator.get_or_try_init(|| (self.open)()).await
    }

    fn run<T>(&self, file: &impl ToString, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        let error = |fault| StoreError { location: self.location.clone(), file: file.to_string(), fault };
        self.driver.run(work).map_err(error)
    }
}

/// Of a file that was not found. A bucket that is not there gives the same answer to many requests, but not to this one.
async fn missing(operator: &Operator) -> Fault {
    let limit = operator.info().capability().list_with_limit.then_some(1);
    let options = ListOptions { limit, ..ListOptions::default() };
    let first = match operator.lister_options("", options).await {
        Ok(mut lister) => lister.next().await.transpose().map(drop),
        Err(error) => Err(error),
    };
    match first {
        Ok(()) => Fault::Missing,
        Err(error) => not_of_a_file(&error),
    }
}

/// Of an answer that speaks of the bucket.
fn not_of_a_file(error: &opendal::Error) -> Fault {
    match fault(error) {
        Fault::Missing => Fault::Broken(NO_BUCKET.to_owned()),
        other => other,
    }
}

async fn told(operator: &Operator, error: &opendal::Error) -> Fault {
    if error.kind() == ErrorKind::NotFound { missing(operator).await } else { fault(error) }
}

async fn size(operator: &Operator, path: &str) -> Result<u64, Fault> {
    match operator.stat(path).await {
        Ok(metadata) => Ok(metadata.content_length()),
        Err(error) => Err(told(operator, &error).await),
    }
}

async fn read(operator: &Operator, path: &str, range: BytesRange) -> Result<Bytes, Fault> {
    let mut got = 0;
    let mut parts = Vec::new();
    let short = |got, wanted: Option<u64>, fault: Fault| match (fault, wanted) {
        // What came before it was cut counts, and a range that the file is too short for is cut as well.
        (Fault::Short { .. } | Fault::Broken(_), Some(wanted)) if got < wanted => Fault::Short { wanted, got },
        (fault, _) => fault,
    };
    let wanted = range.size();
    let reader = operator.reader(path).await.map_err(|error| fault(&error))?;
    let mut stream = reader.into_stream(range).await.map_err(|error| fault(&error))?;
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => {
                got += piece.len() as u64;
                parts.extend(piece);
            }
            Err(error) if got == 0 && status(&error) == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                let size = size(operator, path).await?;
                let got = size.saturating_sub(range.offset());
                return Err(Fault::Short { wanted: wanted.unwrap_or_default(), got });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(operator).await),
            Err(error) if got == 0 && status(&error).is_some() => return Err(fault(&error)),
            Err(error) => return Err(short(got, wanted, fault(&error))),
        }
    }
    match wanted {
        Some(wanted) if got < wanted => Err(Fault::Short { wanted, got }),
        Some(_) | None => Ok(joined(parts)),
    }
}

impl Store for Object {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.run(&kind.folder(), async {
            let operator = self.operator().await?;
            let options = ListOptions { recursive: true, ..ListOptions::default() };
            let folder = format!("{}/", kind.folder());
            let mut lister = operator.lister_options(&folder, options).await.map_err(|error| not_of_a_file(&error))?;
            // A list that is put together while files come and go may name one twice.
            let mut files = BTreeMap::new();
            while let Some(entry) = lister.next().await {
                let entry = entry.map_err(|error| not_of_a_file(&error))?;
                let id = entry.metadata().mode().is_file().then(|| entry.name().parse().ok()).flatten();
                if let Some(id) = id {
                    files.insert(id, entry.metadata().content_length());
                }
            }
            Ok(files.into_iter().collect())
        })
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.run(&file, async { size(self.operator().await?, &file.to_string()).await })
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.run(&file, async { read(self.operator().await?, &file.to_string(), BytesRange::from(..)).await })
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let range = BytesRange::new(offset, Some(length));
        self.run(&file, async { read(self.operator().await?, &file.to_string(), range).await })
    }

    /// Conditional where the service has it. Elsewhere, and where a service takes the condition and does not look at it,
    /// another one may write between our look and our write. That matters for the configuration alone, which `init`
    /// reads back: all other names are sums of their content.
    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.run(&file, async {
            let operator = self.operator().await?;
            let path = file.to_string();
            loop {
                let refused = self.unconditional.load(Ordering::Relaxed);
                let (if_not_exists, look) = match self.condition {
                    Condition::Asked => (!refused, refused),
                    Condition::Always => (false, false),
                    Condition::Nobody => (false, true),
                };
                if file == FileName::Config || look {
                    match operator.stat(&path).await {
                        Ok(_) => return Err(Fault::Exists),
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => return Err(fault(&error)),
                    }
                }
                let content_type = Some("application/octet-stream".to_owned());
                let options = WriteOptions { if_not_exists, content_type, ..WriteOptions::default() };
                match operator.write_options(&path, Buffer::from(content.to_vec()), options).await {
                    Ok(_) => return Ok(()),
                    Err(error) if if_not_exists && status(&error) == Some(StatusCode::NOT_IMPLEMENTED) => {
                        self.unconditional.store(true, Ordering::Relaxed);
                    }
                    Err(error) => return Err(not_of_a_file(&error)),
                }
            }
        })
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.run(&file, async {
            let operator = self.operator().await?;
            match operator.delete(&file.to_string()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(fault(&error)),
                Ok(()) | Err(_) => Ok(()),
            }
        })
    }
}
