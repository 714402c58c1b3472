//! The daemon: carries out the effects of the control loop and hands their results back, nothing else.

mod engine;
mod hints;
mod http;
mod pass;
mod push;
mod record;
mod source;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock;
use crate::cluster::api::Handles;
use crate::cluster::lease::Leader;
use crate::cluster::watch::{FAILING_MAX, Watches};
pub use crate::control::engine::world::Settings as EngineSettings;
use crate::control::gitops::{self, Effect, Event, Gitops};
use crate::git::SourceSettings;
use crate::metrics::Metrics;
use crate::plan;

pub use status::StatusSettings;

/// Events that wait for the loop; each comes from a lane that waits for its effect, or is coalesced before it gets here.
const EVENTS_MAX: usize = 64;
/// How long the effects under way may take to end after a signal.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(20);
/// The loop looks at least this often, whatever it waits for: a clock that jumps must not stop it.
const SLEEP_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Everything that the command line decides.
#[derive(Debug)]
pub struct Settings {
    pub cluster_name: String,
    pub source: SourceSettings,
    /// The URL of the source as files and messages show it, without user and password.
    pub source_url: String,
    pub source_paths: Vec<String>,
    /// `None`: nothing is written to Git.
    pub status: Option<StatusSettings>,
    pub cache: PathBuf,
    pub interval: SignedDuration,
    pub full_pass: SignedDuration,
    pub planning: plan::Settings,
    /// None where an installed Stash runs what is to be run.
    pub engine: Option<EngineSettings>,
    pub time_zone: String,
    pub listen: String,
    /// Name of the pod or host, for the Lease and the commits.
    pub instance: String,
}

/// What all lanes share.
struct Shared {
    settings: Settings,
    handles: Handles,
    watches: Watches,
    leader: Leader,
    metrics: Metrics,
    source: source::Lane,
    pass: pass::Lane,
    record: record::Lane,
}

/// Runs until a signal ends it, or until a task that must never end does.
pub async fn run(settings: Settings, handles: Handles) -> anyhow::Result<()> {
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let watches = Watches::start(&handles, FAILING_MAX, &mut tasks);
    let leader = Leader::start(&handles, &settings.instance, clock::now, &mut tasks);
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    hints::start(&settings, events.clone(), &mut tasks)?;
    let writes_status = settings.status.is_some();
    let loop_settings = gitops::Settings {
        interval: settings.interval,
        full_pass: settings.full_pass,
        identity: leader.identity().to_owned(),
    };
    let shared = Arc::new(Shared {
        source: source::Lane::new(&settings),
        pass: pass::Lane::new(&handles, leader.identity()),
        record: record::Lane::default(),
        metrics: Metrics::default(),
        settings,
        handles,
        watches,
        leader,
    });
    say_how_status_is_written(&shared)?;
    http::start(&shared, &mut tasks).await?;
    follow(&shared, &events, &mut tasks);
    engine::start(&shared, shared.settings.engine.clone(), events.clone(), &mut tasks);
    let state = Gitops::new(loop_settings, writes_status, clock::now());
    let ended = drive(&shared, state, events, inbox, &mut tasks).await;
    shared.leader.release().await;
    ended
}

fn say_how_status_is_written(shared: &Shared) -> anyhow::Result<()> {
    shared.metrics.read_only(shared.settings.status.is_none());
    match &shared.settings.status {
        None => tracing::info!("read-only: nothing is written to Git"),
        Some(StatusSettings { repository, branch, signing_key, .. }) => {
            let signed_by = signing_key.as_ref().map(crate::git::SigningKey::fingerprint).transpose()?;
            tracing::info!(
                repository = %repository.url,
                branch,
                signed_by = signed_by.as_deref().unwrap_or("nobody"),
                "the status goes to Git"
            );
        }
    }
    Ok(())
}

/// Turns what the watches and the election say into events.
fn follow(shared: &Arc<Shared>, events: &mpsc::Sender<Event>, tasks: &mut JoinSet<anyhow::Result<()>>) {
    let (listed, to_loop) = (Arc::clone(shared), events.clone());
    tasks.spawn(async move {
        listed.watches.listed().await;
        to_loop.send(Event::ClusterListed).await.ok();
        let mut changes = listed.watches.changes();
        while changes.changed().await.is_ok() {
            to_loop.send(Event::ClusterChanged).await.ok();
            // The loop coalesces too; this keeps a storm of watch events from filling its inbox.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the watches ended")
    });
    let (shared, to_loop) = (Arc::clone(shared), events.clone());
    tasks.spawn(async move {
        let mut role = shared.leader.subscribe();
        loop {
            let leader = *role.borrow_and_update();
            tracing::info!(
                leader,
                identity = shared.leader.identity(),
                "{}",
                if leader { "writes from now on" } else { "follows" }
            );
            shared.metrics.leader(leader);
            if leader {
                shared.pass.begin(&shared).await;
                shared.record.forget();
            }
            to_loop.send(Event::Leader(leader)).await.ok();
            if role.changed().await.is_err() {
                anyhow::bail!("the election ended");
            }
        }
    });
}

/// The loop: events in, effects out, until a signal.
async fn drive(
    shared: &Arc<Shared>,
    mut state: Gitops,
    events: mpsc::Sender<Event>,
    mut inbox: mpsc::Receiver<Event>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut effects: JoinSet<()> = JoinSet::new();
    let mut signal = std::pin::pin!(ended());
    loop {
        let now = clock::now();
        for effect in state.effects(now) {
            let (shared, events) = (Arc::clone(shared), events.clone());
            effects.spawn(async move {
                let event = carry_out(&shared, effect).await;
                events.send(event).await.ok();
            });
        }
        let sleep =
            state.wake_at().map_or(SLEEP_MAX, |at| at.duration_since(now)).clamp(SignedDuration::ZERO, SLEEP_MAX);
        tokio::select! {
            name = &mut signal => {
                tracing::info!("{name}: ending");
                state.handle(Event::Stopping, clock::now());
                break;
            }
            Some(event) = inbox.recv() => {
                shared.metrics_of(&event);
                state.handle(event, clock::now());
                shared.metrics.source(state.source_failures(), None);
                shared.metrics.status(state.record_failures(), None);
            }
            Some(ended) = tasks.join_next() => {
                ended.context("a task of the daemon panicked")??;
                anyhow::bail!("a task of the daemon ended, so the daemon ends and is started again");
            }
            Some(ended) = effects.join_next() => ended.context("an effect panicked")?,
            () = tokio::time::sleep(sleep.unsigned_abs()) => {}
        }
    }
    let finish = async { while effects.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIME_MAX, finish).await.is_err() {
        tracing::warn!("some work was still under way at the end; the next start observes what became of it");
    }
    Ok(())
}

async fn carry_out(shared: &Arc<Shared>, effect: Effect) -> Event {
    match effect {
        Effect::Probe => Event::Probed(shared.source.probe(shared).await),
        Effect::Read => Event::Read(shared.source.read(shared).await),
        Effect::Pass { withheld } => Event::Passed(pass::run(shared, &withheld).await),
        Effect::Record => Event::Recorded(record::run(shared).await),
    }
}

impl Shared {
    fn metrics_of(&self, event: &Event) {
        match event {
            Event::Read(Ok(_)) | Event::Probed(Ok(_)) => self.metrics.source(0, Some(clock::now())),
            Event::Recorded(Ok(())) => self.metrics.status(0, Some(clock::now())),
            Event::Leader(_)
            | Event::SourceHinted
            | Event::Probed(Err(_))
            | Event::Read(Err(_))
            | Event::ClusterChanged
            | Event::ClusterListed
            | Event::Passed(_)
            | Event::RunsChanged { .. }
            | Event::Recorded(Err(_))
            | Event::Stopping => {}
        }
    }
}

/// Waits for SIGTERM or SIGINT and names it.
async fn ended() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
