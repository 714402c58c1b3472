//! One JSON Schema of every document that Holdfast reads or writes, for editors: made from the schemas that judge them.

use serde_json::{Map, Value, json};

use super::Crd;
use super::shipped::{CRDS, OWN, WRITTEN};

/// Draft 7, the newest that the YAML support of editors takes.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
/// Keywords of Kubernetes that say how objects are merged, not what is valid.
const MERGE_KEYWORDS: [&str; 3] = ["x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type"];

/// The document's `apiVersion` and `kind` choose what is said of the rest.
pub fn json_schema() -> Result<Value, String> {
    let (mut definitions, mut choices, mut kinds, mut versions) = (Map::new(), Vec::new(), Vec::new(), Vec::new());
    for crd in CRDS.iter().chain(&OWN).chain(&WRITTEN) {
        let api_version = format!("{}/{}", crd.group, crd.version);
        let name = format!("{}.{}", crd.kind, crd.group);
        definitions.insert(name.clone(), definition(crd, &api_version)?);
        choices.push(json!({
            "if": {"properties": {"apiVersion": {"const": api_version}, "kind": {"const": crd.kind}}, "required": ["apiVersion", "kind"]},
            "then": {"$ref": format!("#/definitions/{name}")},
        }));
        kinds.push(crd.kind);
        if !versions.contains(&api_version) {
            versions.push(api_version);
        }
    }
    Ok(json!({
        "$schema": DIALECT,
        "title": "Documents of Holdfast and Stash",
        "type": "object",
        "properties": {"apiVersion": {"examples": versions}, "kind": {"examples": kinds}},
        "allOf": choices,
        "definitions": definitions,
    }))
}

fn definition(crd: &Crd, api_version: &str) -> Result<Value, String> {
    let mut schema = plain(&crd.open_api()?);
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut).ok_or("a kind without fields")?;
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    fields.insert("apiVersion".to_owned(), json!({"const": api_version}));
    fields.insert("kind".to_owned(), json!({"const": crd.kind}));
    fields.insert(
        "metadata".to_owned(),
        json!({"type": "object", "properties": {
            "name": {"type": "string"}, "namespace": {"type": "string"}, "labels": texts, "annotations": texts,
        }}),
    );
    Ok(schema)
}

/// A schema of Kubernetes in the words of JSON Schema: what is not named is not allowed, and `null` means absent.
fn plain(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let mut out = Map::new();
    let any_fields = keywords.contains_key("x-kubernetes-preserve-unknown-fields");
    for (keyword, value) in keywords {
        match keyword.as_str() {
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                out.insert(keyword.clone(), fields.map(|(name, field)| (name.clone(), plain(field))).collect());
                if !any_fields {
                    out.insert("additionalProperties".to_owned(), Value::Bool(false));
                }
            }
            // A default fills the gap.
            "required" => {
                let defaults = |name: &Value| keywords.get("properties")?.get(name.as_str()?)?.get("default");
                let needed = value.as_array().into_iter().flatten().filter(|name| defaults(name).is_none());
                out.insert(keyword.clone(), needed.cloned().collect());
            }
            "items" | "additionalProperties" => drop(out.insert(keyword.clone(), plain(value))),
            "x-kubernetes-int-or-string" => drop(out.insert("type".to_owned(), json!(["integer", "string"]))),
            "x-kubernetes-preserve-unknown-fields" | "x-kubernetes-embedded-resource" | "anyOf" => {}
            // Text formats of Go; `int32` and `date-time` say the same in both.
            "format" if value == "byte" => {}
            other if MERGE_KEYWORDS.contains(&other) => {}
            _ => drop(out.insert(keyword.clone(), value.clone())),
        }
    }
    Value::Object(out)
}
