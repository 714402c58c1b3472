//! Follows every collection that planning reads, in one shared store, and says when something changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::Api;
use kube::runtime::watcher::{self, Error as WatchError, Event, watcher};
use serde_json::Value;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::api::Handles;
use super::error::status_of;
use super::item::{Extent, Item, MetadataOnly, Volumes, Whole};
use super::observe::PAGE_SIZE;
use super::patience::Patience;
use crate::model::delete_log::RecentDelete;
use crate::model::facts::{FactKey, FactKind, Facts};
use crate::model::keys::{MANAGED_BY, MANAGED_BY_US, RUN};
use crate::model::observed::{Observed, Part, Watched};

/// How often a kind that is not served is asked for again. A CRD that comes later is rare, and each try is a request.
const REFUSED_RETRY: Duration = Duration::from_secs(15);
/// For so long a collection may fail before what is known of it is no reason to delete any more. An API server that is
/// started anew is back sooner, and a delete waits longer for its cause to come back.
pub const FAILING_MAX: Duration = Duration::from_mins(1);

/// A collection that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    /// What planning reads, and of some kinds the engine too.
    Plan(Watched),
    /// What only runs are about.
    Run(FactKind),
}

impl Followed {
    fn all() -> impl Iterator<Item = Self> {
        let runs = FactKind::ALL.into_iter().filter(|kind| Watched::of(kind.api_version(), kind.as_str()).is_none());
        Watched::all().map(Followed::Plan).chain(runs.map(Followed::Run))
    }

    fn api_version(self) -> &'static str {
        match self {
            Followed::Plan(watched) => watched.api_version(),
            Followed::Run(kind) => kind.api_version(),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Followed::Plan(watched) => watched.kind(),
            Followed::Run(kind) => kind.as_str(),
        }
    }

    fn fact(self) -> Option<FactKind> {
        FactKind::of(self.api_version(), self.kind())
    }

    fn watched(self) -> Option<Watched> {
        match self {
            Followed::Plan(watched) => Some(watched),
            Followed::Run(_) => None,
        }
    }

    fn config(self) -> watcher::Config {
        let config = watcher::Config::default().page_size(PAGE_SIZE);
        match self {
            Followed::Run(kind) if kind.is_ours_only() => config.labels(&format!("{MANAGED_BY}={MANAGED_BY_US},{RUN}")),
            Followed::Run(_) | Followed::Plan(_) => config,
        }
    }
}

/// The cluster as the watches have it.
pub struct Watches {
    store: Arc<Store>,
    answered: watch::Receiver<usize>,
}

struct Store {
    observed: Arc<RwLock<Observed>>,
    facts: Arc<RwLock<Facts>>,
    /// What runs are about and has changed since somebody took the list; no object is in it twice.
    touched: Mutex<BTreeSet<FactKey>>,
    /// Counts the changes of that list.
    fact_changes: watch::Sender<u64>,
    /// Counts what planning could see as a change.
    changes: watch::Sender<u64>,
    /// Collections that have been listed, or cannot be listed, at least once.
    answered: watch::Sender<usize>,
}

impl Watches {
    /// Starts one task per collection. They end only with `tasks`, or by a bug. `failing_max` is [`FAILING_MAX`] for
    /// everybody who has the time.
    pub fn start(handles: &Handles, failing_max: Duration, tasks: &mut JoinSet<anyhow::Result<()>>) -> Self {
        let (answered, receiver) = watch::channel(0);
        let store = Arc::new(Store {
            observed: Arc::new(RwLock::new(Observed::default())),
            facts: Arc::new(RwLock::new(Facts::default())),
            touched: Mutex::new(BTreeSet::new()),
            fact_changes: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            answered,
        });
        for followed in Followed::all() {
            let progress = Progress::new(followed, Arc::clone(&store), failing_max);
            match followed {
                Followed::Run(kind) => tasks.spawn(follow(handles.facts(kind), progress)),
                Followed::Plan(watched) => match watched.part() {
                    Part::Metadata => tasks.spawn(follow(handles.collection::<MetadataOnly>(watched), progress)),
                    Part::Volumes => tasks.spawn(follow(handles.collection::<Volumes>(watched), progress)),
                    Part::Whole => tasks.spawn(follow(handles.collection::<Whole>(watched), progress)),
                },
            };
        }
        Self { store, answered: receiver }
    }

    /// Waits until every collection was listed once, or was refused, or has failed for too long.
    pub async fn listed(&self) {
        let mut answered = self.answered.clone();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = answered.wait_for(|count| *count == Followed::all().count()).await;
    }

    /// Changes whenever planning could see a difference.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes.subscribe()
    }

    /// What is known now, without a copy. Updates wait while the guard is held: hold it for a plan and no longer.
    pub async fn observed(&self) -> OwnedRwLockReadGuard<Observed> {
        Arc::clone(&self.store.observed).read_owned().await
    }

    /// Changes whenever something changes that runs are about.
    pub fn fact_changes(&self) -> watch::Receiver<u64> {
        self.store.fact_changes.subscribe()
    }

    /// What has changed since the last time this was asked.
    pub fn touched(&self) -> BTreeSet<FactKey> {
        std::mem::take(&mut *self.store.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What runs are about, without a copy. Updates wait while the guard is held.
    pub async fn facts(&self) -> OwnedRwLockReadGuard<Facts> {
        Arc::clone(&self.store.facts).read_owned().await
    }

    /// Takes in the answer to a write, which the watch brings later.
    pub async fn written(&self, object: &Value) {
        self.store.take_fact(object).await;
    }

    /// Puts the recent deletes beside what the watches bring; says nothing to those who wait for changes.
    pub async fn set_recent_deletes(&self, deletes: Vec<RecentDelete>) {
        self.store.observed.write().await.recent_deletes = deletes;
    }
}

impl Store {
    async fn change(&self, change: impl FnOnce(&mut Observed) -> bool) {
        let changed = change(&mut *self.observed.write().await);
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    async fn complete(&self, followed: Followed) {
        if let Some(watched) = followed.watched() {
            self.change(|observed| observed.complete.insert(watched)).await;
        }
        self.fact_is_complete(followed, true).await;
    }

    async fn fact_is_complete(&self, followed: Followed, complete: bool) {
        if let Some(kind) = followed.fact()
            && self.facts.write().await.set_complete(kind, complete)
        {
            self.fact_changes.send_modify(|count| *count += 1);
        }
    }

    async fn take_fact(&self, object: &Value) {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        if let Some(key) = FactKey::of(&object)
            && self.facts.write().await.upsert(&object)
        {
            self.touch([key]);
        }
    }

    async fn forget_fact(&self, key: FactKey) {
        if self.facts.write().await.remove(&key) {
            self.touch([key]);
        }
    }

    fn touch(&self, keys: impl IntoIterator<Item = FactKey>) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
        self.fact_changes.send_modify(|count| *count += 1);
    }

    /// The last known objects stay: a server that starts may deny a kind for a moment, and what is not complete is
    /// never a reason to delete.
    async fn incomplete(&self, followed: Followed) {
        if let Some(watched) = followed.watched() {
            self.change(|observed| observed.complete.remove(&watched)).await;
        }
        self.fact_is_complete(followed, false).await;
    }
}

/// One collection, for ever.
async fn follow<P: Extent>(api: Api<Item<P>>, mut progress: Progress) -> anyhow::Result<()> {
    loop {
        let pause = progress.follow(watcher(api.clone(), progress.followed.config()).boxed()).await;
        // A new watcher lists again: only a complete listing may make the collection complete again.
        sleep(pause).await;
    }
}

#[expect(clippy::struct_excessive_bools, reason = "facts that change apart from each other")]
struct Progress {
    followed: Followed,
    store: Arc<Store>,
    patience: Patience,
    /// Whether a listing is under way; what it brought is in `listed`.
    listing: bool,
    /// Namespace and name of what the running listing brought.
    listed: BTreeSet<(String, String)>,
    answered: bool,
    /// Whether only a new listing makes the collection complete again.
    outdated: bool,
    /// Whether a failure was logged since the last success.
    failing: bool,
}

impl Progress {
    fn new(followed: Followed, store: Arc<Store>, failing_max: Duration) -> Self {
        Self {
            followed,
            store,
            patience: Patience::new(failing_max),
            listing: false,
            listed: BTreeSet::new(),
            answered: false,
            outdated: false,
            failing: false,
        }
    }

    /// Takes in what a watcher brings until only a new one helps; gives the pause before that.
    async fn follow<P: Extent>(&mut self, mut events: impl Stream<Item = Brought<P>> + Unpin) -> Duration {
        loop {
            let began = Instant::now();
            let error = match self.next(&mut events).await {
                Some(Ok(event)) => {
                    self.take(event).await;
                    continue;
                }
                Some(Err(error)) => error,
                None => return REFUSED_RETRY,
            };
            self.failed(&error);
            if is_refused(&error) {
                self.outdated().await;
                return REFUSED_RETRY;
            }
            let now = Instant::now();
            let pause = self.patience.failed(is_within(&error), began, now);
            if self.patience.is_over(now) {
                self.outdated().await;
                return pause;
            }
            sleep(pause).await;
        }
    }

    /// A watch is quiet for as long as nothing happens, but a listing that brings nothing keeps everybody waiting.
    async fn next<P: Extent>(&mut self, events: &mut (impl Stream<Item = Brought<P>> + Unpin)) -> Option<Brought<P>> {
        if let Some(end) = self.patience.end().filter(|_| self.listing && !self.outdated) {
            if let Ok(event) = timeout_at(end, events.next()).await {
                return event;
            }
            self.outdated().await;
        }
        events.next().await
    }

    async fn take<P: Extent>(&mut self, event: Event<Item<P>>) {
        match event {
            Event::Init => {
                self.listing = true;
                self.listed.clear();
                self.patience.began(Instant::now());
            }
            Event::InitApply(item) => {
                if let Some(key) = item.key() {
                    self.listed.insert(key);
                    self.upsert(item).await;
                }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.retain(&listed).await;
                self.store.complete(self.followed).await;
                (self.listing, self.outdated) = (false, false);
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
                    self.remove(&namespace, &name).await;
                }
            }
        }
    }

    async fn upsert<P: Extent>(&self, item: Item<P>) {
        let object = item.into_value(self.followed.api_version(), self.followed.kind());
        if self.followed.fact().is_some() {
            self.store.take_fact(&object).await;
        }
        if self.followed.watched().is_some() {
            self.store.change(|observed| observed.upsert(&object)).await;
        }
    }

    async fn remove(&self, namespace: &str, name: &str) {
        if let Some(kind) = self.followed.fact() {
            self.store.forget_fact(FactKey::new(kind, namespace, name)).await;
        }
        if let Some(watched) = self.followed.watched() {
            self.store.change(|observed| observed.remove(watched, namespace, name)).await;
        }
    }

    /// What a fresh list did not bring is gone.
    async fn retain(&self, listed: &BTreeSet<(String, String)>) {
        if let Some(kind) = self.followed.fact() {
            let gone = self.store.facts.write().await.retain(kind, listed);
            self.store.touch(gone);
        }
        if let Some(watched) = self.followed.watched() {
            self.store.change(|observed| observed.retain(watched, listed)).await;
        }
    }

    /// Nothing is deleted any more for want of what is known of the collection, and nobody waits for it.
    async fn outdated(&mut self) {
        if !std::mem::replace(&mut self.outdated, true) {
            tracing::warn!(kind = self.followed.kind(), "not listed: nothing is deleted for want of this kind");
            self.store.incomplete(self.followed).await;
        }
        self.answer();
    }

    fn failed(&mut self, error: &WatchError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(kind = self.followed.kind(), "the watch failed and is tried again: {}", reason(error));
        }
    }

    fn works(&mut self) {
        self.patience.works();
        if std::mem::take(&mut self.failing) {
            tracing::info!(kind = self.followed.kind(), "the watch works again");
        }
    }

    fn answer(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.store.answered.send_modify(|count| *count += 1);
        }
    }
}

type Brought<P> = Result<Event<Item<P>>, WatchError>;

/// Whether there was a watch that then failed.
fn is_within(error: &WatchError) -> bool {
    match error {
        WatchError::WatchError(_) | WatchError::WatchFailed(_) => true,
        WatchError::InitialListFailed(_) | WatchError::WatchStartFailed(_) | WatchError::NoResourceVersion => false,
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
