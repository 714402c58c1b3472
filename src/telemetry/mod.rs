//! Logs: one line per decision, as text for people or JSON for machines.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::expression;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The client of the API server logs every request that failed, with an address and at its highest level. What came of
/// it we say ourselves, once; a filter that names the client gets its lines back.
const QUIET: &str = "kube_client=off";

/// Starts logging to standard error. `filter` is a `tracing` filter such as `info` or `holdfast=debug`.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}

/// A panic inside of an expression is an answer to whoever wrote it, and would be a line for every object of a cluster.
pub fn leave_out_panics_of_expressions() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !expression::is_guarded() {
            before(panic);
        }
    }));
}
