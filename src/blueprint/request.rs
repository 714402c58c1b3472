//! What a target asks for in its annotations. Annotations are untrusted: any bytes give a request or a fault.

use std::collections::BTreeMap;

use super::fault::{Fault, quoted};
use super::variables::{self, ENTRIES_MAX};
use crate::cron::Schedule;
use crate::model::finding::RefusalCode;
use crate::model::keys;
use crate::model::names::is_subdomain;
use crate::model::object::TargetKey;

/// More blueprints on one target than anybody needs; each makes two objects.
const BLUEPRINTS_MAX: usize = 16;
/// Paths and mounts of one target; each path becomes a snapshot of its own.
const PATHS_MAX: usize = 64;
/// Longest value that is taken from an annotation into an object; the API server takes 256 KiB for all annotations.
const VALUE_BYTES_MAX: usize = 4096;

/// Parameter names that would shadow what the engine itself sets (`*` at the end: any name with that beginning).
const RESERVED_PARAMS: [&str; 6] = ["REPOSITORY_*", "STASH_*", "NAMESPACE", "INVOKER_*", "TARGET_*", "ADDON_IMAGE"];

/// `volume:mountPath[:subPath]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub volume: String,
    pub path: String,
    pub sub_path: Option<String>,
}

/// A sound set of annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub paths: Vec<String>,
    pub mounts: Vec<Mount>,
    pub schedule: Option<String>,
    pub params: BTreeMap<String, String>,
    pub variables: BTreeMap<String, String>,
}

/// The blueprints that a target names, in its order; `None` if it names none at all.
pub fn blueprints(annotations: &BTreeMap<String, String>) -> Option<Result<Vec<&str>, Fault>> {
    let list = annotations.get(keys::BACKUP_BLUEPRINT)?;
    let bad = |message: String| Some(Err(bad(keys::BACKUP_BLUEPRINT, &message)));
    let mut names: Vec<&str> = Vec::new();
    for name in list.split(',').map(str::trim) {
        if name.is_empty() {
            return bad(format!("{} has an empty name: name a blueprint, or remove the annotation", quoted(list)));
        }
        if !is_subdomain(name) {
            return bad(format!("{} is not the name of a blueprint", quoted(name)));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > BLUEPRINTS_MAX {
        return bad(format!("names {} blueprints; {BLUEPRINTS_MAX} are the most", names.len()));
    }
    Some(Ok(names))
}

impl Request {
    pub fn parse(target: &TargetKey, annotations: &BTreeMap<String, String>) -> Result<Self, Fault> {
        if !is_subdomain(&target.name) || !is_subdomain(&target.namespace) {
            let message = format!("{} is not a name that Kubernetes accepts", quoted(&target.spoken()));
            return Err(Fault::new(RefusalCode::BadVariable, message));
        }
        let (paths, mounts) = if target.kind.is_workload() { places(annotations)? } else { (Vec::new(), Vec::new()) };
        Ok(Self {
            paths,
            mounts,
            schedule: schedule(annotations)?,
            params: params(annotations)?,
            variables: variables::of_target(annotations)?,
        })
    }
}

/// Paths and mounts: both or neither, and a workload needs both.
fn places(annotations: &BTreeMap<String, String>) -> Result<(Vec<String>, Vec<Mount>), Fault> {
    let missing: Vec<&str> =
        [keys::TARGET_PATHS, keys::VOLUME_MOUNTS].into_iter().filter(|key| !annotations.contains_key(*key)).collect();
    if !missing.is_empty() {
        let what = if missing.len() == 1 { "annotation" } else { "annotations" };
        let are = if missing.len() == 1 { "is" } else { "are" };
        let message = format!(
            "{what} {} {are} missing: a workload names the paths to back up and the volumes that hold them",
            missing.join(" and ")
        );
        return Err(Fault::new(RefusalCode::IncompleteAnnotations, message));
    }
    let paths = list(annotations, keys::TARGET_PATHS)?;
    for path in &paths {
        absolute(keys::TARGET_PATHS, path)?;
    }
    let mut mounts = Vec::new();
    for entry in list(annotations, keys::VOLUME_MOUNTS)? {
        mounts.push(mount(&entry)?);
    }
    Ok((paths, mounts))
}

fn list(annotations: &BTreeMap<String, String>, key: &str) -> Result<Vec<String>, Fault> {
    let text = annotations.get(key).map(String::as_str).unwrap_or_default();
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err(bad(key, &format!("{} has an empty entry between its commas", quoted(text))));
    }
    if items.len() > PATHS_MAX {
        return Err(bad(key, &format!("has {} entries; {PATHS_MAX} are the most", items.len())));
    }
    for item in &items {
        plain(key, item)?;
    }
    Ok(items)
}

fn absolute(key: &str, path: &str) -> Result<(), Fault> {
    if !path.starts_with('/') || path.split('/').any(|segment| segment == "..") {
        return Err(bad(key, &format!("{} is not an absolute path without `..`", quoted(path))));
    }
    Ok(())
}

fn mount(entry: &str) -> Result<Mount, Fault> {
    let mut parts = entry.split(':');
    let (volume, path, sub_path) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(path) = path.filter(|_| !volume.is_empty() && parts.next().is_none()) else {
        return Err(bad(
            keys::VOLUME_MOUNTS,
            &format!("{} is not volume:mountPath or volume:mountPath:subPath", quoted(entry)),
        ));
    };
    absolute(keys::VOLUME_MOUNTS, path)?;
    if let Some(sub) =
        sub_path.filter(|sub| sub.is_empty() || sub.starts_with('/') || sub.split('/').any(|s| s == ".."))
    {
        return Err(bad(keys::VOLUME_MOUNTS, &format!("{} is not a relative subPath without `..`", quoted(sub))));
    }
    Ok(Mount { volume: volume.to_owned(), path: path.to_owned(), sub_path: sub_path.map(str::to_owned) })
}

fn schedule(annotations: &BTreeMap<String, String>) -> Result<Option<String>, Fault> {
    let Some(text) = annotations.get(keys::SCHEDULE) else { return Ok(None) };
    match Schedule::parse(text) {
        Ok(_) => Ok(Some(text.clone())),
        Err(error) => Err(bad(keys::SCHEDULE, &format!("{}: {error}", quoted(text)))),
    }
}

fn params(annotations: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Fault> {
    let mut params = BTreeMap::new();
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(keys::PARAMS_PREFIX) else { continue };
        let reserved = RESERVED_PARAMS.iter().any(|reserved| match reserved.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *reserved,
        });
        if reserved {
            return Err(bad(key, "is a name that Holdfast sets itself"));
        }
        plain(key, value)?;
        params.insert(name.to_owned(), value.clone());
    }
    if params.len() > ENTRIES_MAX {
        return Err(bad(keys::PARAMS_PREFIX, &format!("occurs {} times; {ENTRIES_MAX} are the most", params.len())));
    }
    Ok(params)
}

/// Refuses what no path, volume or parameter needs and what would confuse a terminal or a log.
fn plain(key: &str, value: &str) -> Result<(), Fault> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(bad(key, &format!("has {} bytes; {VALUE_BYTES_MAX} are the most", value.len())));
    }
    if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(bad(key, "holds control characters"));
    }
    Ok(())
}

fn bad(key: &str, message: &str) -> Fault {
    Fault::new(RefusalCode::BadAnnotation, format!("annotation {key} {message}"))
}
