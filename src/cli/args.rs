//! Commands and flags. Every flag of the daemon has an environment twin `HOLDFAST_*`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::docs::Topic;
use super::repo::args::RepoArgs;
use crate::install::manifests::{IMAGE, NAMESPACE};
use crate::plan;
use crate::telemetry::LogFormat;

/// GitOps backup daemon for Kubernetes that speaks the API of Stash.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub connection: Connection,
}

/// How to reach a cluster.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Kubeconfig file; default as kubectl, or the pod's own account.
    #[arg(long, global = true, env = "HOLDFAST_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, global = true, env = "HOLDFAST_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of the daemon: its Lease and its state live there.
    #[arg(long, short, global = true, env = "HOLDFAST_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would be done, and why.
    Plan(PlanArgs),
    /// Lint documents; exits 1 on findings.
    Check(CheckArgs),
    /// Print the cluster as a file that `plan --cluster` reads (no secret values).
    Observe(ObserveArgs),
    /// Show what the status branches say.
    Status(StatusArgs),
    /// Work on a restic repository.
    Repo(Box<RepoArgs>),
    /// Print the custom resource definitions.
    Crds,
    /// Print the built-in Functions and Tasks.
    Catalogue {
        #[arg(long, default_value = IMAGE, value_name = "IMAGE")]
        image: String,
    },
    /// Print the manifests that install the daemon.
    Manifests(ManifestsArgs),
    /// Print the reference: a page, or the JSON Schema of all documents.
    Docs { topic: Topic },
    /// Start a backup now.
    Trigger(TriggerArgs),
    /// Run the daemon.
    Daemon(Box<DaemonArgs>),
    /// Do one step of a session: the daemon starts this in a Job, and says in the environment what to do.
    Agent,
    /// Print a completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

/// Where documents are read from.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the flags are named after the fields")]
#[expect(clippy::doc_markdown, reason = "text for a terminal, where backticks are noise")]
pub struct SourceArgs {
    /// URL of the Git repository (https://, ssh://, host:path; http:// and paths with --git-insecure).
    #[arg(long, env = "HOLDFAST_GIT_URL", value_name = "URL")]
    pub git_url: Option<String>,
    /// Branch; default the remote's HEAD.
    #[arg(long, env = "HOLDFAST_GIT_REF", value_name = "BRANCH")]
    pub git_ref: Option<String>,
    /// Folder or file below which documents are read; may be repeated. Default all.
    #[arg(long = "git-path", env = "HOLDFAST_GIT_PATH", value_delimiter = ',', value_name = "PATH")]
    pub git_paths: Vec<String>,
    /// Folder with credentials under Flux's key names: username, password, bearerToken, ca.crt, identity, known_hosts.
    #[arg(long, env = "HOLDFAST_GIT_CREDENTIALS", value_name = "DIR")]
    pub git_credentials: Option<PathBuf>,
    /// Allow http:// and local paths.
    #[arg(long, env = "HOLDFAST_GIT_INSECURE")]
    pub git_insecure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    Diff,
    Json,
    Yaml,
    Summary,
}

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Folder with documents, instead of a Git repository.
    #[arg(long, value_name = "DIR", conflicts_with = "git_url")]
    pub tree: Option<PathBuf>,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Cluster file as `holdfast observe` or `kubectl get -o yaml` prints it; without it the live cluster is read.
    #[arg(long, value_name = "FILE")]
    pub cluster: Option<PathBuf>,
    /// Plan for this moment (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
    #[arg(long, short, value_enum, default_value_t = PlanOutput::Diff)]
    pub output: PlanOutput,
    /// Exit with 2 when there is something to do.
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub planning: PlanningArgs,
}

/// What an operator decides about planning.
#[derive(Clone, Debug, Args)]
pub struct PlanningArgs {
    /// How long the cause of an object must be gone before the object goes.
    #[arg(long, env = "HOLDFAST_DELETE_DELAY", default_value = "10m", value_name = "DURATION", value_parser = delay)]
    pub delete_delay: SignedDuration,
    /// Take over what an installed Stash made, where target and backend are equal.
    #[arg(long, env = "HOLDFAST_ADOPT", value_enum, value_name = "WHAT")]
    pub adopt: Option<Adopt>,
    /// Name of the cluster, for the output.
    #[arg(long, env = "HOLDFAST_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
}

impl PlanningArgs {
    pub(super) fn settings(&self) -> plan::Settings {
        plan::Settings {
            delete_delay: self.delete_delay,
            adopt_stash: self.adopt == Some(Adopt::Stash),
            cluster_name: self.cluster_name.clone().unwrap_or_default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Adopt {
    Stash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    Text,
    Json,
    Github,
    Sarif,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Files and folders with documents.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Also plan against this cluster file, and report what would be refused.
    #[arg(long, value_name = "FILE")]
    pub cluster: Option<PathBuf>,
    /// Also report what policies want protected and is not, or not enough.
    #[arg(long, requires = "cluster")]
    pub coverage: bool,
    /// Name of the cluster, for policies that read it.
    #[arg(long, env = "HOLDFAST_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
    /// Check for this moment (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
    #[arg(long, short, value_enum, default_value_t = CheckOutput::Text)]
    pub output: CheckOutput,
}

#[derive(Clone, Debug, Args)]
pub struct ObserveArgs {
    /// Also print managedFields, which say who set what.
    #[arg(long)]
    pub managed_fields: bool,
}

#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// One row for every cluster that writes to the repository.
    #[arg(long)]
    pub fleet: bool,
    /// Status branch, where it is not holdfast/<cluster>.
    #[arg(long, env = "HOLDFAST_STATUS_BRANCH", value_name = "BRANCH", conflicts_with = "fleet")]
    pub status_branch: Option<String>,
    /// Name of the cluster.
    #[arg(long, env = "HOLDFAST_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct ManifestsArgs {
    /// Name of the cluster: the status branch is holdfast/<name>.
    #[arg(long, value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: String,
    /// URL of the Git repository.
    #[arg(long, value_name = "URL")]
    pub git_url: String,
    /// Secret in the namespace that holds the credentials for Git.
    #[arg(long, value_name = "NAME")]
    pub git_secret: Option<String>,
    /// Secret with other credentials, for the repository of the status branch.
    #[arg(long, value_name = "NAME")]
    pub status_secret: Option<String>,
    /// Secret whose key `identity` is the SSH key that signs the status branch.
    #[arg(long, value_name = "NAME")]
    pub signing_secret: Option<String>,
    #[arg(long, default_value = IMAGE, value_name = "IMAGE")]
    pub image: String,
    /// Namespace to install into.
    #[arg(long, default_value = NAMESPACE, value_name = "NAME")]
    pub install_namespace: String,
    /// What the container asks for, as cpu=50m,memory=128Mi; instead of what is shipped.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE=QUANTITY", value_parser = resource)]
    pub requests: Option<Vec<(String, String)>>,
    /// What the container may have at most, as memory=512Mi; instead of what is shipped.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE=QUANTITY", value_parser = resource)]
    pub limits: Option<Vec<(String, String)>>,
    /// More flags of the daemon, after `--`.
    #[arg(last = true, value_name = "FLAG")]
    pub flags: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct DaemonArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Between two looks at the head of the source.
    #[arg(long, env = "HOLDFAST_GIT_INTERVAL", default_value = "30s", value_name = "DURATION", value_parser = interval)]
    pub git_interval: SignedDuration,
    /// Repository of the status branch; default the source.
    #[arg(long, env = "HOLDFAST_STATUS_URL", value_name = "URL")]
    pub status_url: Option<String>,
    /// Status branch; default holdfast/<cluster>.
    #[arg(long, env = "HOLDFAST_STATUS_BRANCH", value_name = "BRANCH")]
    pub status_branch: Option<String>,
    /// Folder with credentials for the repository of the status branch, as --git-credentials; default those of the source.
    #[arg(long, env = "HOLDFAST_STATUS_CREDENTIALS", value_name = "DIR")]
    pub status_credentials: Option<PathBuf>,
    /// OpenSSH private key (ed25519, without passphrase) that signs every commit; without it none is signed.
    #[arg(long, env = "HOLDFAST_STATUS_SIGNING_KEY", value_name = "FILE")]
    pub status_signing_key: Option<PathBuf>,
    /// Write nothing to Git.
    #[arg(long, env = "HOLDFAST_READ_ONLY")]
    pub read_only: bool,
    /// UID of another cluster whose status branch this one takes over.
    #[arg(long, env = "HOLDFAST_TAKE_OVER", value_name = "UID")]
    pub take_over: Option<String>,
    /// Between two passes without a cause.
    #[arg(long, env = "HOLDFAST_FULL_PASS", default_value = "10m", value_name = "DURATION", value_parser = interval)]
    pub full_pass: SignedDuration,
    /// Address of /metrics, /healthz and /readyz.
    #[arg(long, env = "HOLDFAST_LISTEN", default_value = ":8080", value_name = "ADDRESS")]
    pub listen: String,
    /// Zone of schedules that name none.
    #[arg(long, env = "HOLDFAST_TIME_ZONE", default_value = "Etc/UTC", value_name = "ZONE")]
    pub time_zone: String,
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Filter of log lines, as tracing has it.
    #[arg(long, env = "HOLDFAST_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// Folder for the bare clones; it may be lost at any time.
    #[arg(long, env = "HOLDFAST_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// How backups and restores are run.
#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    /// Who runs backups and restores: this daemon, or a Stash that is installed.
    #[arg(long, env = "HOLDFAST_ENGINE", value_enum, default_value_t = EngineChoice::External)]
    pub engine: EngineChoice,
    /// What creates a session at its slot: a CronJob with a pod for each, or the daemon without one.
    #[arg(long, env = "HOLDFAST_SCHEDULER", value_enum, default_value_t = SchedulerChoice::Cronjob)]
    pub scheduler: SchedulerChoice,
    /// How volumes of a workload are reached where its annotation holdfast.dev/model does not say.
    #[arg(long, env = "HOLDFAST_WORKLOAD_MODEL", value_enum, default_value_t = ModelChoice::Sidecar)]
    pub workload_model: ModelChoice,
    /// Copy the Secret of a Repository of another namespace into that of a session, for its time, where its usagePolicy allows that.
    #[arg(long, env = "HOLDFAST_SECRET_PROJECTION")]
    pub secret_projection: bool,
    /// How long a pod may take to start before its target is given up.
    #[arg(long, env = "HOLDFAST_START_TIMEOUT", default_value = "10m", value_name = "DURATION", value_parser = interval)]
    pub start_timeout: SignedDuration,
    /// Image of the pods of sessions.
    #[arg(long, env = "HOLDFAST_AGENT_IMAGE", default_value = IMAGE, value_name = "IMAGE")]
    pub agent_image: String,
    /// Jobs that run at a time, in all.
    #[arg(long, env = "HOLDFAST_MAX_JOBS", default_value = "20", value_name = "COUNT")]
    pub max_jobs: NonZeroUsize,
    /// Jobs that run at a time on one repository.
    #[arg(long, env = "HOLDFAST_MAX_JOBS_PER_REPOSITORY", default_value = "5", value_name = "COUNT")]
    pub max_jobs_per_repository: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    Builtin,
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchedulerChoice {
    Cronjob,
    Internal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelChoice {
    Sidecar,
    Job,
}

/// What a pod of a CronJob runs, and what a person may.
#[derive(Clone, Debug, Args)]
pub struct TriggerArgs {
    /// Name of the BackupConfiguration, in the namespace that -n gives.
    #[arg(value_name = "BACKUPCONFIGURATION")]
    pub invoker: String,
    /// The session is that of the slot of this Job of a CronJob; without it, of now.
    #[arg(long, env = "HOLDFAST_SLOT_JOB", hide = true, value_name = "JOB")]
    pub slot_job: Option<String>,
}

/// `[a-z0-9-]{1,40}`: it becomes part of a branch name.
fn cluster_name(text: &str) -> Result<String, String> {
    let sound = (1..=40).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if sound { Ok(text.to_owned()) } else { Err("1 to 40 lower-case letters, digits and `-`".to_owned()) }
}

/// The API server judges the rest.
fn resource(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, quantity)) if !name.is_empty() && !quantity.is_empty() => {
            Ok((name.to_owned(), quantity.to_owned()))
        }
        Some(_) | None => Err("a resource is written as memory=512Mi".to_owned()),
    }
}

/// A shorter one would look at the source or the cluster without a pause.
const INTERVAL_MIN: SignedDuration = SignedDuration::from_secs(1);

fn interval(text: &str) -> Result<SignedDuration, String> {
    let interval = duration(text)?;
    if interval < INTERVAL_MIN { Err("an interval is at least 1s".to_owned()) } else { Ok(interval) }
}

/// With a negative one an object would go before its cause was seen to be gone.
fn delay(text: &str) -> Result<SignedDuration, String> {
    let delay = duration(text)?;
    if delay.is_negative() { Err("a delay is not negative".to_owned()) } else { Ok(delay) }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|error: jiff::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_make_no_sense_are_refused() {
        for flag in ["--git-interval", "--full-pass", "--delete-delay"] {
            let parse = |value: &str| Cli::try_parse_from(["holdfast", "daemon", &format!("{flag}={value}")]);
            for good in ["1s", "1h30m"] {
                assert!(parse(good).is_ok(), "{flag} {good}");
            }
            for bad in ["-1s", "1s ago", "soon", "5"] {
                assert!(parse(bad).is_err(), "{flag} {bad}");
            }
            assert_eq!(parse("0s").is_ok(), flag == "--delete-delay", "{flag}");
            assert_eq!(parse("999ms").is_ok(), flag == "--delete-delay", "{flag}");
        }
        let said = Cli::try_parse_from(["holdfast", "daemon", "--full-pass=0s"]).unwrap_err().to_string();
        assert!(said.contains("--full-pass") && said.contains("at least 1s"), "{said}");
    }
}
