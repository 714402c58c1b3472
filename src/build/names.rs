//! Names of what the engine makes: those of Stash, and where one is too long, cut with a hash so that two never meet.

use jiff::Timestamp;

use crate::model::invoker::Named;
use crate::model::names::{NAME_LENGTH_MAX, limited};

/// Kubernetes puts eleven characters behind the name of a `CronJob`.
const CRON_JOB_LENGTH_MAX: usize = 52;

/// Session of a slot: `<invoker>-<unix seconds>`.
pub fn session(invoker: &str, slot: Timestamp) -> String {
    let suffix = format!("-{}", slot.as_second());
    // The seconds must survive: they are how a slot has one session.
    format!("{}{suffix}", limited(invoker, NAME_LENGTH_MAX - suffix.len()))
}

/// Which part of a run a Job is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Initialize,
    /// The number of the host in its target; one alone has no name of its own.
    Host {
        host: String,
        alone: bool,
    },
    Finish,
    Unlock,
}

impl Part {
    /// What the label [`crate::model::keys::PART`] and the end of the name say.
    pub fn word(&self) -> String {
        match self {
            Part::Initialize => "init".to_owned(),
            Part::Host { alone: true, .. } => "0".to_owned(),
            Part::Host { host, alone: false } => format!("0-{host}"),
            Part::Finish => "finish".to_owned(),
            Part::Unlock => "unlock".to_owned(),
        }
    }
}

/// `stash-backup-<session>-<index>[-<host>]`.
pub fn backup_job(session: &str, part: &Part) -> String {
    job(&format!("stash-backup-{session}-{}", part.word()))
}

/// `stash-restore-<invoker>-<index>[-<host>]`.
pub fn restore_job(invoker: &str, part: &Part) -> String {
    job(&format!("stash-restore-{invoker}-{}", part.word()))
}

fn job(name: &str) -> String {
    limited(&name.replace('.', "-").to_ascii_lowercase(), NAME_LENGTH_MAX)
}

/// `stash-trigger-<invoker>`, with the namespace of the invoker where the target lives elsewhere.
pub fn cron_job(invoker: &Named, target_elsewhere: bool) -> String {
    let invoker =
        if target_elsewhere { format!("{}-{}", invoker.namespace, invoker.name) } else { invoker.name.clone() };
    limited(&format!("stash-trigger-{}", invoker.replace('.', "-")), CRON_JOB_LENGTH_MAX)
}

/// The slot that a Job of a `CronJob` is for: the controller puts its minute behind the name.
pub fn slot_of_job(job: &str) -> Option<Timestamp> {
    let (_, minutes) = job.rsplit_once('-')?;
    let minutes: i64 = minutes.parse().ok().filter(|minutes| *minutes > 0)?;
    Timestamp::from_second(minutes.checked_mul(60)?).ok()
}

/// Claim of an interim volume: `<owner>-<template>`.
pub fn interim_claim(owner: &str, template: &str) -> String {
    let name = if template.is_empty() { owner.to_owned() } else { format!("{owner}-{template}") };
    limited(&name, NAME_LENGTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::is_subdomain;
    use crate::model::run::slot;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_session_is_named_after_its_slot_and_the_slot_read_back() {
        assert_eq!(session("deployment-web", at(1_795_226_400)), "deployment-web-1795226400");
        let long = session(&"a".repeat(80), at(1_795_226_400));
        assert_eq!((long.len(), slot(&long)), (63, Some(at(1_795_226_400))));
        assert_ne!(long, session(&"a".repeat(81), at(1_795_226_400)));
        assert_eq!(slot_of_job("stash-trigger-web-29920440"), Some(at(29_920_440 * 60)));
    }

    #[test]
    fn names_fit_and_stay_apart() {
        let named = |name: &str| Named { namespace: "shop".to_owned(), name: name.to_owned() };
        assert_eq!(cron_job(&named("db.v2"), false), "stash-trigger-db-v2");
        assert_eq!(cron_job(&named("db"), true), "stash-trigger-shop-db");
        assert_eq!(cron_job(&named(&"b".repeat(60)), false).len(), 52);
        let host = |host: &str| Part::Host { host: host.to_owned(), alone: false };
        let session = "a".repeat(60);
        let jobs: Vec<_> =
            ["host-0", "host-1", "Node.example"].iter().map(|h| backup_job(&session, &host(h))).collect();
        assert!(jobs.iter().all(|name| name.len() <= 63 && is_subdomain(name)), "{jobs:?}");
        assert_ne!(jobs[0], jobs[1]);
        assert_eq!(backup_job("web-1", &Part::Host { host: "host-0".to_owned(), alone: true }), "stash-backup-web-1-0");
    }
}
