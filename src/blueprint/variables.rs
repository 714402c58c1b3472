//! The variables of a blueprint: those of the target itself, and those that its owner sets by annotation.

use std::collections::BTreeMap;

use super::fault::{Fault, quoted};
use crate::model::finding::RefusalCode;
use crate::model::keys;
use crate::model::object::{TargetKey, TargetKind};
use crate::model::observed::Target;

/// Variables that describe the target; no annotation may shadow one, whether this kind of target has it or not.
const BUILT_IN: [&str; 9] = [
    "TARGET_API_VERSION",
    "TARGET_APP_GROUP",
    "TARGET_APP_RESOURCE",
    "TARGET_APP_TYPE",
    "TARGET_APP_VERSION",
    "TARGET_KIND",
    "TARGET_NAME",
    "TARGET_NAMESPACE",
    "TARGET_RESOURCE",
];

/// Variables of one target, and parameters.
pub(super) const ENTRIES_MAX: usize = 64;
/// Longest value of a variable that comes from a target's owner: the length of a label value.
const VALUE_LENGTH_MAX: usize = 63;

/// Where a value comes from decides where it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub value: String,
    /// Chosen freely by the target's owner, so not for names of secrets, buckets, namespaces and the like.
    pub free: bool,
}

/// Values by name.
pub type Variables = BTreeMap<String, Variable>;

/// All variables of one target.
pub fn of(key: &TargetKey, target: &Target, own: &BTreeMap<String, String>) -> Result<Variables, Fault> {
    let mut variables = Variables::new();
    let mut fixed = |name: &str, value: &str| {
        variables.insert(name.to_owned(), Variable { value: value.to_owned(), free: false });
    };
    fixed("TARGET_API_VERSION", key.kind.api_version());
    fixed("TARGET_KIND", &key.kind.as_str().to_ascii_lowercase());
    fixed("TARGET_NAME", &key.name);
    fixed("TARGET_NAMESPACE", &key.namespace);
    if key.kind.is_workload() {
        fixed("TARGET_RESOURCE", key.kind.resource());
    }
    if key.kind == TargetKind::AppBinding {
        application(target, &mut variables)?;
    }
    for (name, value) in own {
        variables.insert(name.clone(), Variable { value: value.clone(), free: true });
    }
    Ok(variables)
}

/// `spec.type` is `<group>/<resource>`, split at its last slash; a type without one is a resource.
fn application(target: &Target, variables: &mut Variables) -> Result<(), Fault> {
    let mut put = |name: &str, field: &str, value: Option<&str>| {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
        let sound = value.len() <= 2 * VALUE_LENGTH_MAX
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "._/+-".contains(c))
            && value.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if !sound {
            let message = format!("{field} {} of the AppBinding cannot be used as {name}", quoted(value));
            return Err(Fault::new(RefusalCode::BadVariable, message));
        }
        variables.insert(name.to_owned(), Variable { value: value.to_owned(), free: true });
        Ok(())
    };
    let kind = target.app_type.as_deref();
    let (group, resource) = match kind.and_then(|kind| kind.rsplit_once('/')) {
        Some((group, resource)) => (Some(group), Some(resource)),
        None => (None, kind),
    };
    put("TARGET_APP_TYPE", "spec.type", kind)?;
    put("TARGET_APP_GROUP", "spec.type", group)?;
    put("TARGET_APP_RESOURCE", "spec.type", resource)?;
    put("TARGET_APP_VERSION", "spec.version", target.app_version.as_deref())
}

/// Variables that a target's owner sets: `blueprint.holdfast.dev/<name>`.
pub(super) fn of_target(annotations: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Fault> {
    let mut own = BTreeMap::new();
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(keys::VARIABLE_PREFIX) else { continue };
        let fault = |message: String| Err(Fault::new(RefusalCode::BadVariable, format!("annotation {key} {message}")));
        if BUILT_IN.contains(&name) || name.starts_with("TARGET_") {
            return fault("would shadow a variable that Holdfast sets".to_owned());
        }
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return fault("does not end in a variable name: letters, digits and `_`".to_owned());
        }
        if !is_sound(value) {
            return fault(format!(
                "has the value {}: 1 to {VALUE_LENGTH_MAX} letters, digits, `.`, `_` and `-`, no `..`, a letter or digit at both ends",
                quoted(value)
            ));
        }
        own.insert(name.to_owned(), value.clone());
    }
    if own.len() > ENTRIES_MAX {
        let message =
            format!("annotation {} occurs {} times; {ENTRIES_MAX} are the most", keys::VARIABLE_PREFIX, own.len());
        return Err(Fault::new(RefusalCode::BadVariable, message));
    }
    Ok(own)
}

fn is_sound(value: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=VALUE_LENGTH_MAX).contains(&value.len())
        && value.chars().all(|c| ends(c) || matches!(c, '.' | '_' | '-'))
        && value.starts_with(ends)
        && value.ends_with(ends)
        && !value.contains("..")
}

/// Fields below a blueprint's `spec` where a value chosen by a target's owner could reach what is not the owner's:
/// secrets, endpoints, buckets, namespaces, service accounts, images, hooks, volumes.
const GUARDED: [&str; 17] = [
    "backupNamespace",
    "bucket",
    "container",
    "endpoint",
    "hooks",
    "image",
    "imagePullSecrets",
    "namespace",
    "namespaces",
    "repoNamespace",
    "secret",
    "secretKeyRef",
    "secretName",
    "secretRef",
    "serviceAccountName",
    "storageSecretName",
    "usagePolicy",
];

/// Whether a freely chosen value is refused at a place below `spec`.
pub(super) fn is_guarded(pointer: &str) -> bool {
    if pointer.starts_with("/backend/local/") {
        return pointer != "/backend/local/subPath";
    }
    pointer == "/backend/rest/url" || pointer.split('/').any(|token| GUARDED.contains(&token))
}
