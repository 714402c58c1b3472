//! The addons of Stash v2025.7.31 as data: which versions there are, and what a person may say to each. Only facts are taken
//! from there; every name is a promise to those who come from Stash.

/// What Stash can back up by a Task beside a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Addon {
    Elasticsearch,
    Etcd,
    Kubedump,
    Mariadb,
    Mongodb,
    Mysql,
    Nats,
    PerconaXtradb,
    Postgres,
    Redis,
    Vault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Backup,
    Restore,
}

impl Direction {
    pub const ALL: [Self; 2] = [Self::Backup, Self::Restore];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

/// One addon of the release.
#[derive(Debug)]
pub struct Entry {
    pub addon: Addon,
    /// Begins the names of its objects.
    pub name: &'static str,
    /// Ends them. No more than a label: Stash promises that versions of the same major work.
    pub versions: &'static [&'static str],
    pub backup: &'static [Parameter],
    /// `None` where nothing is restored by a Task.
    pub restore: Option<&'static [Parameter]>,
    /// Whether the program can do it in this version.
    pub built: bool,
}

impl Entry {
    /// What a person may say to it; `None` where it does not go that way.
    pub fn parameters(&self, direction: Direction) -> Option<&'static [Parameter]> {
        match direction {
            Direction::Backup => Some(self.backup),
            Direction::Restore => self.restore,
        }
    }
}

/// What a person may give in `task.params`.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub default: &'static str,
    /// Versions that know it; empty where all do.
    pub only: &'static [&'static str],
}

impl Parameter {
    pub fn is_of(&self, version: &str) -> bool {
        self.only.is_empty() || self.only.contains(&version)
    }
}

const fn parameter(name: &'static str, default: &'static str) -> Parameter {
    Parameter { name, default, only: &[] }
}

const ARGS: Parameter = parameter("args", "");
/// Seconds until a database that does not answer is given up.
const WAIT_TIMEOUT: Parameter = parameter("waitTimeout", "300");
const WARNING_THRESHOLD: Parameter = parameter("warningThreshold", "30s");
const STREAMS: Parameter = parameter("streams", "");
const USER: Parameter = parameter("user", "");
const KEY_PREFIX: Parameter = parameter("keyPrefix", "");
const MAX_CONCURRENCY: Parameter = parameter("MAX_CONCURRENCY", "3");
const AUTHENTICATION_DATABASE: Parameter = parameter("authenticationDatabase", "admin");
const WITH_DASHBOARDS: &[&str] = &["7.3.2", "7.14.0", "8.2.0"];
const WITH_MANY_DUMPS: &[&str] = &["8.0.3", "8.0.14", "8.0.21"];

/// By name.
pub const ENTRIES: &[Entry] = &[
    Entry {
        addon: Addon::Elasticsearch,
        name: "elasticsearch",
        versions: &["5.6.4", "6.2.4", "6.3.0", "6.4.0", "6.5.3", "6.8.0", "7.2.0", "7.3.2", "7.14.0", "8.2.0"],
        backup: &[
            ARGS,
            WAIT_TIMEOUT,
            Parameter { name: "ENABLE_DASHBOARD_BACKUP", default: "false", only: WITH_DASHBOARDS },
        ],
        restore: Some(&[
            ARGS,
            WAIT_TIMEOUT,
            Parameter { name: "ENABLE_DASHBOARD_RESTORE", default: "false", only: WITH_DASHBOARDS },
        ]),
        built: false,
    },
    Entry {
        addon: Addon::Etcd,
        name: "etcd",
        versions: &["3.5.0"],
        backup: &[ARGS, WAIT_TIMEOUT],
        restore: Some(&[
            ARGS,
            parameter("initialCluster", ""),
            parameter("initialClusterToken", ""),
            parameter("dataDir", ""),
            parameter("workloadKind", ""),
            parameter("workloadName", ""),
            WAIT_TIMEOUT,
        ]),
        built: false,
    },
    Entry {
        addon: Addon::Kubedump,
        name: "kubedump",
        versions: &["0.2.0"],
        backup: &[
            parameter("sanitize", "true"),
            parameter("labelSelector", ""),
            parameter("includeDependants", "false"),
            parameter("ignoreGroupKinds", ""),
        ],
        restore: None,
        built: false,
    },
    Entry {
        addon: Addon::Mariadb,
        name: "mariadb",
        versions: &["10.5.8"],
        backup: &[parameter("args", "--all-databases --ignore-database=mysql"), WAIT_TIMEOUT],
        restore: Some(&[ARGS, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Mongodb,
        name: "mongodb",
        versions: &[
            "3.4.17", "3.4.22", "3.6.8", "3.6.13", "4.0.3", "4.0.5", "4.0.11", "4.1.4", "4.1.7", "4.1.13", "4.2.3",
            "4.4.6", "5.0.3", "5.0.15", "6.0.5",
        ],
        backup: &[ARGS, MAX_CONCURRENCY, AUTHENTICATION_DATABASE, WAIT_TIMEOUT],
        restore: Some(&[ARGS, MAX_CONCURRENCY, AUTHENTICATION_DATABASE, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Mysql,
        name: "mysql",
        versions: &["5.7.25", "8.0.3", "8.0.14", "8.0.21"],
        backup: &[
            parameter("args", "--all-databases"),
            Parameter { name: "multiDumpArgs", default: "", only: WITH_MANY_DUMPS },
            WAIT_TIMEOUT,
        ],
        restore: Some(&[ARGS, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Nats,
        name: "nats",
        versions: &["2.6.1", "2.8.2"],
        backup: &[ARGS, STREAMS, WARNING_THRESHOLD, WAIT_TIMEOUT],
        restore: Some(&[ARGS, STREAMS, parameter("overwrite", "false"), WARNING_THRESHOLD, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::PerconaXtradb,
        name: "perconaxtradb",
        versions: &["5.7", "8.0", "8.4"],
        backup: &[parameter("args", "--all-databases"), parameter("socatRetry", "30"), WAIT_TIMEOUT],
        restore: Some(&[ARGS, parameter("TARGET_APP_REPLICAS", "1"), WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Postgres,
        name: "postgres",
        versions: &["9.6.19", "10.14", "11.9", "12.4", "13.1", "14.0", "15.1", "16.1", "17.2"],
        backup: &[parameter("backupCMD", "pg_dumpall"), ARGS, USER, WAIT_TIMEOUT],
        restore: Some(&[ARGS, USER, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Redis,
        name: "redis",
        versions: &["5.0.13", "6.2.5", "7.0.5"],
        backup: &[ARGS, WAIT_TIMEOUT],
        restore: Some(&[ARGS, WAIT_TIMEOUT]),
        built: false,
    },
    Entry {
        addon: Addon::Vault,
        name: "vault",
        versions: &["1.10.3"],
        backup: &[ARGS, KEY_PREFIX, WAIT_TIMEOUT],
        restore: Some(&[ARGS, parameter("force", "false"), KEY_PREFIX, parameter("oldKeyPrefix", ""), WAIT_TIMEOUT]),
        built: false,
    },
];
