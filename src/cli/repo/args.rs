//! Commands and flags of `holdfast repo`, named as restic names them.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct RepoArgs {
    #[command(flatten)]
    pub repository: RepositoryArgs,
    #[command(subcommand)]
    pub command: RepoCommand,
}

/// Which repository, and how to reach it. Credentials of the store are read from the variables that restic reads.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands alone")]
pub struct RepositoryArgs {
    /// Address: a folder, or s3:, gs:, azure:, b2:, swift:, rest: as in restic.
    #[arg(
        long = "repo",
        short = 'r',
        global = true,
        env = "RESTIC_REPOSITORY",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    pub address: Option<String>,
    /// File with the address.
    #[arg(long, global = true, env = "RESTIC_REPOSITORY_FILE", value_name = "FILE", conflicts_with = "address")]
    pub repository_file: Option<PathBuf>,
    /// File with the password; without it `RESTIC_PASSWORD` is used.
    #[arg(long, short, global = true, env = "RESTIC_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print lines of JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but what was asked for, and what went wrong.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Folder for what is read again and again of remote repositories.
    #[arg(long, global = true, env = "RESTIC_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Size of that folder; what was not used for longest goes first.
    #[arg(long, global = true, default_value = "1024", value_name = "MIB")]
    pub cache_limit: u64,
    /// Keep nothing in a cache.
    #[arg(long, global = true)]
    pub no_cache: bool,
    /// Certificates to trust instead of the system's, in PEM.
    #[arg(long, global = true, env = "RESTIC_CACERT", value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, global = true)]
    pub insecure_tls: bool,
    /// How buckets of S3 are named: in the path or as part of the host.
    #[arg(long, global = true, value_enum, default_value_t = BucketLookup::Auto)]
    pub s3_bucket_lookup: BucketLookup,
    /// Requests at the same time.
    #[arg(long, global = true, value_name = "NUMBER")]
    pub connections: Option<NonZeroUsize>,
    /// KiB per second that go out; a folder has no limit.
    #[arg(long, global = true, value_name = "RATE")]
    pub limit_upload: Option<NonZeroU64>,
    /// KiB per second that come in.
    #[arg(long, global = true, value_name = "RATE")]
    pub limit_download: Option<NonZeroU64>,
    /// Wait so long for others who have locked the repository.
    #[arg(long, global = true, default_value = "0s", value_name = "DURATION")]
    pub retry_lock: jiff::SignedDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BucketLookup {
    Auto,
    Dns,
    Path,
}

#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Make a new repository, only where there is nothing.
    Init(InitArgs),
    /// Back up files and folders, or standard input.
    Backup(BackupArgs),
    /// List snapshots.
    Snapshots(SelectArgs),
    /// Restore files of a snapshot.
    Restore(RestoreArgs),
    /// Print one file of a snapshot.
    Dump(DumpArgs),
    /// Remove snapshots, by name or by rules.
    Forget(ForgetArgs),
    /// Give back the room of what no snapshot needs.
    Prune(PruneArgs),
    /// Look for damage.
    Check(CheckArgs),
    /// Count what snapshots take.
    Stats(StatsArgs),
    /// Change the tags of snapshots.
    Tag(TagArgs),
    /// Copy snapshots into this repository from another.
    Copy(CopyArgs),
    /// List, add, remove and change passwords.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Remove locks that nobody holds any more.
    Unlock(UnlockArgs),
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Version of the format: 2 compresses.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "NUMBER")]
    pub repository_version: u8,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Files and folders; or a command and its arguments, after `--`.
    #[arg(required_unless_present = "stdin")]
    pub paths: Vec<PathBuf>,
    /// Back up standard input as one file.
    #[arg(long, conflicts_with = "paths")]
    pub stdin: bool,
    /// Back up the output of the command as one file, if the command succeeds.
    #[arg(long, requires = "paths")]
    pub stdin_from_command: bool,
    /// Name of that file.
    #[arg(long, default_value = "stdin", value_name = "PATH")]
    pub stdin_filename: PathBuf,
    /// Host name in the snapshot; default this machine's.
    #[arg(long, env = "RESTIC_HOST", value_name = "NAME")]
    pub host: Option<String>,
    /// Tag for the snapshot; may be repeated.
    #[arg(long = "tag", value_delimiter = ',', value_name = "TAG")]
    pub tags: Vec<String>,
    /// Leave out what matches; may be repeated.
    #[arg(long, short, value_name = "PATTERN")]
    pub exclude: Vec<String>,
}

/// Which snapshots.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectArgs {
    /// Only of this host; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME")]
    pub host: Vec<String>,
    /// Only with all of these tags (`a,b`); may be repeated for others.
    #[arg(long, value_name = "TAGS")]
    pub tag: Vec<String>,
    /// Only of this path; may be repeated.
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExistingFiles {
    Keep,
    Delete,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Name of a snapshot or `latest`, and after a colon the folder that goes right into the target.
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: String,
    /// Folder to restore into; `/` for the original place.
    #[arg(long, short, value_name = "DIR")]
    pub target: PathBuf,
    /// Only what matches; may be repeated.
    #[arg(long, short, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Not what matches; may be repeated.
    #[arg(long, short, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// What becomes of files that are there already; without it only an empty target is taken.
    #[arg(long, value_enum)]
    pub existing: Option<ExistingFiles>,
    /// Make holes of zeros.
    #[arg(long)]
    pub sparse: bool,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Name of a snapshot or `latest`.
    pub snapshot: String,
    /// Path in the snapshot.
    pub file: PathBuf,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Names of snapshots, instead of rules.
    pub snapshots: Vec<String>,
    #[command(flatten)]
    pub keep: KeepArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Rules count within snapshots that have these in common: of host, paths, tags.
    #[arg(long, short, default_value = "host,paths", value_name = "WHAT")]
    pub group_by: String,
    /// Print what would be removed, and remove nothing.
    #[arg(long, visible_alias = "dry-run")]
    pub plan: bool,
    /// Then give back the room.
    #[arg(long)]
    pub prune: bool,
}

/// Which snapshots stay.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_field_names, reason = "the flags are named after the fields")]
pub struct KeepArgs {
    /// The newest so many.
    #[arg(long, short = 'l', default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_last: i64,
    /// The newest of each of the last so many hours that have one.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_hourly: i64,
    /// The same for days.
    #[arg(long, short = 'd', default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_daily: i64,
    /// For weeks.
    #[arg(long, short = 'w', default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_weekly: i64,
    /// For months.
    #[arg(long, short = 'm', default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_monthly: i64,
    /// For years.
    #[arg(long, short = 'y', default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..), value_name = "N")]
    pub keep_yearly: i64,
    /// Snapshots with all of these tags (`a,b`); may be repeated.
    #[arg(long, value_name = "TAGS")]
    pub keep_tag: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// So much may stay unused, in percent of what is used: less costs more copying.
    #[arg(long, default_value = "5%", value_parser = percent, value_name = "PERCENT")]
    pub max_unused: u64,
    /// Print what would be removed, and remove nothing.
    #[arg(long, visible_alias = "dry-run")]
    pub plan: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Read all packs.
    #[arg(long, conflicts_with = "read_data_subset")]
    pub read_data: bool,
    /// Read a part: `2/7` for the second of seven, `10%` for some, one pack at least.
    #[arg(long, value_name = "PART")]
    pub read_data_subset: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsMode {
    RestoreSize,
    RawData,
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// A snapshot; default all.
    pub snapshot: Option<String>,
    /// What is counted: the files of a restore, or what lies in the repository.
    #[arg(long, value_enum, default_value_t = StatsMode::RestoreSize)]
    pub mode: StatsMode,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Args)]
pub struct TagArgs {
    /// Names of snapshots; default all that the filter leaves.
    pub snapshots: Vec<String>,
    /// Tags in the place of all others.
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    pub set: Option<Vec<String>>,
    /// More tags.
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    pub add: Vec<String>,
    /// Tags that go.
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    pub remove: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Names of snapshots; default all that the filter leaves.
    pub snapshots: Vec<String>,
    /// Address of the other repository.
    #[arg(long, env = "RESTIC_FROM_REPOSITORY", hide_env_values = true, value_name = "ADDRESS")]
    pub from_repo: String,
    /// File with its password; without it `RESTIC_FROM_PASSWORD` is used.
    #[arg(long, env = "RESTIC_FROM_PASSWORD_FILE", value_name = "FILE")]
    pub from_password_file: Option<PathBuf>,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List keys.
    List,
    /// Add a password.
    Add(NewPasswordArgs),
    /// Remove a password, by the name of its key.
    Remove {
        /// Name of the key, or its beginning.
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Put a new password in the place of this one.
    Passwd(NewPasswordArgs),
}

#[derive(Debug, Args)]
pub struct NewPasswordArgs {
    /// File with the new password.
    #[arg(long, value_name = "FILE")]
    pub new_password_file: PathBuf,
}

#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Also locks that somebody may still hold.
    #[arg(long, action = ArgAction::SetTrue)]
    pub remove_all: bool,
}

fn percent(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    number.parse().map_err(|_| "give a percentage, such as 5%".to_owned())
}
