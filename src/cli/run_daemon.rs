//! `holdfast daemon`: flags into settings.

use std::process::ExitCode;

use anyhow::bail;

use super::args::{Connection, DaemonArgs, EngineChoice, ModelChoice, SchedulerChoice};
use super::connection::{connect, runtime};
use super::source::{endpoint, source};
use crate::control::engine::Limits;
use crate::control::engine::world::{Model, Scheduler};
use crate::cron;
use crate::daemon::{self, EngineSettings, Settings, StatusSettings};
use crate::git::{SigningKey, SourceSettings};
use crate::install::rbac::trigger_role;
use crate::telemetry;

pub(super) fn run(args: &DaemonArgs, connection: &Connection) -> anyhow::Result<ExitCode> {
    telemetry::start(args.log_format, &args.log)?;
    // What is wrong with the flags is said before anything is connected to.
    settings(args, "")?;
    runtime()?.block_on(async {
        let handles = connect(connection).await?;
        daemon::run(settings(args, handles.namespace())?, handles).await
    })?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "the command line chooses where the cache lies")]
fn settings(args: &DaemonArgs, namespace: &str) -> anyhow::Result<Settings> {
    let Some(cluster_name) = args.planning.cluster_name.clone() else {
        bail!("--cluster-name is required: the status branch is named after it");
    };
    let Some(source) = source(&args.source)? else { bail!("--git-url is required: it says where the documents are") };
    if !cron::zone_exists(&args.time_zone) {
        bail!("--time-zone {:?} is not a zone such as Etc/UTC or Europe/Berlin", args.time_zone);
    }
    let status = if args.read_only { None } else { Some(status(args, &source, &cluster_name)?) };
    let cache = args.cache_dir.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("holdfast-{cluster_name}")));
    Ok(Settings {
        source_url: source.endpoint.url.to_string(),
        source_paths: args.source.git_paths.clone(),
        cluster_name,
        source,
        status,
        cache,
        interval: args.git_interval,
        full_pass: args.full_pass,
        planning: args.planning.settings(),
        time_zone: args.time_zone.clone(),
        engine: engine(args, namespace),
        listen: args.listen.clone(),
        instance: instance(),
    })
}

/// `namespace` is the daemon's own.
fn engine(args: &DaemonArgs, namespace: &str) -> Option<EngineSettings> {
    let engine = &args.engine;
    if engine.engine == EngineChoice::External {
        return None;
    }
    Some(EngineSettings {
        image: engine.agent_image.clone(),
        trigger_role: trigger_role(namespace),
        zone: args.time_zone.clone(),
        scheduler: match engine.scheduler {
            SchedulerChoice::Cronjob => Scheduler::CronJob,
            SchedulerChoice::Internal => Scheduler::Internal,
        },
        model: match engine.workload_model {
            ModelChoice::Sidecar => Model::Sidecar,
            ModelChoice::Job => Model::Job,
        },
        start_timeout: engine.start_timeout,
        limits: Limits { all: engine.max_jobs.get(), per_repository: engine.max_jobs_per_repository.get() },
        projection: engine.secret_projection,
    })
}

/// Where the status goes; never where the source is read from.
fn status(args: &DaemonArgs, source: &SourceSettings, cluster_name: &str) -> anyhow::Result<StatusSettings> {
    let branch = args.status_branch.clone().unwrap_or_else(|| format!("holdfast/{cluster_name}"));
    if branch == "holdfast" {
        bail!(
            "a branch named holdfast would be in the way of all branches holdfast/<cluster>: give another --status-branch"
        );
    }
    let mut repository = match endpoint(&args.source, args.status_url.as_deref())? {
        Some(endpoint) => endpoint,
        None => source.endpoint.clone(),
    };
    if let Some(credentials) = &args.status_credentials {
        repository.credentials = Some(credentials.clone());
    }
    let same = repository.url.is_same_repository(&source.endpoint.url);
    if same && source.reference.as_deref() == Some(branch.as_str()) {
        bail!(
            "the status branch {branch} is the branch that the documents are read from: every status would be a new source"
        );
    }
    let signing_key = args.status_signing_key.clone().map(SigningKey::open).transpose()?;
    Ok(StatusSettings { repository, branch, take_over: args.take_over.clone(), signing_key })
}

/// Name of the pod, or of the host where there is none.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn instance() -> String {
    let named = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    named.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "holdfast".to_owned())
}
