//! The definitions of the API that Holdfast speaks, as they are applied to a cluster.

macro_rules! definitions {
    ($($name:literal in $file:literal,)+) => {
        &[$(($name, include_str!(concat!("crds/", $file, ".yaml"))),)+]
    };
}

const CRDS: &[(&str, &str)] = definitions![
    "appbindings.appcatalog.appscode.com" in "appcatalog.appscode.com_appbindings",
    "backupbatches.stash.appscode.com" in "stash.appscode.com_backupbatches",
    "backupblueprints.stash.appscode.com" in "stash.appscode.com_backupblueprints",
    "backupconfigurations.stash.appscode.com" in "stash.appscode.com_backupconfigurations",
    "backupsessions.stash.appscode.com" in "stash.appscode.com_backupsessions",
    "functions.stash.appscode.com" in "stash.appscode.com_functions",
    "repositories.stash.appscode.com" in "stash.appscode.com_repositories",
    "restorebatches.stash.appscode.com" in "stash.appscode.com_restorebatches",
    "restoresessions.stash.appscode.com" in "stash.appscode.com_restoresessions",
    "tasks.stash.appscode.com" in "stash.appscode.com_tasks",
];

/// Name and YAML of every definition, by name.
pub fn crds() -> Vec<(&'static str, &'static str)> {
    CRDS.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Watched;

    #[test]
    fn each_text_defines_what_its_name_says() {
        for (name, yaml) in crds() {
            let definition: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(definition["kind"], "CustomResourceDefinition", "{name}");
            assert_eq!(definition["metadata"]["name"], name);
        }
        assert!(crds().is_sorted());
    }

    #[test]
    fn every_kind_of_ours_that_is_watched_is_defined() {
        for watched in Watched::all().filter(|watched| watched.api_version().contains("appscode.com/")) {
            let group = watched.api_version().split('/').next().unwrap_or_default();
            let name = format!("{}.{group}", watched.resource());
            assert!(crds().iter().any(|(defined, _)| *defined == name), "{name}");
        }
    }
}
