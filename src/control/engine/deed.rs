//! What the engine writes: one request each, for one object.

use serde_json::Value;

use super::look::Look;
use crate::model::facts::FactKey;

/// A request and whom it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// The object whose loop asked for it: deeds of one object are done in their order, and a failure makes it wait.
    pub of: FactKey,
    pub write: Write,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Makes an object; that it is there already is as good.
    Create(Value),
    /// Makes or changes an object of ours, with the whole of what we want of it.
    Apply(Value),
    /// Writes the status of an object, of exactly the version that was read.
    Status(Value),
    /// Changes finalizers and annotations of an object, of exactly the version that was read.
    Mark {
        key: FactKey,
        resource_version: String,
        finalizers: Option<Vec<String>>,
        annotations: Vec<(String, String)>,
    },
    /// Copies these keys of a Secret of another namespace, as far as it has them.
    Project {
        manifest: Value,
        from: (String, String),
        keys: &'static [&'static str],
    },
    Delete {
        key: FactKey,
        uid: String,
        propagation: Propagation,
    },
}

impl Deed {
    /// The Secret that is there when this is done, though it was looked for in vain.
    pub(super) fn makes_secret(&self) -> Option<Look> {
        let Write::Project { manifest, .. } = &self.write else { return None };
        let part = |name: &str| manifest["metadata"][name].as_str().unwrap_or_default().to_owned();
        Some(Look::Secret { namespace: part("namespace"), name: part("name") })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// What belongs to it goes first.
    Foreground,
    Background,
}
