//! The variables that Functions and Tasks may use, under Stash's names.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::place::Place;
use crate::model::invoker::{DATA_FOLDER, Member, Named, Rule};
use crate::model::step::{RetentionRules, SCRATCH_FOLDER};
use crate::model::substitution;

pub type Variables = BTreeMap<String, String>;

/// Where the interim volume is mounted.
pub const INTERIM_FOLDER: &str = "/stash-interim-volume";

/// What the variables of one run are made of.
pub struct Context<'a> {
    pub repository: Option<(&'a Named, &'a Place)>,
    pub member: &'a Member,
    pub namespace: &'a str,
    /// Kind and name of the invoker.
    pub invoker: (&'a str, &'a str),
    /// Name of the session, and whether it is a restore.
    pub session: (&'a str, bool),
    pub retention: Option<&'a RetentionRules>,
    pub rule: Option<&'a Rule>,
    pub host: &'a str,
    pub image: &'a str,
    pub cache: bool,
}

/// A parameter of the Task counts more than anything else.
pub fn of(context: &Context<'_>) -> Variables {
    let mut variables = Variables::new();
    let mut put = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
    };
    if let Some((repository, place)) = context.repository {
        put("REPOSITORY_NAME", &repository.name);
        put("REPOSITORY_NAMESPACE", &repository.namespace);
        put("REPOSITORY_PROVIDER", place.provider);
        put("REPOSITORY_BUCKET", &place.bucket);
        put("REPOSITORY_PREFIX", &place.prefix);
        put("REPOSITORY_ENDPOINT", &place.endpoint);
        put("REPOSITORY_REGION", place.repository.region.as_deref().unwrap_or_default());
        put("REPOSITORY_INSECURE_TLS", bool_text(place.repository.insecure_tls));
        put("REPOSITORY_SECRET_NAME", &place.secret);
        put("REPOSITORY_SECRET_NAMESPACE", &repository.namespace);
        put("MAX_CONNECTIONS", &place.repository.connections.unwrap_or(0).to_string());
    }
    let member = context.member;
    if let Some(target) = &member.target {
        put("TARGET_KIND", &target.kind);
        put("TARGET_NAME", &target.name);
        put("TARGET_NAMESPACE", &target.namespace);
    }
    put("TARGET_PATHS", &member.paths_or_default().join(","));
    put("TARGET_MOUNT_PATH", mount_path(member));
    put("DRIVER_ARGS", &member.args.join(" "));
    let rule = context.rule.cloned().unwrap_or_default();
    put("EXCLUDE_PATTERNS", &[member.exclude.as_slice(), &rule.exclude].concat().join(","));
    put("INCLUDE_PATTERNS", &rule.include.join(","));
    put("HOSTNAME", context.host);
    put("SOURCE_HOSTNAME", rule.source.as_deref().unwrap_or(context.host));
    put("RESTORE_PATHS", &if rule.paths.is_empty() { DATA_FOLDER.to_owned() } else { rule.paths.join(",") });
    put("RESTORE_SNAPSHOTS", &rule.snapshots.join(","));
    put("ENABLE_CACHE", bool_text(context.cache));
    let interim = if member.interim.is_some() { "" } else { SCRATCH_FOLDER };
    put("INTERIM_DATA_DIR", &format!("{interim}{INTERIM_FOLDER}/data"));
    put("NAMESPACE", context.namespace);
    put(if context.session.1 { "RESTORE_SESSION" } else { "BACKUP_SESSION" }, context.session.0);
    put("INVOKER_KIND", context.invoker.0);
    put("INVOKER_NAME", context.invoker.1);
    put("PROMETHEUS_JOB_NAME", context.invoker.1);
    put("ADDON_IMAGE", context.image);
    retention(&mut variables, context.retention);
    variables.extend(member.params.iter().cloned());
    variables
}

fn retention(variables: &mut Variables, rules: Option<&RetentionRules>) {
    let Some(rules) = rules else { return };
    for (name, count) in [
        ("LAST", rules.last),
        ("HOURLY", rules.hourly),
        ("DAILY", rules.daily),
        ("WEEKLY", rules.weekly),
        ("MONTHLY", rules.monthly),
        ("YEARLY", rules.yearly),
    ] {
        if count > 0 {
            variables.insert(format!("RETENTION_KEEP_{name}"), count.to_string());
        }
    }
    if !rules.tags.is_empty() {
        variables.insert("RETENTION_KEEP_TAGS".to_owned(), rules.tags.join(","));
    }
    variables.insert("RETENTION_PRUNE".to_owned(), bool_text(rules.prune).to_owned());
    variables.insert("RETENTION_DRY_RUN".to_owned(), bool_text(rules.trial).to_owned());
}

fn mount_path(member: &Member) -> &str {
    let first = member.mounts.first().and_then(|mount| mount.get("mountPath")).and_then(Value::as_str);
    first.unwrap_or(DATA_FOLDER)
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Fills every text of a value, never the text of the document; `of` says whose it is.
pub fn fill(value: &Value, variables: &Variables, of: &str) -> Result<Value, Fault> {
    Ok(match value {
        Value::String(text) => {
            let filled = substitution::expand(text, |name| variables.get(name).map(String::as_str));
            filled.map(Value::String).map_err(|error| Fault::new("UnresolvedVariable", format!("{of}: {error}")))?
        }
        Value::Array(items) => items.iter().map(|item| fill(item, variables, of)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (key, field) in fields {
                filled.insert(key.clone(), fill(field, variables, of)?);
            }
            Value::Object(filled)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
