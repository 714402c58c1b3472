//! Stash's built-in Functions and Tasks, all made from one table: as objects for a cluster, and as what the daemon means by
//! their names although nobody installed them.

mod objects;
mod table;

pub use objects::{function, objects, task};
pub use table::{Addon, Direction, ENTRIES, Entry, Parameter};

use crate::model::keys::OVERRIDE;

/// Release of Stash whose names these are.
pub const RELEASE: &str = "v2025.7.31";

const PVC_BACKUP: &str = "pvc-backup";
const PVC_RESTORE: &str = "pvc-restore";
const UPDATE_STATUS: &str = "update-status";

/// What a step does whose Function is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    PvcBackup,
    PvcRestore,
    UpdateStatus,
    Addon { addon: Addon, direction: Direction },
}

/// What the Function of that name does; `None` for one that is not built in.
pub fn native(function: &str) -> Option<Native> {
    match function {
        PVC_BACKUP => Some(Native::PvcBackup),
        PVC_RESTORE => Some(Native::PvcRestore),
        UPDATE_STATUS => Some(Native::UpdateStatus),
        of_addon => {
            let member = Member::of(of_addon)?;
            Some(Native::Addon { addon: member.entry.addon, direction: member.direction })
        }
    }
}

/// Why a Task cannot run, where a step of it is of an addon that this version does not have.
pub fn refusal(task: &str, step: Native) -> Option<String> {
    let addon = match step {
        Native::PvcBackup | Native::PvcRestore | Native::UpdateStatus => return None,
        Native::Addon { addon, direction: _ } => addon,
    };
    let missing = ENTRIES.iter().find(|entry| entry.addon == addon && !entry.built)?;
    Some(format!(
        "Task {task}: the addon {} is not part of this version yet; give the Function an image of your own with the annotation {OVERRIDE}: \"true\"",
        missing.name
    ))
}

/// One version of an addon, one way: a Function and a Task of the same name.
struct Member {
    entry: &'static Entry,
    direction: Direction,
    parameters: &'static [Parameter],
    version: &'static str,
}

impl Member {
    fn all() -> impl Iterator<Item = Self> {
        ENTRIES.iter().flat_map(|entry| {
            entry.versions.iter().flat_map(move |version| {
                Direction::ALL.into_iter().filter_map(move |direction| {
                    let parameters = entry.parameters(direction)?;
                    Some(Self { entry, direction, parameters, version })
                })
            })
        })
    }

    fn of(name: &str) -> Option<Self> {
        let (addon, rest) = name.split_once('-')?;
        let (direction, version) = rest.split_once('-')?;
        Self::all().find(|member| {
            member.entry.name == addon && member.direction.as_str() == direction && member.version == version
        })
    }

    fn name(&self) -> String {
        format!("{}-{}", self.step(), self.version)
    }

    /// What the program calls it, whatever the version.
    fn step(&self) -> String {
        format!("{}-{}", self.entry.name, self.direction.as_str())
    }

    fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.parameters.iter().filter(|parameter| parameter.is_of(self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_names_say_what_a_step_does() {
        let restore = Native::Addon { addon: Addon::PerconaXtradb, direction: Direction::Restore };
        for (name, wanted) in [
            ("pvc-backup", Some(Native::PvcBackup)),
            ("pvc-restore", Some(Native::PvcRestore)),
            ("update-status", Some(Native::UpdateStatus)),
            ("perconaxtradb-restore-5.7", Some(restore)),
            ("percona-xtradb-restore-5.7", None),
            ("kubedump-backup-0.2.0", Some(Native::Addon { addon: Addon::Kubedump, direction: Direction::Backup })),
            ("kubedump-restore-0.2.0", None),
            ("etcd-backup-3.5", None),
            ("etcd-backup-3.5.0-v24", None),
            ("etcd-backup", None),
            ("PVC-backup", None),
            ("", None),
        ] {
            assert_eq!(native(name), wanted, "{name}");
        }
    }

    #[test]
    fn catalogue_refuses_by_name_what_is_not_there_yet() {
        let etcd = native("etcd-backup-3.5.0").unwrap();
        assert_eq!(
            refusal("etcd-backup-3.5.0", etcd).as_deref(),
            Some(
                "Task etcd-backup-3.5.0: the addon etcd is not part of this version yet; give the Function an image of \
                 your own with the annotation holdfast.dev/override: \"true\""
            )
        );
        for built in ["pvc-backup", "pvc-restore", "update-status"] {
            assert_eq!(refusal(built, native(built).unwrap()), None, "{built}");
        }
    }

    #[test]
    fn catalogue_entries_are_in_order_and_their_conditions_name_versions() {
        assert!(ENTRIES.is_sorted_by_key(|entry| entry.name) && ENTRIES.is_sorted_by_key(|entry| entry.addon));
        for entry in ENTRIES {
            let parameters = Direction::ALL.into_iter().filter_map(|direction| entry.parameters(direction)).flatten();
            for parameter in parameters {
                let known = parameter.only.iter().all(|version| entry.versions.contains(version));
                assert!(known, "{} {}", entry.name, parameter.name);
            }
        }
    }
}
