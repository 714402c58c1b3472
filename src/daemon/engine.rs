//! Runs: brings what changed to the engine, answers its questions, carries out what it wants, and says when there is something to
//! report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Shared;
use crate::clock;
use crate::cluster::{deeds, looks};
use crate::control::engine::look::{Look, Seen};
use crate::control::engine::world::Settings;
use crate::control::engine::{Engine, Pass, is_final};
use crate::control::gitops::Event;
use crate::model::facts::{FactKey, FactKind};

/// Changes within this time make one pass.
const COALESCE: Duration = Duration::from_millis(30);
/// The loop looks at least this often, whatever it waits for: a clock that jumps must not stop it.
const SLEEP_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Changes of targets and namespaces touch every configuration: so often at most.
const TARGETS_EVERY: SignedDuration = SignedDuration::from_secs(2);
const LOOKS_AT_ONCE: usize = 8;

pub(super) fn start(
    shared: &Arc<Shared>,
    settings: Option<Settings>,
    events: mpsc::Sender<Event>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) {
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        shared.watches.listed().await;
        let engine = settings.map(|settings| Engine::new(settings, clock::now()));
        Lane { shared, engine, events, phases: BTreeMap::new(), targets_at: None }.run().await
    });
}

struct Lane {
    shared: Arc<Shared>,
    /// None where an installed Stash runs what is to be run.
    engine: Option<Engine>,
    events: mpsc::Sender<Event>,
    /// Of what is reported, as it was last seen.
    phases: BTreeMap<FactKey, String>,
    /// When changed targets are looked at.
    targets_at: Option<Timestamp>,
}

impl Lane {
    async fn run(mut self) -> anyhow::Result<()> {
        let mut facts = self.shared.watches.fact_changes();
        let mut targets = self.shared.watches.changes();
        let mut role = self.shared.leader.subscribe();
        let mut wake_at = None;
        loop {
            let now = clock::now();
            let wakes = [wake_at, self.targets_at].into_iter().flatten().min();
            let sleep = wakes.map_or(SLEEP_MAX, |at: Timestamp| at.duration_since(now));
            let sleep = sleep.clamp(SignedDuration::ZERO, SLEEP_MAX).unsigned_abs();
            tokio::select! {
                changed = facts.changed() => {
                    changed?;
                    tokio::time::sleep(COALESCE).await;
                    facts.borrow_and_update();
                }
                changed = targets.changed() => {
                    changed?;
                    targets.borrow_and_update();
                    self.targets_at.get_or_insert(now.saturating_add(TARGETS_EVERY).unwrap_or(now));
                    continue;
                }
                changed = role.changed() => {
                    changed?;
                    if let Some(engine) = &mut self.engine {
                        engine.everything_changed(clock::now());
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
            self.take_in().await;
            wake_at = self.work().await;
        }
    }

    /// What has changed since the last time, for the engine and for the report.
    async fn take_in(&mut self) {
        let now = clock::now();
        if self.targets_at.is_some_and(|at| at <= now) {
            self.targets_at = None;
            if let Some(engine) = &mut self.engine {
                engine.everything_changed(now);
            }
        }
        let touched = self.shared.watches.touched();
        let facts = self.shared.watches.facts().await;
        let (mut changed, mut urgent) = (false, false);
        for key in &touched {
            if let Some(engine) = &mut self.engine {
                engine.changed(&facts, key);
            }
            let reported = matches!(
                key.kind,
                FactKind::BackupSession
                    | FactKind::RestoreSession
                    | FactKind::BackupConfiguration
                    | FactKind::Repository
            );
            if !reported {
                continue;
            }
            let Some(fact) = facts.get(key) else {
                self.phases.remove(key);
                continue;
            };
            // Of sessions only the phase is news; of what lasts, everything.
            let lasts = matches!(key.kind, FactKind::BackupConfiguration | FactKind::Repository);
            let seen = if lasts { fact.resource_version.clone() } else { fact.phase.clone() };
            if self.phases.insert(key.clone(), seen.clone()).as_ref() != Some(&seen) {
                changed = true;
                urgent |= key.kind == FactKind::RestoreSession || (fact.phase == "Failed" && is_final(&fact.phase));
            }
        }
        if changed {
            // While Git is away nothing else looks at them, and sessions are deleted.
            self.shared.record.note(&facts);
        }
        drop(facts);
        if changed {
            self.events.send(Event::RunsChanged { urgent }).await.ok();
        }
    }

    /// One pass and what it wants, until it wants nothing more now; gives when it wants to be asked again.
    async fn work(&mut self) -> Option<Timestamp> {
        let engine = self.engine.as_mut()?;
        if !self.shared.leader.is_leader() {
            return None;
        }
        let now = clock::now();
        let pass = {
            let facts = self.shared.watches.facts().await;
            let observed = self.shared.watches.observed().await;
            engine.pass(&facts, &observed, now)
        };
        let Pass { deeds, looks, wake_at, waiting } = pass;
        self.shared.metrics.runs_waiting(waiting);
        let busy = !deeds.is_empty() || !looks.is_empty();
        for (look, seen) in answers(&self.shared, looks).await {
            engine.seen(look, seen, clock::now());
        }
        let done = deeds::carry_out(&self.shared.handles, &self.shared.leader, &self.shared.watches, deeds).await;
        for deeds::Done { of, failure } in done {
            match failure {
                None => engine.succeeded(&of),
                Some(deeds::NotDone { message, refused: true, .. }) => {
                    tracing::warn!(of = of.spoken(), "{message}");
                    engine.refused(&of, message, clock::now());
                }
                Some(deeds::NotDone { class, message, refused: false }) => {
                    tracing::warn!(of = of.spoken(), "{message}");
                    engine.failed(&of, class, clock::now());
                }
            }
        }
        // What was written may allow the next step.
        if busy { Some(clock::now()) } else { wake_at }
    }
}

async fn answers(shared: &Arc<Shared>, looks: BTreeSet<Look>) -> Vec<(Look, Seen)> {
    let all: Vec<_> = looks
        .into_iter()
        .map(|look| async move {
            let seen = looks::look(&shared.handles, &look).await;
            if let Seen::Unknown(message) = &seen {
                tracing::warn!("{message}");
            }
            (look, seen)
        })
        .collect();
    futures::stream::iter(all).buffer_unordered(LOOKS_AT_ONCE).collect().await
}
