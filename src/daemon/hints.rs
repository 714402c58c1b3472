//! File notifications: a local repository that moved, or credentials that were renewed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Settings;
use crate::control::gitops::Event;

/// Hints are coalesced, so one that waits is as good as many.
const HINTS_MAX: usize = 1;

/// Watches what a change of which means that the source should be looked at now.
pub(super) fn start(
    settings: &Settings,
    events: mpsc::Sender<Event>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let places = watched(settings);
    if places.is_empty() {
        return Ok(());
    }
    let (hint, mut hints) = mpsc::channel(HINTS_MAX);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Looking at the source reads files: only what changes one is a hint.
        let changes = event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_)));
        if changes {
            hint.try_send(()).ok();
        }
    })
    .context("file notification is not to be had")?;
    for (path, mode) in &places {
        watcher.watch(path, *mode).with_context(|| format!("cannot watch {}", path.display()))?;
    }
    tasks.spawn(async move {
        // Dropping the watcher would end the notifications.
        let _watcher = watcher;
        while hints.recv().await.is_some() {
            events.send(Event::SourceHinted).await.ok();
        }
        anyhow::bail!("file notification ended")
    });
    Ok(())
}

/// Folders, not files: mounted Secrets and references of Git change by a rename beside them.
fn watched(settings: &Settings) -> Vec<(PathBuf, RecursiveMode)> {
    let mut watched = Vec::new();
    if let Some(repository) = settings.source.endpoint.url.local_path() {
        let git = repository.join(".git");
        let root = if git.is_dir() { git } else { repository };
        watched.push((root.clone(), RecursiveMode::NonRecursive));
        let heads = root.join("refs/heads");
        if heads.is_dir() {
            watched.push((heads, RecursiveMode::Recursive));
        }
    }
    if let Some(credentials) = settings.source.endpoint.credentials.as_deref().filter(|folder: &&Path| folder.is_dir())
    {
        watched.push((credentials.to_owned(), RecursiveMode::NonRecursive));
    }
    watched
}
