//! Carries asynchronous requests out for callers that are not, until they are done or the work is to end.

use std::fmt;
use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};

use super::Fault;
use crate::repository::cancel::Cancel;

/// Connections are served by so many threads; requests themselves run on the threads of their callers.
const THREADS: usize = 2;

pub(super) struct Driver {
    /// There until this is dropped.
    runtime: Option<Runtime>,
    cancel: Cancel,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

impl Driver {
    pub(super) fn new(cancel: Cancel) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("store").enable_all().build()?;
        Ok(Self { runtime: Some(runtime), cancel })
    }

    /// Not from a task of a runtime: this waits. A request in flight is dropped with the wish to end, and its connection with it.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::Cancelled) };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Fault::Cancelled),
                done = work => done,
            }
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads would panic where a task drops the store.
            runtime.shutdown_background();
        }
    }
}
