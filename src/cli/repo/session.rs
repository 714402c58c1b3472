//! One call of `holdfast repo`: the repository it works on, the lock it holds, and how it ends early.

use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::args::{BucketLookup, RepositoryArgs};
use super::exit;
use super::secret;
use crate::cli::output::print;
use crate::clock;
use crate::repository::{
    Access, Address, Cached, Cancel, Ending, Held, Lock, Locks, Lookup, Maker, Mode, Opened, Store, Trust, connect,
    memory_limit,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) args: &'a RepositoryArgs,
    pub(super) cancel: Cancel,
    ending: Ending,
}

impl<'a> Session<'a> {
    pub(super) fn begin(args: &'a RepositoryArgs) -> anyhow::Result<Self> {
        let ending = Ending::default();
        ending.on_signal(|| process::exit(exit::CANCELLED.into())).context("no thread for signals")?;
        Ok(Self { args, cancel: ending.cancel().clone(), ending })
    }

    pub(super) fn address(&self) -> anyhow::Result<String> {
        match (&self.args.address, &self.args.repository_file) {
            (Some(address), _) => Ok(address.clone()),
            (None, Some(file)) => secret::text(file),
            (None, None) => bail!("no repository: give its address with --repo or in RESTIC_REPOSITORY"),
        }
    }

    pub(super) fn password(&self) -> anyhow::Result<String> {
        secret::password(self.args.password_file.as_deref(), "RESTIC_PASSWORD")
    }

    /// `cancel` ends its requests.
    pub(super) fn store(&self, address: &str, cancel: Cancel) -> anyhow::Result<Arc<dyn Store>> {
        let address: Address = address.parse()?;
        let trust = match (&self.args.cacert, self.args.insecure_tls) {
            (_, true) => Trust::Blind,
            (Some(file), false) => Trust::Only(secret::bytes(file)?),
            (None, false) => Trust::System,
        };
        let lookup = match self.args.s3_bucket_lookup {
            BucketLookup::Auto => Lookup::Auto,
            BucketLookup::Dns => Lookup::Dns,
            BucketLookup::Path => Lookup::Path,
        };
        let rate = |kib: Option<std::num::NonZeroU64>| {
            kib.map(|kib| kib.saturating_mul(const { std::num::NonZeroU64::new(KIB).expect("it is not zero") }))
        };
        let access = Access {
            trust,
            lookup,
            connections: self.args.connections,
            upload: rate(self.args.limit_upload),
            download: rate(self.args.limit_download),
            cancel,
            ..Access::new(&secret::variable)
        };
        Ok(connect(&address, &access)?)
    }

    pub(super) fn open(&self) -> anyhow::Result<Repository> {
        self.open_at(&self.address()?, &self.password()?)
    }

    /// What is read of it is read where it lies.
    pub(super) fn open_uncached(&self) -> anyhow::Result<Repository> {
        self.reach(&self.address()?, &self.password()?, None)
    }

    pub(super) fn open_at(&self, address: &str, password: &str) -> anyhow::Result<Repository> {
        self.reach(address, password, self.cache())
    }

    fn reach(&self, address: &str, password: &str, cache: Option<PathBuf>) -> anyhow::Result<Repository> {
        let store = self.store(address, self.cancel.clone())?;
        let is_remote = !matches!(address.parse()?, Address::Local(_));
        let mut opened = Opened::open(Arc::clone(&store), password)?.within(memory_limit());
        if let Some(folder) = cache.filter(|_| is_remote) {
            let id = opened.config().id.to_string();
            let cached = Cached::new(store, &folder, &id, self.args.cache_limit.saturating_mul(MIB));
            opened = opened.over(Arc::new(cached));
        }
        // What has been cancelled must still give back its lock.
        let quiet = self.store(address, Cancel::default())?;
        let locks = Locks::new(quiet, opened.seal(), me(), clock::now);
        Ok(Repository { opened, locks })
    }

    fn cache(&self) -> Option<PathBuf> {
        if self.args.no_cache {
            return None;
        }
        self.args.cache_dir.clone().or_else(|| Some(Path::new(&secret::variable("HOME")?).join(".cache/restic")))
    }

    pub(super) fn lock(&self, repository: &Repository, mode: Mode) -> anyhow::Result<Arc<Held>> {
        Ok(self.ending.keep(repository.locks.take(mode, self.args.retry_lock)?))
    }

    /// Says what was done, unless only what was asked for is wanted.
    pub(super) fn report(&self, text: &str) -> anyhow::Result<ExitCode> {
        if self.args.quiet && !self.args.json { Ok(ExitCode::SUCCESS) } else { print(text) }
    }

    /// Gives back all locks: whoever comes next needs not wait for this process to end.
    pub(super) fn end(&self) {
        self.ending.release();
    }

    /// The same after a failure.
    pub(super) fn give_up(&self) {
        if !self.ending.give_up() {
            eprintln!(
                "holdfast: the store does not answer, so the lock stays: from half an hour on, `holdfast repo unlock` removes it"
            );
        }
    }
}

/// An opened repository and its locks.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) opened: Opened,
    pub(super) locks: Locks,
}

pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(super) fn username() -> String {
    secret::variable("USER").unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}

pub(super) fn maker() -> Maker {
    Maker { created: clock::now(), username: username(), hostname: hostname() }
}

fn me() -> Lock {
    Lock::of_this_process(hostname(), username(), None)
}
