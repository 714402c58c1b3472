//! What policies want protected and is not: no backup, the last success too long ago, too few copies.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::finding::CoverageCode;
use crate::model::object::{TargetKey, TargetKind};
use crate::model::observed::{Target, Volume};
use crate::model::plan::{Counted, Uncovered};
use crate::model::policy::{Coverage, Policy, Rpo};

/// One backup of one target, in force or about to be.
#[derive(Clone, Debug)]
pub struct Protector {
    /// Volumes of the workload that it backs up; `None` where the target is backed up as a whole.
    pub volumes: Option<BTreeSet<String>>,
    pub state: State,
    /// When the configuration came to be; unknown before it does.
    pub since: Option<Timestamp>,
    pub success: Success,
    /// Where the data goes, so that two configurations with one place count as one copy.
    pub place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Paused,
    /// It is asked for and refused, and nothing of it exists.
    Refused,
    /// Its cause is gone, and it goes when the delay ends.
    Leaving,
}

/// What is known of the last success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    At(Timestamp),
    None,
    /// The Repository serves others too and does not say whose success it was.
    Unknown {
        repository: String,
    },
}

pub type Protectors = BTreeMap<TargetKey, Vec<Protector>>;

/// What one pass finds.
#[derive(Debug, Default)]
pub struct Found {
    pub uncovered: Vec<Uncovered>,
    pub counted: BTreeMap<String, Counted>,
    /// When time alone changes this.
    pub wake_at: Option<Timestamp>,
}

/// Holds all targets against all policies that have a coverage part.
pub fn find<'p>(
    policies: impl Iterator<Item = &'p Policy>,
    targets: &BTreeMap<TargetKey, Target>,
    protectors: &Protectors,
    now: Timestamp,
) -> Found {
    let mut found = Found::default();
    let mounted = Mounted::of(targets);
    for policy in policies {
        let Some(coverage) = &policy.coverage else { continue };
        let mut search = Search { coverage, targets, protectors, mounted: &mounted, now, wake_at: found.wake_at };
        let mut counted = Counted::default();
        for (key, target) in targets {
            let meant = coverage.kinds.contains(&key.kind) && policy.matching.selects(&key.namespace, &target.labels);
            if !meant || target.is_stateless(key.kind) {
                continue;
            }
            let expired = match search.exemption(key) {
                Exempt::Now => {
                    counted.exempt += 1;
                    continue;
                }
                Exempt::Until(day) => Some(day),
                Exempt::Never => None,
            };
            counted.targets += 1;
            let gaps = search.gaps(key, target);
            counted.uncovered += usize::from(!gaps.is_empty());
            found.uncovered.extend(gaps.into_iter().map(|(code, message)| Uncovered {
                code,
                target: key.clone(),
                policy: policy.name.clone(),
                at: policy.at.clone(),
                message: match &expired {
                    Some(day) => format!("{message}; its exemption ended with {day}"),
                    None => message,
                },
            }));
        }
        found.wake_at = search.wake_at;
        found.counted.insert(policy.name.clone(), counted);
    }
    found.uncovered.sort();
    found
}

/// Which volumes of which workloads a claim is.
struct Mounted<'t> {
    /// By namespace and name of the claim.
    claims: BTreeMap<(&'t str, &'t str), Vec<(&'t TargetKey, &'t str)>>,
    /// By namespace and `<template>-<StatefulSet>`: the claims of its pods have a number after that.
    templates: BTreeMap<(&'t str, String), (&'t TargetKey, &'t str)>,
}

impl<'t> Mounted<'t> {
    fn of(targets: &'t BTreeMap<TargetKey, Target>) -> Self {
        let mut mounted = Self { claims: BTreeMap::new(), templates: BTreeMap::new() };
        for (key, target) in targets {
            for (name, volume) in target.volumes.iter().flatten() {
                match volume {
                    Volume::Claim(claim) => {
                        mounted.claims.entry((&key.namespace, claim)).or_default().push((key, name));
                    }
                    Volume::Template => {
                        mounted.templates.insert((&key.namespace, format!("{name}-{}", key.name)), (key, name));
                    }
                }
            }
        }
        mounted
    }

    fn by(&self, claim: &TargetKey) -> Vec<(&'t TargetKey, &'t str)> {
        let direct = self.claims.get(&(claim.namespace.as_str(), claim.name.as_str())).into_iter().flatten().copied();
        let numbered = claim.name.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
        let template = numbered.and_then(|(stem, _)| self.templates.get(&(claim.namespace.as_str(), stem.to_owned())));
        direct.chain(template.copied()).collect()
    }
}

enum Exempt {
    Now,
    /// No more since the end of that day.
    Until(String),
    Never,
}

type Gap = (CoverageCode, String);

struct Search<'a> {
    coverage: &'a Coverage,
    targets: &'a BTreeMap<TargetKey, Target>,
    protectors: &'a Protectors,
    mounted: &'a Mounted<'a>,
    now: Timestamp,
    wake_at: Option<Timestamp>,
}

impl<'a> Search<'a> {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    fn exemption(&mut self, key: &TargetKey) -> Exempt {
        let of_target = self.coverage.exempt.iter().filter(|exempt| exempt.target == *key);
        let Some(longest) = of_target.max_by_key(|exempt| exempt.end) else { return Exempt::Never };
        if longest.end > self.now {
            self.wake(longest.end);
            return Exempt::Now;
        }
        Exempt::Until(longest.until.clone())
    }

    fn gaps(&mut self, key: &TargetKey, target: &Target) -> Vec<Gap> {
        let mut own: Vec<&'a Protector> = self.protectors.get(key).into_iter().flatten().collect();
        if key.kind == TargetKind::PersistentVolumeClaim {
            own.extend(self.of_mounters(key));
        } else if own.is_empty() {
            return self.claims_gaps(key, target);
        }
        self.assess(&own)
    }

    /// A claim is protected with the workload that mounts it, if that backup names the volume.
    fn of_mounters(&self, claim: &TargetKey) -> Vec<&'a Protector> {
        let mut protectors = Vec::new();
        for (workload, volume) in self.mounted.by(claim) {
            let of_workload = self.protectors.get(workload).into_iter().flatten();
            protectors
                .extend(of_workload.filter(|one| one.volumes.as_ref().is_none_or(|names| names.contains(volume))));
        }
        protectors
    }

    /// A workload without a backup of its own is protected with its claims, if all of them are.
    fn claims_gaps(&mut self, key: &TargetKey, target: &Target) -> Vec<Gap> {
        let claims: Vec<TargetKey> = claims_of(key, target, self.targets);
        let protected = |claim: &TargetKey| self.protectors.get(claim).is_some_and(|list| !list.is_empty());
        if !claims.iter().any(protected) {
            return self.assess(&[]);
        }
        for claim in &claims {
            let own: Vec<&'a Protector> = self.protectors.get(claim).into_iter().flatten().collect();
            let gaps = self.assess(&own);
            if !gaps.is_empty() {
                return gaps
                    .into_iter()
                    .map(|(code, message)| (code, format!("claim {}: {message}", claim.name)))
                    .collect();
            }
        }
        Vec::new()
    }

    fn assess(&mut self, protectors: &[&Protector]) -> Vec<Gap> {
        let active: Vec<&Protector> = protectors.iter().copied().filter(|one| one.state == State::Active).collect();
        if active.is_empty() {
            let why = match protectors.first().map(|one| one.state) {
                None => "no blueprint, no BackupConfiguration",
                Some(State::Paused) => "its backup is paused",
                Some(State::Refused) => "its backup is refused",
                Some(State::Leaving | State::Active) => "its backup is about to be removed",
            };
            return vec![(CoverageCode::Unprotected, why.to_owned())];
        }
        let mut gaps = Vec::new();
        let coverage = self.coverage;
        if let Some(message) = coverage.rpo.as_ref().and_then(|rpo| self.over_rpo(&active, rpo)) {
            gaps.push((CoverageCode::OverRpo, message));
        }
        let copies = active.iter().map(|one| one.place.as_str()).collect::<BTreeSet<_>>().len();
        if let Some(wanted) = coverage.copies.filter(|wanted| copies < *wanted as usize) {
            gaps.push((CoverageCode::TooFewCopies, format!("{copies} of {wanted} copies")));
        }
        gaps
    }

    /// The best of all backups counts. No message depends on the present moment.
    fn over_rpo(&mut self, active: &[&Protector], rpo: &Rpo) -> Option<String> {
        let last = active.iter().filter_map(|one| match &one.success {
            Success::At(time) => Some(*time),
            Success::None | Success::Unknown { .. } => None,
        });
        let (from, message) = if let Some(last) = last.max() {
            (last, format!("last success {last}, rpo {}", rpo.text))
        } else {
            let unknown = active.iter().find_map(|one| match &one.success {
                Success::Unknown { repository } => Some(repository),
                Success::At(_) | Success::None => None,
            });
            if let Some(repository) = unknown {
                return Some(format!(
                    "last success unknown, rpo {}: Repository {repository} serves several backups and does not say which succeeded",
                    rpo.text
                ));
            }
            // What is still to be made has the whole time before it.
            let since = active.iter().map(|one| one.since).collect::<Option<Vec<_>>>()?.into_iter().min()?;
            (since, format!("no success since {since}, rpo {}", rpo.text))
        };
        let end = from.saturating_add(rpo.time).unwrap_or(Timestamp::MAX);
        if end > self.now {
            self.wake(end);
            return None;
        }
        Some(message)
    }
}

/// The claims of a workload that exist.
fn claims_of(key: &TargetKey, target: &Target, targets: &BTreeMap<TargetKey, Target>) -> Vec<TargetKey> {
    let claim = |name: &str| TargetKey {
        namespace: key.namespace.clone(),
        kind: TargetKind::PersistentVolumeClaim,
        name: name.to_owned(),
    };
    let mut claims = Vec::new();
    for (name, volume) in target.volumes.iter().flatten() {
        match volume {
            Volume::Claim(of) => claims.push(claim(of)),
            Volume::Template => {
                let stem = format!("{name}-{}-", key.name);
                let after = targets.range(claim(&stem)..).map(|(key, _)| key);
                let numbered =
                    |key: &TargetKey| key.name.strip_prefix(&stem).is_some_and(|end| end.parse::<u32>().is_ok());
                let near = after.take_while(|found| {
                    found.namespace == key.namespace
                        && found.kind == TargetKind::PersistentVolumeClaim
                        && found.name.starts_with(&stem)
                });
                claims.extend(near.filter(|key| numbered(key)).cloned());
            }
        }
    }
    claims
}
