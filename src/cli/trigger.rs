//! `holdfast trigger`: creates the session of a slot, in the pod of a `CronJob`, or one of now for a person.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::args::{Connection, TriggerArgs};
use super::connection::runtime;
use super::output::print;
use crate::build::names;
use crate::clock;
use crate::cluster::trigger;

pub(super) fn run(args: &TriggerArgs, connection: &Connection) -> anyhow::Result<ExitCode> {
    let slot = match &args.slot_job {
        Some(job) => names::slot_of_job(job).with_context(|| format!("{job} is not the name of a Job of a CronJob"))?,
        None => clock::now(),
    };
    let made = runtime()?.block_on(trigger::create(
        connection.kubeconfig.as_deref(),
        connection.context.as_deref(),
        connection.namespace.as_deref(),
        &args.invoker,
        slot,
    ))?;
    let (namespace, session) = match made {
        trigger::Made::New { namespace, session } => (namespace, session),
        trigger::Made::Known { namespace, session } => {
            return print(&format!("BackupSession {namespace}/{session} is there already\n"));
        }
        trigger::Made::Paused { namespace, name } if args.slot_job.is_none() => {
            bail!("BackupConfiguration {namespace}/{name} is paused: resume it first");
        }
        // A CronJob that was suspended at this moment.
        trigger::Made::Paused { namespace, name } => {
            return print(&format!("BackupConfiguration {namespace}/{name} is paused: no session\n"));
        }
    };
    print(&format!("BackupSession {namespace}/{session} created\n"))
}
