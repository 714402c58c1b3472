//! `holdfast observe`: the cluster as a file.

use std::process::ExitCode;

use super::args::{Connection, ObserveArgs};
use super::connection::{connect, runtime};
use super::output::print;
use crate::cluster::observe::dump;
use crate::yaml;

pub(super) fn run(args: &ObserveArgs, connection: &Connection) -> anyhow::Result<ExitCode> {
    let lists = runtime()?.block_on(async {
        let handles = connect(connection).await?;
        anyhow::Ok(dump(&handles, args.managed_fields).await?)
    })?;
    let documents: Vec<String> = lists.iter().map(|list| format!("---\n{}", yaml::write(list))).collect();
    print(&documents.concat())
}
