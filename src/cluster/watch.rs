//! Follows every collection that planning reads, in one shared store, and says when something changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Error as WatchError, Event, watcher};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::api::Handles;
use super::error::status_of;
use super::item::{Item, MetadataOnly, Part, Whole};
use super::observe::PAGE_SIZE;
use crate::model::observed::{Observed, Watched};

/// How often a kind that is not served is asked for again. A CRD that comes later is rare, and each try is a request.
const REFUSED_RETRY: Duration = Duration::from_secs(15);

/// The cluster as the watches have it.
pub struct Watches {
    store: Arc<Store>,
    answered: watch::Receiver<usize>,
}

struct Store {
    observed: Arc<RwLock<Observed>>,
    /// Counts what planning could see as a change.
    changes: watch::Sender<u64>,
    /// Collections that have been listed, or refused, at least once.
    answered: watch::Sender<usize>,
}

impl Watches {
    /// Starts one task per collection. They end only with `tasks`, or by a bug.
    pub fn start(handles: &Handles, tasks: &mut JoinSet<anyhow::Result<()>>) -> Self {
        let (answered, receiver) = watch::channel(0);
        let store = Arc::new(Store {
            observed: Arc::new(RwLock::new(Observed::default())),
            changes: watch::Sender::new(0),
            answered,
        });
        for watched in Watched::all() {
            let store = Arc::clone(&store);
            if watched.metadata_only() {
                tasks.spawn(follow(handles.collection::<MetadataOnly>(watched), watched, store));
            } else {
                tasks.spawn(follow(handles.collection::<Whole>(watched), watched, store));
            }
        }
        Self { store, answered: receiver }
    }

    /// Waits until every collection was listed or refused once. Takes as long as the API server is away.
    pub async fn listed(&self) {
        let mut answered = self.answered.clone();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = answered.wait_for(|count| *count == Watched::all().count()).await;
    }

    /// Changes whenever planning could see a difference.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes.subscribe()
    }

    /// What is known now, without a copy. Updates wait while the guard is held: hold it for a plan and no longer.
    pub async fn observed(&self) -> OwnedRwLockReadGuard<Observed> {
        Arc::clone(&self.store.observed).read_owned().await
    }

    /// Puts the recent deletes beside what the watches bring; says nothing to those who wait for changes.
    pub async fn set_recent_deletes(&self, times: Vec<Timestamp>) {
        self.store.observed.write().await.recent_deletes = times;
    }
}

impl Store {
    async fn change(&self, change: impl FnOnce(&mut Observed) -> bool) {
        let changed = change(&mut *self.observed.write().await);
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    async fn complete(&self, watched: Watched) {
        self.change(|observed| observed.complete.insert(watched)).await;
    }

    /// The last known objects stay: a server that starts may deny a kind for a moment, and what is not complete is
    /// never a reason to delete.
    async fn incomplete(&self, watched: Watched) {
        self.change(|observed| observed.complete.remove(&watched)).await;
    }
}

/// One collection, for ever.
async fn follow<P: Part>(api: Api<Item<P>>, watched: Watched, store: Arc<Store>) -> anyhow::Result<()> {
    let mut progress = Progress { watched, store, listed: BTreeSet::new(), answered: false, failing: false };
    loop {
        let config = watcher::Config::default().page_size(PAGE_SIZE);
        let mut events = watcher(api.clone(), config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => progress.take(event).await,
                Err(error) if is_refused(&error) => {
                    progress.refused(&error).await;
                    break;
                }
                Err(error) => progress.failed(&error),
            }
        }
        // A new watcher lists again: only a complete listing may make the collection complete again.
        sleep(REFUSED_RETRY).await;
    }
}

struct Progress {
    watched: Watched,
    store: Arc<Store>,
    /// Namespace and name of what the running listing brought.
    listed: BTreeSet<(String, String)>,
    answered: bool,
    /// Whether a failure was logged since the last success.
    failing: bool,
}

impl Progress {
    async fn take<P: Part>(&mut self, event: Event<Item<P>>) {
        let watched = self.watched;
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(item) => {
                if let Some(key) = item.key() {
                    self.listed.insert(key);
                    self.upsert(item).await;
                }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.store.change(|observed| observed.retain(watched, &listed)).await;
                self.store.complete(watched).await;
                self.answer();
                self.works();
            }
            Event::Apply(item) => {
                self.works();
                self.upsert(item).await;
            }
            Event::Delete(item) => {
                self.works();
                if let Some((namespace, name)) = item.key() {
                    self.store.change(|observed| observed.remove(watched, &namespace, &name)).await;
                }
            }
        }
    }

    async fn upsert<P: Part>(&self, item: Item<P>) {
        let object = item.into_value(self.watched.api_version(), self.watched.kind());
        self.store.change(|observed| observed.upsert(&object)).await;
    }

    async fn refused(&mut self, error: &WatchError) {
        self.failed(error);
        self.store.incomplete(self.watched).await;
        self.answer();
    }

    fn failed(&mut self, error: &WatchError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(kind = self.watched.kind(), "the watch failed and is tried again: {}", reason(error));
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.failing) {
            tracing::info!(kind = self.watched.kind(), "the watch works again");
        }
    }

    fn answer(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.store.answered.send_modify(|count| *count += 1);
        }
    }
}

/// Whether only a new listing helps: the kind is not there for us, or (a 410 at the start, which the watcher itself
/// would try for ever) the place to resume from is gone.
fn is_refused(error: &WatchError) -> bool {
    match code(error) {
        Some(403 | 404) => true,
        Some(410) => matches!(error, WatchError::WatchStartFailed(_)),
        Some(_) | None => false,
    }
}

fn code(error: &WatchError) -> Option<u16> {
    match error {
        WatchError::InitialListFailed(error) | WatchError::WatchStartFailed(error) | WatchError::WatchFailed(error) => {
            status_of(error).map(|status| status.code)
        }
        WatchError::WatchError(status) => Some(status.code),
        WatchError::NoResourceVersion => None,
    }
}

/// The class of the failure only: the text of a transport error may hold an address with credentials.
fn reason(error: &WatchError) -> String {
    match code(error) {
        Some(404) => "the cluster does not serve this kind".to_owned(),
        Some(403) => "not allowed; compare the roles with `holdfast manifests`".to_owned(),
        Some(code) => format!("the API server answered {code}"),
        None => "the API server cannot be reached".to_owned(),
    }
}
