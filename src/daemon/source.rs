//! The source: asked for its head, read when it moved, parsed when its inputs changed.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Settings, Shared};
use crate::control::gitops::SourceFailure;
use crate::git::{Class, ReadError, Source, SourceSettings};
use crate::model::applied::FailureClass;
use crate::model::desired::Desired;
use crate::model::tree::{Revision, Tree};

pub(super) struct Lane {
    settings: SourceSettings,
    state: Mutex<State>,
    desired: Mutex<Option<Arc<Desired>>>,
}

#[derive(Default)]
struct State {
    source: Option<Source>,
    /// The revision that was read last.
    head: Option<Revision>,
}

impl Lane {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.source.clone(), state: Mutex::default(), desired: Mutex::new(None) }
    }

    /// What the last good reading asks for.
    pub(super) fn desired(&self) -> Option<Arc<Desired>> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if the branch is at another commit than was read.
    pub(super) async fn probe(&self, shared: &Arc<Shared>) -> Result<bool, SourceFailure> {
        blocking(shared, |lane, shared| {
            let mut state = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
            let head = state.open(lane, shared)?.probe().map_err(failure)?;
            Ok(state.head.as_ref() != Some(&head))
        })
        .await
    }

    /// True if the inputs differ from those in force.
    pub(super) async fn read(&self, shared: &Arc<Shared>) -> Result<bool, SourceFailure> {
        blocking(shared, |lane, shared| {
            let mut state = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
            let tree = state.open(lane, shared)?.read().map_err(failure)?;
            let changed = lane.take(&tree)?;
            state.head = tree.revision;
            Ok(changed)
        })
        .await
    }

    fn take(&self, tree: &Tree) -> Result<bool, SourceFailure> {
        let known = self.desired();
        if known.is_some_and(|known| known.inputs == tree.inputs) {
            return Ok(false);
        }
        let desired = Desired::parse(tree)
            .map_err(|error| SourceFailure { class: FailureClass::Invalid, message: error.to_string() })?;
        let counts = desired.counts;
        let revision = tree.revision.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::info!(
            revision,
            inputs = %tree.inputs,
            documents = counts.documents,
            blueprints = desired.blueprints.len(),
            held = desired.held.len(),
            "read the source"
        );
        *self.desired.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(desired));
        Ok(true)
    }
}

impl State {
    fn open(&mut self, lane: &Lane, shared: &Shared) -> Result<&mut Source, SourceFailure> {
        if self.source.is_none() {
            let cache = shared.settings.cache.join("source");
            self.source = Some(Source::open(lane.settings.clone(), &cache).map_err(failure)?);
        }
        self.source.as_mut().ok_or_else(|| SourceFailure {
            class: FailureClass::Transient,
            message: "the source could not be opened".to_owned(),
        })
    }
}

/// Git blocks: each call has a thread of its own, and ends by the timeouts of the git layer.
async fn blocking(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Lane, &Shared) -> Result<bool, SourceFailure> + Send + 'static,
) -> Result<bool, SourceFailure> {
    let owned = Arc::clone(shared);
    let result = tokio::task::spawn_blocking(move || work(&owned.source, &owned)).await;
    let result = result.unwrap_or_else(|error| {
        Err(SourceFailure { class: FailureClass::Transient, message: format!("reading the source failed: {error}") })
    });
    if let Err(failure) = &result {
        tracing::warn!("the source cannot be read, what was read last stays in force: {}", failure.message);
    }
    result
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure(error: ReadError) -> SourceFailure {
    SourceFailure { class: class(error.class()), message: error.to_string() }
}

/// Failures of Git in the words of the loop.
pub(super) fn class(class: Class) -> FailureClass {
    match class {
        Class::Invalid => FailureClass::Invalid,
        Class::Denied => FailureClass::Denied,
        Class::Transient => FailureClass::Transient,
    }
}
