//! `holdfast observe`: the cluster as a file.

use std::process::ExitCode;

use super::args::{Connection, ObserveArgs};
use crate::cluster::api::Handles;
use crate::cluster::observe::dump;
use crate::yaml;

pub(super) fn run(args: &ObserveArgs, connection: &Connection) -> anyhow::Result<ExitCode> {
    let lists = super::run_daemon::runtime()?.block_on(async {
        let handles = connect(connection).await?;
        anyhow::Ok(dump(&handles, args.managed_fields).await?)
    })?;
    for list in &lists {
        print!("---\n{}", yaml::write(list));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Handles> {
    let Connection { kubeconfig, context, namespace } = connection;
    Handles::connect(kubeconfig.as_deref(), context.as_deref(), namespace.as_deref()).await
}
