//! An object on its way from the API server into `Observed`: any JSON, without the parts that planning never reads.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::model::json::text;
use crate::model::observed::Part;

/// How much of an object is asked for and kept.
pub(super) trait Extent: Clone + fmt::Debug + Send + Sync + 'static {
    const PART: Part;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Whole;

#[derive(Clone, Copy, Debug)]
pub(super) struct Volumes;

#[derive(Clone, Copy, Debug)]
pub(super) struct MetadataOnly;

impl Extent for Whole {
    const PART: Part = Part::Whole;
}

impl Extent for Volumes {
    const PART: Part = Part::Volumes;
}

impl Extent for MetadataOnly {
    const PART: Part = Part::Metadata;
}

/// Untyped on purpose: an object that breaks its own schema must not end the watch of all others.
#[derive(Clone, Debug)]
pub(super) struct Item<P: Extent> {
    /// Name, namespace and resource version only: all that the watch itself needs.
    meta: ObjectMeta,
    value: Value,
    part: PhantomData<P>,
}

impl<P: Extent> Item<P> {
    /// The object, with the type that list items do not carry.
    pub(super) fn into_value(self, api_version: &str, kind: &str) -> Value {
        let mut value = self.value;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("apiVersion".to_owned(), api_version.into());
            fields.insert("kind".to_owned(), kind.into());
        }
        value
    }

    /// Namespace (empty for a cluster-scoped object) and name; `None` where there is no name.
    pub(super) fn key(&self) -> Option<(String, String)> {
        let name = self.meta.name.clone().filter(|name| !name.is_empty())?;
        Some((self.meta.namespace.clone().unwrap_or_default(), name))
    }
}

impl<'de, P: Extent> Deserialize<'de> for Item<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(fields) = value.as_object_mut() {
            if P::PART != Part::Whole {
                fields.remove("status");
            }
            if P::PART == Part::Volumes {
                let spec = fields.remove("spec").as_ref().map(volumes_of);
                fields.extend(spec.map(|spec| ("spec".to_owned(), spec)));
            }
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            if P::PART != Part::Whole {
                metadata.remove("managedFields");
            }
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                // The whole object once more, with every value of a container's environment.
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let meta = ObjectMeta {
            name: text(metadata, "name").map(str::to_owned),
            namespace: text(metadata, "namespace").map(str::to_owned),
            resource_version: text(metadata, "resourceVersion").map(str::to_owned),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, value, part: PhantomData })
    }
}

/// Which claims the pods of a workload mount: the rest of it holds the environment of its containers, which may be secret.
fn volumes_of(spec: &Value) -> Value {
    let items = |pointer: &str| spec.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let claims: Vec<Value> = items("/template/spec/volumes")
        .filter_map(|volume| {
            let claim = volume.get("persistentVolumeClaim")?.get("claimName")?;
            Some(json!({"name": volume.get("name")?, "persistentVolumeClaim": {"claimName": claim}}))
        })
        .collect();
    let templates: Vec<Value> = items("/volumeClaimTemplates")
        .filter_map(|claim| Some(json!({"metadata": {"name": claim.get("metadata")?.get("name")?}})))
        .collect();
    let mut trimmed = json!({"template": {"spec": {"volumes": claims}}});
    if !templates.is_empty() {
        trimmed["volumeClaimTemplates"] = templates.into();
    }
    trimmed
}

impl<P: Extent> Resource for Item<P> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        P::PART == Part::Metadata
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_any_shape_is_taken_and_trimmed() {
        let text = r#"{"metadata":{"name":"a","namespace":7,"labels":"x","managedFields":[{}],
            "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"PASSWORD","b":[1]}},
            "status":{"x":1},"spec":[]}"#;
        let item: Item<MetadataOnly> = serde_json::from_str(text).unwrap();
        assert_eq!(item.key(), Some((String::new(), "a".to_owned())));
        let value = item.into_value("apps/v1", "Deployment").to_string();
        assert!(value.contains(r#""kind":"Deployment""#), "{value}");
        for gone in ["status", "PASSWORD", "managedFields"] {
            assert!(!value.contains(gone), "{value}");
        }
        let workload = r#"{"metadata":{"name":"db"},"spec":{"replicas":3,"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{}}],
            "template":{"spec":{"containers":[{"env":[{"name":"A","value":"PASSWORD"}]}],
            "volumes":[{"name":"up","persistentVolumeClaim":{"claimName":"web","readOnly":true}},{"name":"tmp","emptyDir":{}}]}}}}"#;
        let workload: Item<Volumes> = serde_json::from_str(workload).unwrap();
        assert_eq!(
            workload.into_value("apps/v1", "StatefulSet")["spec"],
            json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {"volumes": [{"name": "up", "persistentVolumeClaim": {"claimName": "web"}}]}}})
        );
        let whole: Item<Whole> = serde_json::from_str(text).unwrap();
        assert!(whole.into_value("v1", "X").to_string().contains("managedFields"));
        let nothing: Item<Whole> = serde_json::from_str("null").unwrap();
        assert_eq!(nothing.key(), None);
    }
}
