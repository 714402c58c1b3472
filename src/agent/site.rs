//! Where a step works: the repository, opened under the name of this pod, and its locks.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::SignedDuration;

use super::complaint::complaint;
use super::credentials::Credentials;
use super::{Pod, Surroundings};
use crate::clock;
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, POD_NAME, POD_UID, StepInput};
use crate::repository::retention::Target;
use crate::repository::{
    Access, Address, Cached, Cancel, Ending, Held, Holder, Lock, LockError, Locks, Maker, Mode, OpenError, Opened,
    Store, Trust, connect, memory_limit,
};

const PASSWORD: &str = "RESTIC_PASSWORD";
/// Whose name stands in snapshots, keys and locks.
pub(super) const USERNAME: &str = "holdfast";
/// Below the scratch folder, as in Stash.
const CACHE: &str = "restic-cache";
/// As `holdfast repo` has it.
const CACHE_BYTES: u64 = 1 << 30;
/// Others are waited for so long, unless it is clear that nobody is there.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

pub(super) struct Site<'a> {
    pub(super) input: &'a StepInput,
    pub(super) ending: &'a Ending,
    around: &'a Surroundings,
    address: Address,
    credentials: Credentials,
    pod: Holder,
}

impl<'a> Site<'a> {
    pub(super) fn new(input: &'a StepInput, around: &'a Surroundings, ending: &'a Ending) -> Result<Self, Complaint> {
        let credentials = Credentials::read(&around.storage, around.variable).map_err(|error| {
            let folder = around.storage.display();
            complaint(StepReason::StorageIncomplete, format_args!("the storage Secret in {folder}: {error}"))
        })?;
        let pod = holder(input, &around.pod)?;
        Ok(Self { input, ending, around, address: input.repository.address.parse()?, credentials, pod })
    }

    /// Without secrets.
    pub(super) fn location(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn cancel(&self) -> &Cancel {
        self.ending.cancel()
    }

    pub(super) fn target(&self) -> Result<Target, Complaint> {
        let name = &self.input.target;
        Ok(Target::new(&name.namespace, &name.kind, &name.name)?)
    }

    pub(super) fn maker(&self) -> Maker {
        Maker { created: clock::now(), username: USERNAME.to_owned(), hostname: self.pod.pod.clone() }
    }

    pub(super) fn password(&self) -> Result<String, Complaint> {
        let missing = || complaint(StepReason::StorageIncomplete, format_args!("the storage Secret has no {PASSWORD}"));
        self.credentials.variable(PASSWORD).ok_or_else(missing)
    }

    /// `cancel` ends its requests.
    pub(super) fn store(&self, cancel: Cancel) -> Result<Arc<dyn Store>, Complaint> {
        let place = &self.input.repository;
        let variable = |name: &str| {
            let region = place.region.as_ref().filter(|_| name == "AWS_DEFAULT_REGION");
            region.cloned().or_else(|| self.credentials.variable(name))
        };
        let access = Access {
            trust: if place.insecure_tls { Trust::Blind } else { Trust::System },
            connections: place.connections.and_then(|number| NonZeroUsize::new(number.try_into().ok()?)),
            cancel,
            ..Access::new(&variable)
        };
        Ok(connect(&self.address, &access)?)
    }

    /// Locks of pods that are gone are removed before anything else is done.
    pub(super) fn open(&self) -> Result<Repository<'_>, Complaint> {
        self.try_open()?.map_err(Complaint::from)
    }

    /// The inner error is of the repository itself.
    pub(super) fn try_open(&self) -> Result<Result<Repository<'_>, OpenError>, Complaint> {
        let store = self.store(self.cancel().clone())?;
        let bare = match Opened::open(Arc::clone(&store), &self.password()?) {
            Ok(opened) => opened.within(memory_limit()),
            Err(error) => return Ok(Err(error)),
        };
        let mut opened = bare.clone();
        if self.input.repository.cache && !matches!(self.address, Address::Local(_)) {
            let (folder, id) = (self.around.scratch.join(CACHE), opened.config().id.to_string());
            opened = opened.over(Arc::new(Cached::new(store, &folder, &id, CACHE_BYTES)));
        }
        // What has been cancelled must still give back its lock.
        let me = Lock::of_this_process(self.pod.pod.clone(), USERNAME.to_owned(), Some(self.pod.clone()));
        let locks = Locks::new(self.store(Cancel::default())?, opened.seal(), me, clock::now);
        let repository = Repository { opened, bare, locks, ending: self.ending };
        repository.unlock(&self.input.cluster, &self.input.gone_pods)?;
        Ok(Ok(repository))
    }
}

fn holder(input: &StepInput, pod: &Pod) -> Result<Holder, Complaint> {
    let given = |value: &Option<String>, name: &str| {
        let missing = || complaint(StepReason::InvalidInput, format_args!("{name} is not set: whose lock is it?"));
        value.clone().ok_or_else(missing)
    };
    Ok(Holder {
        cluster: input.cluster.clone(),
        namespace: pod.namespace.clone().unwrap_or_else(|| input.target.namespace.clone()),
        pod: given(&pod.name, POD_NAME)?,
        uid: given(&pod.uid, POD_UID)?,
    })
}

/// An opened repository and its locks.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub(super) opened: Opened,
    /// The same without a cache: for what looks for damage.
    pub(super) bare: Opened,
    pub(super) locks: Locks,
    ending: &'a Ending,
}

impl Repository<'_> {
    /// Only of pods of this cluster, and only of those that it knows to be gone.
    fn unlock(&self, cluster: &str, gone: &[String]) -> Result<(), Complaint> {
        if gone.is_empty() {
            return Ok(());
        }
        for (id, lock) in self.locks.list()? {
            let is_gone = |holder: &Holder| holder.cluster == cluster && gone.contains(&holder.uid);
            if lock.holdfast.as_ref().is_some_and(is_gone) {
                self.locks.remove(id)?;
                tracing::info!("removed, since its pod is gone: {}", lock.spoken(clock::now()));
            }
        }
        Ok(())
    }

    /// Given back at the end of the step, or with [`Repository::release`].
    pub(super) fn lock(&self, mode: Mode, patience: SignedDuration) -> Result<Arc<Held>, Complaint> {
        let taken = match self.locks.take(mode, SignedDuration::ZERO) {
            // Of a stale one nobody can say whether its holder will ever be done.
            Err(LockError::Locked(locked)) if !locked.conflict.stale && patience > SignedDuration::ZERO => {
                let now = clock::now();
                tracing::info!("waiting, {patience:#} at most, for a {}", locked.conflict.lock.spoken(now));
                self.locks.take(mode, patience)
            }
            other => other,
        };
        match taken {
            Ok(lock) => Ok(self.ending.keep(lock)),
            Err(LockError::Locked(locked)) => Err(complaint(
                StepReason::RepositoryLocked,
                format_args!(
                    "the repository is locked: {}; if nobody works there any more, run `holdfast repo unlock`",
                    locked.conflict.lock.spoken(clock::now())
                ),
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn release(&self) {
        self.ending.release();
    }
}
