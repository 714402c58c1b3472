//! Leader election by a Lease: who may write, until when, and nobody else before that time is over.
//!
//! Own code, since the ready-made crates judge the holder by its clock. Here each side trusts only its own monotonic
//! clock: a candidate takes a Lease over that it saw unchanged for the Lease's whole duration, and the holder's right
//! ends so early that its last write is over by then.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::api::Handles;
use super::error::{Failure, status_of};
use crate::install::verbs::LEASE;

/// What the Lease says: a candidate waits this long without seeing it change.
const DURATION: Duration = Duration::from_secs(15);
/// Two renewals may fail before the right ends.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long after the start of a renewal the right lasts, so that a write begun at its end is over within `DURATION`.
const RIGHT: Duration = Duration::from_secs(10);
/// How long one write may take, at the server too.
pub(super) const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
const _: () = assert!(RIGHT.as_secs() + WRITE_TIME_MAX.as_secs() <= DURATION.as_secs());
/// How often a candidate looks, and how soon a failed renewal is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// How long a request about the Lease may take: three fit into the time between a missed renewal and the end.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(3);

/// The part of this process in the election.
pub struct Leader {
    /// When the right ends; `None` for a candidate.
    right: watch::Receiver<Option<Instant>>,
    role: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    /// Read by every running write, written by the release.
    gate: Arc<RwLock<()>>,
    identity: String,
}

/// The right to send one write, now.
pub(super) struct Permit {
    _running: OwnedRwLockReadGuard<()>,
}

impl Leader {
    /// Joins the election as `<name>_<random>`, so that a restarted container never takes its predecessor's Lease for
    /// its own. `clock` gives the times that people read in the Lease; no decision depends on it.
    /// The task ends after [`Leader::release`] only.
    pub fn start(
        handles: &Handles,
        name: &str,
        clock: fn() -> Timestamp,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) -> Self {
        let identity = format!("{name}_{:016x}", RandomState::new().build_hasher().finish());
        let (right, right_receiver) = watch::channel(None);
        let (role, role_receiver) = watch::channel(false);
        let (stop, stop_receiver) = watch::channel(false);
        let gate = Arc::new(RwLock::new(()));
        let election = Election {
            api: handles.leases(),
            identity: identity.clone(),
            clock,
            right,
            role,
            stop: stop_receiver,
            gate: Arc::clone(&gate),
            held: None,
            seen: None,
        };
        tasks.spawn(election.run());
        Self { right: right_receiver, role: role_receiver, stop, gate, identity }
    }

    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether a write may begin now.
    pub fn is_leader(&self) -> bool {
        !*self.stop.borrow() && self.valid_until().is_some()
    }

    /// Until when writes may begin, if they may now.
    pub fn valid_until(&self) -> Option<Instant> {
        self.right.borrow().filter(|until| Instant::now() < *until)
    }

    /// Changes when this process becomes leader and when it no longer is.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.role.clone()
    }

    /// Gives the Lease back for the next one to take at once, and returns when that is done or was given up. Writes are
    /// refused from here on; those that run are waited for. Takes at most 8 s: a write, and the request.
    pub async fn release(&self) {
        self.stop.send_replace(true);
        let mut role = self.role.clone();
        // The election has the only sender and ends after the release.
        while role.changed().await.is_ok() {}
    }

    /// The right to begin a write, which must be over within [`WRITE_TIME_MAX`].
    pub(super) async fn permit(&self) -> Option<Permit> {
        let running = Arc::clone(&self.gate).read_owned().await;
        self.is_leader().then_some(Permit { _running: running })
    }
}

/// The Lease as last read from the server.
struct Seen {
    lease: Lease,
    /// When it first looked as it does now.
    since: Instant,
}

struct Election {
    api: Api<Lease>,
    identity: String,
    clock: fn() -> Timestamp,
    right: watch::Sender<Option<Instant>>,
    role: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
    gate: Arc<RwLock<()>>,
    /// The Lease as we last wrote it, while we are the holder.
    held: Option<Lease>,
    seen: Option<Seen>,
}

impl Election {
    async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let wait = match self.held.take() {
                Some(lease) => self.renew(lease).await,
                None => self.contend().await,
            };
            tokio::select! {
                // An error means that the `Leader` is gone: the same as a release.
                _ = self.stop.wait_for(|stop| *stop) => break,
                () = sleep(wait) => {}
            }
        }
        self.release().await;
        Ok(())
    }

    /// One look at the Lease as a candidate, and the attempt to take it if it is free. Gives the time to the next.
    async fn contend(&mut self) -> Duration {
        let started = Instant::now();
        let Ok(answer) = timeout(REQUEST_TIME_MAX, self.api.get_opt(LEASE)).await else { return RETRY_EVERY };
        let lease = match answer {
            Ok(lease) => lease,
            Err(error) => return retry(&error, "read the Lease"),
        };
        if !self.is_free(lease.as_ref(), started) {
            return RETRY_EVERY;
        }
        let started = Instant::now();
        let params = PostParams::default();
        let taken = self.next_lease(lease.as_ref(), true);
        let written = timeout(REQUEST_TIME_MAX, async {
            match lease {
                Some(_) => self.api.replace(LEASE, &params, &taken).await,
                None => self.api.create(&params, &taken).await,
            }
        });
        match written.await {
            Ok(Ok(lease)) => {
                self.hold(lease, started);
                tracing::info!(identity = self.identity, "leader");
                RENEW_EVERY
            }
            Ok(Err(error)) if status_of(&error).is_some_and(|status| status.code == 409) => RETRY_EVERY,
            Ok(Err(error)) => retry(&error, "take the Lease"),
            Err(_) => RETRY_EVERY,
        }
    }

    /// Whether a Lease may be taken: it is given back, ours, or was not renewed for as long as it says. One that was
    /// deleted counts as held until the time of its last holder is over.
    fn is_free(&mut self, lease: Option<&Lease>, now: Instant) -> bool {
        let Some(lease) = lease else {
            return self
                .seen
                .as_ref()
                .is_none_or(|seen| is_free(&seen.lease, &self.identity, now.saturating_duration_since(seen.since)));
        };
        match &self.seen {
            Some(seen) if seen.lease.spec == lease.spec => {}
            Some(_) | None => self.seen = Some(Seen { lease: lease.clone(), since: now }),
        }
        let since = self.seen.as_ref().map_or(now, |seen| seen.since);
        is_free(lease, &self.identity, now.saturating_duration_since(since))
    }

    /// Renews until it works or the right has ended. Gives the time to the next step.
    async fn renew(&mut self, lease: Lease) -> Duration {
        let Some(until) = *self.right.borrow() else { return Duration::ZERO };
        let started = Instant::now();
        if started >= until {
            return self.step_down("it could not be renewed in time");
        }
        let next = self.next_lease(Some(&lease), false);
        let limit = until.min(started + REQUEST_TIME_MAX);
        match timeout_at(limit, self.api.replace(LEASE, &PostParams::default(), &next)).await {
            Ok(Ok(lease)) => {
                self.hold(lease, started);
                RENEW_EVERY
            }
            Ok(Err(error)) if status_of(&error).is_some_and(|status| status.code == 404) => {
                self.step_down("the Lease was deleted")
            }
            // Somebody wrote it: another holder, a person, or we ourselves in a request whose answer was lost.
            Ok(Err(error)) if status_of(&error).is_some_and(|status| status.code == 409) => {
                self.reread(lease, until).await
            }
            Ok(Err(error)) => {
                self.held = Some(lease);
                retry(&error, "renew the Lease").min(until - Instant::now().min(until))
            }
            Err(_) => {
                self.held = Some(lease);
                Duration::ZERO
            }
        }
    }

    async fn reread(&mut self, lease: Lease, until: Instant) -> Duration {
        let limit = until.min(Instant::now() + REQUEST_TIME_MAX);
        match timeout_at(limit, self.api.get(LEASE)).await {
            Ok(Ok(current)) if holder(&current) == Some(self.identity.as_str()) => {
                self.held = Some(current);
                Duration::ZERO
            }
            Ok(Ok(_)) => self.step_down("another process holds the Lease"),
            Ok(Err(_)) | Err(_) => {
                self.held = Some(lease);
                RETRY_EVERY.min(until - Instant::now().min(until))
            }
        }
    }

    fn hold(&mut self, lease: Lease, started: Instant) {
        self.seen = Some(Seen { lease: lease.clone(), since: Instant::now() });
        self.held = Some(lease);
        self.right.send_replace(Some(started + RIGHT));
        self.role.send_if_modified(|role| !std::mem::replace(role, true));
    }

    fn step_down(&mut self, why: &str) -> Duration {
        tracing::warn!(identity = self.identity, "no longer leader: {why}");
        self.held = None;
        self.right.send_replace(None);
        self.role.send_if_modified(|role| std::mem::replace(role, false));
        RETRY_EVERY
    }

    /// The Lease that we write over `current`.
    fn next_lease(&self, current: Option<&Lease>, take: bool) -> Lease {
        let spec = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = MicroTime((self.clock)());
        let transitions = spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(take && current.is_some()));
        let acquired = if take { Some(now.clone()) } else { spec.acquire_time };
        Lease {
            metadata: current.map_or_else(
                || ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(transitions),
                acquire_time: acquired,
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }

    async fn release(mut self) {
        let held = self.held.take();
        self.right.send_replace(None);
        self.role.send_if_modified(|role| std::mem::replace(role, false));
        let Some(lease) = held else { return };
        // A write that is still running after its time is left to the end of the Lease.
        let Ok(_closed) = timeout(WRITE_TIME_MAX, Arc::clone(&self.gate).write_owned()).await else { return };
        let mut free = self.next_lease(Some(&lease), false);
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = None;
        }
        let answer = timeout(REQUEST_TIME_MAX, self.api.replace(LEASE, &PostParams::default(), &free)).await;
        if !matches!(answer, Ok(Ok(_))) {
            tracing::warn!("the Lease could not be given back: the next leader waits for its end");
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// `unchanged`: how long the Lease has looked as it does.
fn is_free(lease: &Lease, identity: &str, unchanged: Duration) -> bool {
    let Some(holder) = holder(lease) else { return true };
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    let duration = u64::try_from(seconds).map_or(DURATION, Duration::from_secs).max(DURATION);
    holder == identity || unchanged >= duration
}

fn retry(error: &kube::Error, what: &str) -> Duration {
    tracing::warn!("{}", Failure::of_read(error, what));
    RETRY_EVERY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, seconds: i32) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(seconds),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    #[test]
    fn a_lease_is_free_when_given_back_ours_or_silent_for_its_whole_time() {
        let silent = |seconds| Duration::from_secs(seconds);
        assert!(is_free(&lease(None, 15), "me", silent(0)));
        assert!(is_free(&lease(Some(""), 15), "me", silent(0)));
        assert!(is_free(&lease(Some("me"), 15), "me", silent(0)));
        assert!(!is_free(&lease(Some("you"), 15), "me", silent(14)));
        assert!(is_free(&lease(Some("you"), 15), "me", silent(15)));
        assert!(!is_free(&lease(Some("you"), 60), "me", silent(59)));
        assert!(!is_free(&lease(Some("you"), -1), "me", silent(14)));
        assert!(!is_free(&lease(Some("you"), 1), "me", silent(14)));
    }
}
