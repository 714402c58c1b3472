//! Judges objects of Stash's kinds by the CRD schemas that we ship, as the API server would.
//!
//! What the server does, and so what counts here (kube-apiserver 1.34, structural schemas):
//! - an unknown field is pruned (`UnknownField`, never fatal); below `x-kubernetes-preserve-unknown-fields` nothing is;
//! - `null` in a field or map entry is dropped before validation, or replaced by the field's default: it counts as
//!   absent, so there is an issue only if the field is required and has no default. `null` as a list item stays and
//!   is an issue (`NullValue`);
//! - a required field with a default is never missing;
//! - `1.0` is a whole number, `1.5` and whatever lies past 2^53 as a float is not;
//! - two texts of a format take a list as well, and an `int32` takes 64 bits: an oversight of its validator that is
//!   not followed, since neither Stash nor we could read such an object;
//! - `metadata` is judged by the fields of `ObjectMeta`; rules for names are not a matter of schemas.

mod at;
mod check;
mod format;
mod json_schema;
mod leaves;
mod metadata;
mod node;
mod prune;
mod shipped;

use std::sync::OnceLock;

pub use json_schema::json_schema;
pub use leaves::{Leaf, LeafKind};
use node::Node;

/// One shipped `CustomResourceDefinition`; its schema is compiled when it is first asked for.
#[derive(Debug)]
pub struct Crd {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub scope: Scope,
    /// The definition as shipped, or the bare schema of a kind that exists in Git only: one YAML document.
    pub yaml: &'static str,
    root: OnceLock<Node>,
}

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// One complaint about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    pub kind: IssueKind,
    /// RFC 6901 pointer to the offending value; for `Required` to the object that lacks the field.
    pub pointer: String,
    /// Names the field in dotted form and what is allowed; holds no value but numbers, and texts of an enum or a list key.
    pub message: String,
}

/// What is wrong. All but `UnknownField` make the server refuse the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssueKind {
    UnknownField,
    WrongType,
    NotInEnum,
    Required,
    /// `null` as a list item.
    NullValue,
    /// Text that is no date-time or no base64.
    Format,
    /// A number beyond its width, text that is no quantity, or a list item whose key an earlier item has.
    OutOfRange,
}

/// All shipped kinds.
pub fn all() -> std::slice::Iter<'static, Crd> {
    shipped::CRDS.iter()
}

/// The shipped kind of that `apiVersion` (`group/version`) and `kind`.
pub fn shipped(api_version: &str, kind: &str) -> Option<&'static Crd> {
    let (group, version) = api_version.split_once('/')?;
    all().find(|crd| crd.kind == kind && crd.group == group && crd.version == version)
}

/// Kinds that Holdfast writes to the status branch or prints.
pub fn written() -> std::slice::Iter<'static, Crd> {
    shipped::WRITTEN.iter()
}

/// Kinds of our own group, which exist in Git only.
pub fn own() -> std::slice::Iter<'static, Crd> {
    shipped::OWN.iter()
}
