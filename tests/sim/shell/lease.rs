//! Who may write, as `cluster::lease` decides it: each side trusts only the time that nobody can set.

use jiff::{SignedDuration, Timestamp};

use crate::env::Env;

const DURATION: SignedDuration = SignedDuration::from_secs(15);
const RENEW_EVERY: usize = 5_000;
const RIGHT: SignedDuration = SignedDuration::from_secs(10);
const RETRY_EVERY: usize = 2_000;

/// The object on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    pub holder: Option<String>,
    pub version: u64,
}

/// The part of one daemon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidate {
    /// The version as we last wrote it.
    held: Option<u64>,
    right: Option<Timestamp>,
    seen: Option<(u64, Timestamp)>,
}

impl Candidate {
    pub(crate) fn may_write(&self, now: Timestamp) -> bool {
        self.right.is_some_and(|right| now < right)
    }

    pub(crate) fn leads(&self) -> bool {
        self.held.is_some()
    }

    /// One look at the Lease; gives the milliseconds to the next.
    pub(crate) fn turn(&mut self, env: &mut Env, identity: &str) -> usize {
        if self.held.is_some() { self.renew(env, identity) } else { self.contend(env, identity) }
    }

    fn renew(&mut self, env: &mut Env, identity: &str) -> usize {
        if !self.may_write(env.time) {
            *self = Self { seen: self.seen, ..Self::default() };
            return RETRY_EVERY;
        }
        if env.fault("lease lost", 60) {
            return RETRY_EVERY;
        }
        if env.lease.holder.as_deref() != Some(identity) {
            *self = Self::default();
            return RETRY_EVERY;
        }
        self.write(env, identity)
    }

    fn contend(&mut self, env: &mut Env, identity: &str) -> usize {
        if env.fault("lease lost", 20) {
            return RETRY_EVERY;
        }
        let version = env.lease.version;
        if self.seen.is_none_or(|(seen, _)| seen != version) {
            self.seen = Some((version, env.time));
        }
        let silent = self.seen.map_or(SignedDuration::ZERO, |(_, since)| env.time.duration_since(since));
        if env.lease.holder.is_some() && silent < DURATION {
            return RETRY_EVERY;
        }
        env.counts.effect("leader");
        env.note(|| format!("{identity} leads"));
        self.write(env, identity)
    }

    fn write(&mut self, env: &mut Env, identity: &str) -> usize {
        env.lease = Lease { holder: Some(identity.to_owned()), version: env.lease.version + 1 };
        self.held = Some(env.lease.version);
        self.right = Some(env.time + RIGHT);
        RENEW_EVERY
    }
}
