//! Reads the cluster once: for a plan without a daemon, and for the cluster file that such a plan can read.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Api;
use kube::api::ListParams;
use kube::core::ObjectList;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::api::Handles;
use super::error::{Failure, is_object_missing, status_of};
use super::item::{Extent, Item, MetadataOnly, Volumes, Whole};
use crate::model::observed::{Observed, Part, Watched};

/// Objects of a page: as client-go has it; some megabytes with the largest objects of ours.
pub(super) const PAGE_SIZE: u32 = 500;
/// A page comes within a second; an API server that needs this long is better left alone.
const PAGE_TIME_MAX: Duration = Duration::from_secs(30);
/// A listing that takes longer than the server keeps its snapshots (5 minutes) starts again; this often.
const LISTINGS_MAX: u32 = 3;

/// Why a collection was not listed to its end.
enum Gap {
    NotServed,
    Denied(Failure),
}

/// What a listing brings, one at a time: parsed objects take many times the memory of what is kept of them.
enum Listed {
    Object(Value),
    /// The listing starts again: what it brought so far does not count.
    Again,
}

/// Everything that planning reads. Collections that are not served or not readable are left out of `complete`.
pub async fn observe(handles: &Handles) -> Result<Observed, Failure> {
    let mut observed = Observed::default();
    for watched in Watched::all() {
        let listed = list(handles, watched, |listed| {
            match listed {
                Listed::Object(object) => observed.upsert(&object),
                Listed::Again => observed.retain(watched, &BTreeSet::new()),
            };
        });
        match listed.await? {
            Ok(()) => {
                observed.complete.insert(watched);
            }
            Err(gap) => gap.log(watched),
        }
    }
    Ok(observed)
}

/// The same objects as one `v1 List` per collection, as `kubectl get -o yaml` prints them, without status and without
/// what may hold secrets (of workloads, only which claims they mount). The List of a collection that could not be read has
/// `metadata.continue`, which says that it is not complete.
pub async fn dump(handles: &Handles, managed_fields: bool) -> Result<Vec<Value>, Failure> {
    let mut lists = Vec::new();
    for watched in Watched::all() {
        let mut items = Vec::new();
        let listed = list(handles, watched, |listed| match listed {
            Listed::Object(mut object) => {
                trim_status(&mut object);
                items.push(object);
            }
            Listed::Again => items.clear(),
        });
        let metadata = match listed.await? {
            Ok(()) => json!({}),
            Err(gap) => {
                gap.log(watched);
                items.clear();
                json!({"continue": format!("{}/{} could not be read", watched.api_version(), watched.kind())})
            }
        };
        if !managed_fields {
            for metadata in items.iter_mut().filter_map(|item| item.get_mut("metadata")?.as_object_mut()) {
                metadata.remove("managedFields");
            }
        }
        lists.push(json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}));
    }
    Ok(lists)
}

/// All of the status that planning reads: when a Repository was last written.
fn trim_status(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(time) = fields.remove("status").and_then(|status| status.get("lastBackupTime").cloned()) {
        fields.insert("status".to_owned(), json!({"lastBackupTime": time}));
    }
}

async fn list(handles: &Handles, watched: Watched, each: impl FnMut(Listed)) -> Result<Result<(), Gap>, Failure> {
    match watched.part() {
        Part::Metadata => pages(&handles.collection::<MetadataOnly>(watched), watched, each).await,
        Part::Volumes => pages(&handles.collection::<Volumes>(watched), watched, each).await,
        Part::Whole => pages(&handles.collection::<Whole>(watched), watched, each).await,
    }
}

async fn pages<P: Extent>(
    api: &Api<Item<P>>,
    watched: Watched,
    mut each: impl FnMut(Listed),
) -> Result<Result<(), Gap>, Failure> {
    let what = format!("list {}", watched.resource());
    let mut listings = 1;
    let mut params = ListParams::default().limit(PAGE_SIZE);
    loop {
        let answer = timeout(PAGE_TIME_MAX, api.list(&params))
            .await
            .map_err(|_| Failure::Transient(format!("{what}: no answer within {} s", PAGE_TIME_MAX.as_secs())))?;
        match answer {
            Ok(ObjectList { items, metadata, types: _ }) => {
                for item in items {
                    each(Listed::Object(item.into_value(watched.api_version(), watched.kind())));
                }
                match metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params.continue_token = Some(token),
                    None => return Ok(Ok(())),
                }
            }
            Err(error) => match status_of(&error) {
                Some(status) if status.code == 410 && listings < LISTINGS_MAX => {
                    listings += 1;
                    each(Listed::Again);
                    params.continue_token = None;
                }
                Some(status) if status.code == 404 && !is_object_missing(status) => return Ok(Err(Gap::NotServed)),
                Some(status) if status.code == 403 => return Ok(Err(Gap::Denied(Failure::of_read(&error, &what)))),
                Some(_) | None => return Err(Failure::of_read(&error, &what)),
            },
        }
    }
}

impl Gap {
    fn log(&self, watched: Watched) {
        match self {
            Gap::NotServed => tracing::info!(kind = watched.kind(), "not served by the cluster"),
            Gap::Denied(failure) => tracing::warn!(kind = watched.kind(), "{failure}"),
        }
    }
}
