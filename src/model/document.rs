//! One document from Git: what it is, whether it is sound, and the manifest that would be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::finding::{HeldCode, WarningCode};
use super::json::{each_string, text};
use super::keys;
use super::names::{is_label, is_subdomain};
use super::object::{Kind, ObjectKey};
use super::place::Place;
use super::plan::Warning;
use super::policy::{self, Case, Judged, Policy};
use super::substitution;
use crate::cron::Schedule;
use crate::schema::{self, Crd, IssueKind, Scope};
use crate::yaml;

/// A sound document.
pub(super) enum Document {
    Blueprint {
        name: String,
        spec: Value,
        places: BTreeMap<String, Place>,
        metadata: Value,
    },
    Object {
        key: ObjectKey,
        manifest: Value,
        metadata: Value,
    },
    Policy(Box<Policy>),
    Case(Box<Case>),
    Request {
        kind: Judged,
        name: String,
    },
    /// Of no kind that Git input has.
    Ignored,
}

/// Why a document is not sound. `names` is what it describes, as far as that can be told.
pub(super) struct Fault {
    pub code: HeldCode,
    pub at: Place,
    pub message: String,
    pub names: Option<Described>,
    /// What else the schema says of the document, with the same code: who repairs it sees all at once.
    pub more: Vec<(Place, String)>,
}

/// What a held document is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Described {
    Blueprint(String),
    Object(ObjectKey),
    Policy(String),
}

/// Complaints about one document; a file that is something else entirely has no use for more.
const FAULTS_MAX: usize = 20;
/// Parts of a policy that are read, and acted on by later versions.
const NOT_ENFORCED: [&str; 3] = ["/spec/coverage/drillWithin", "/spec/drill", "/spec/restore"];
/// One-shot kinds of Stash: in Git they are requests, never declarative state.
const ONE_SHOT_KINDS: [&str; 2] = ["RestoreSession", "RestoreBatch"];
const OUR_GROUP: &str = "holdfast.dev/";
const STASH_GROUP: &str = "stash.appscode.com/";

/// What a field means that the schema lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// It is not sent; the rest is used.
    WarnedOf,
    /// The same, and values that are variables are judged once they are filled in.
    WarnedOfInTemplate,
    /// The document is not used.
    Refused,
}

/// Reader of the documents of one file.
pub(super) struct Reader<'a> {
    pub path: &'a Arc<str>,
    pub document: &'a yaml::Document,
    pub warnings: &'a mut Vec<Warning>,
}

impl Reader<'_> {
    pub(super) fn read(mut self) -> Result<Document, Box<Fault>> {
        let value = &self.document.value;
        let (api_version, kind) = (text(value, "apiVersion").unwrap_or(""), text(value, "kind").unwrap_or(""));
        if api_version.starts_with(OUR_GROUP) {
            return self.own(api_version, kind);
        }
        if !api_version.starts_with(STASH_GROUP) {
            return Ok(Document::Ignored);
        }
        let crd = schema::shipped(api_version, kind).ok_or_else(|| self.unknown_kind(api_version, kind))?;
        let one_shot = ONE_SHOT_KINDS.contains(&kind);
        if !one_shot && kind != "BackupBlueprint" && Kind::of(api_version, kind).is_none() {
            return Ok(Document::Ignored);
        }
        let key = self.name(crd)?;
        let described = match Kind::of(api_version, kind) {
            Some(kind) => Some(Described::Object(ObjectKey::new(kind, &key.0, &key.1))),
            None => (!one_shot).then(|| Described::Blueprint(key.1.clone())),
        };
        let unknown = if kind == "BackupBlueprint" { Unknown::WarnedOfInTemplate } else { Unknown::WarnedOf };
        let pruned = self.schema(crd, unknown).map_err(|fault| fault.about(described.clone()))?;
        if let Some(judged) = Judged::of(kind).filter(|_| one_shot) {
            return Ok(Document::Request { kind: judged, name: key.1 });
        }
        self.contents(kind, key, &pruned).map_err(|fault| fault.about(described))
    }

    fn contents(
        &mut self,
        kind: &str,
        (namespace, name): (String, String),
        value: &Value,
    ) -> Result<Document, Box<Fault>> {
        let api_version = text(value, "apiVersion").unwrap_or("").to_owned();
        let metadata = value.get("metadata").cloned().unwrap_or_default();
        let mut spec = value.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        if value.get("status").is_some() {
            self.not_sent("/status", "status");
        }
        let Some(kind) = Kind::of(&api_version, kind) else {
            let places = self.templates()?;
            self.schedule(&spec)?;
            return Ok(Document::Blueprint { name, spec, places, metadata });
        };
        if matches!(kind, Kind::BackupConfiguration | Kind::BackupBatch) {
            self.schedule(&spec)?;
            if spec.as_object_mut().is_some_and(|fields| fields.remove("paused").is_some()) {
                self.not_sent("/spec/paused", "spec.paused (use `holdfast pause`)");
            }
        }
        let key = ObjectKey::new(kind, &namespace, &name);
        let manifest = self.manifest(&key, &metadata, &spec);
        Ok(Document::Object { key, manifest, metadata })
    }

    /// Kinds of our own group, which exist only in Git. A misspelt field of theirs is no warning: a policy without its
    /// validations would allow what it was written to forbid.
    fn own(&mut self, api_version: &str, kind: &str) -> Result<Document, Box<Fault>> {
        let crd = schema::own().find(|crd| crd.kind == kind && api_version == "holdfast.dev/v1alpha1");
        let crd = crd.ok_or_else(|| self.unknown_kind(api_version, kind))?;
        let (_, name) = self.name(crd)?;
        let described = (kind == "BackupPolicy").then(|| Described::Policy(name.clone()));
        self.schema(crd, Unknown::Refused).map_err(|fault| fault.about(described.clone()))?;
        match Judged::of(kind) {
            Some(kind) => Ok(Document::Request { kind, name }),
            None if kind == "PolicyCase" => {
                let at = Place::new(self.path, self.document.start);
                Ok(Document::Case(Box::new(Case::read(&name, at, &self.document.value))))
            }
            None => self.policy(&name).map_err(|fault| fault.about(described)),
        }
    }

    fn policy(&mut self, name: &str) -> Result<Document, Box<Fault>> {
        for pointer in NOT_ENFORCED {
            if self.document.value.pointer(pointer).is_some() {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                let message =
                    format!("{field} of BackupPolicy {name} is read, but this version does not act on it yet");
                self.warnings.push(Warning::of_place(WarningCode::NotEnforcedYet, self.place(pointer), message));
            }
        }
        let complaints = match policy::read(name, self.path, self.document) {
            Ok(policy) => return Ok(Document::Policy(Box::new(policy))),
            Err(complaints) => complaints,
        };
        let fault = |complaint: policy::Complaint| {
            let at = Place::new(self.path, self.document.value_position(&complaint.pointer));
            (at, format!("BackupPolicy {name}: {}", complaint.message))
        };
        let mut faults = complaints.into_iter().take(FAULTS_MAX).map(fault);
        let (at, message) =
            faults.next().unwrap_or_else(|| (self.place(""), format!("BackupPolicy {name} is not sound")));
        Err(Box::new(Fault { code: HeldCode::BadPolicy, at, message, names: None, more: faults.collect() }))
    }

    /// Namespace (empty for cluster-scoped kinds) and name.
    fn name(&self, crd: &Crd) -> Result<(String, String), Box<Fault>> {
        let metadata = self.document.value.get("metadata").unwrap_or(&Value::Null);
        let name = text(metadata, "name").unwrap_or_default();
        let namespace = text(metadata, "namespace").unwrap_or_default();
        let fault = |code, pointer, message: String| Err(self.fault(code, pointer, message));
        if name.is_empty() {
            let at = if metadata.get("name").is_some() { "/metadata/name" } else { "/metadata" };
            return Err(self.lack(HeldCode::MissingName, at, "metadata.name is required".to_owned()));
        }
        if !is_subdomain(name) {
            let message =
                format!("metadata.name {name:?} is not a DNS subdomain: lower-case letters, digits, `-` and `.`");
            return fault(HeldCode::BadName, "/metadata/name", message);
        }
        match crd.scope {
            Scope::Cluster if !namespace.is_empty() => fault(
                HeldCode::NamespaceNotAllowed,
                "/metadata/namespace",
                format!("{} is cluster-scoped: remove metadata.namespace", crd.kind),
            ),
            Scope::Namespaced if namespace.is_empty() => Err(self.lack(
                HeldCode::NamespaceRequired,
                "/metadata",
                format!("metadata.namespace is required: {} {name} must say which namespace it belongs to", crd.kind),
            )),
            Scope::Namespaced if !is_label(namespace) => fault(
                HeldCode::BadName,
                "/metadata/namespace",
                format!("metadata.namespace {namespace:?} is not a DNS label: lower-case letters, digits and `-`"),
            ),
            Scope::Cluster | Scope::Namespaced => Ok((namespace.to_owned(), name.to_owned())),
        }
    }

    /// Judges by the shipped schema; unknown fields become warnings and are left out of what is returned.
    fn schema(&mut self, crd: &Crd, unknown_fields: Unknown) -> Result<Value, Box<Fault>> {
        let value = &self.document.value;
        let mut unknown = false;
        let mut faults = Vec::new();
        for issue in crd.check(value) {
            let filled_later = unknown_fields == Unknown::WarnedOfInTemplate
                && matches!(issue.kind, IssueKind::Format | IssueKind::OutOfRange | IssueKind::NotInEnum)
                && value.pointer(&issue.pointer).and_then(Value::as_str).is_some_and(substitution::is_template);
            if filled_later {
                continue;
            }
            match issue.kind {
                IssueKind::UnknownField if unknown_fields == Unknown::Refused => {
                    faults.push(self.lack(HeldCode::Schema, &issue.pointer, issue.message));
                }
                IssueKind::UnknownField => {
                    unknown = true;
                    let at = self.place(&issue.pointer);
                    self.warnings.push(Warning::of_place(WarningCode::UnknownField, at, issue.message));
                }
                IssueKind::Required => faults.push(self.lack(HeldCode::Schema, &issue.pointer, issue.message)),
                IssueKind::WrongType
                | IssueKind::NotInEnum
                | IssueKind::NullValue
                | IssueKind::Format
                | IssueKind::OutOfRange => faults.push(self.fault(HeldCode::Schema, &issue.pointer, issue.message)),
            }
        }
        let mut faults = faults.into_iter().take(FAULTS_MAX);
        if let Some(first) = faults.next() {
            return Err(Box::new(Fault { more: faults.map(|fault| (fault.at, fault.message)).collect(), ..*first }));
        }
        let mut pruned = value.clone();
        if unknown {
            crd.prune(&mut pruned);
        }
        // The server drops them as well; sent on, they would differ from what it keeps in every pass.
        crd.drop_nulls(&mut pruned);
        Ok(pruned)
    }

    fn schedule(&self, spec: &Value) -> Result<(), Box<Fault>> {
        let Some(schedule) = text(spec, "schedule").filter(|text| !text.is_empty() && !substitution::is_template(text))
        else {
            return Ok(());
        };
        let Err(error) = Schedule::parse(schedule) else { return Ok(()) };
        let message = format!("spec.schedule {schedule:?}: {error}");
        Err(self.fault(HeldCode::BadSchedule, "/spec/schedule", message))
    }

    /// Places of the template strings of a blueprint, for complaints about their values.
    fn templates(&self) -> Result<BTreeMap<String, Place>, Box<Fault>> {
        let mut places = BTreeMap::new();
        each_string(self.document.value.get("spec").unwrap_or(&Value::Null), "", &mut |pointer, text| {
            if !substitution::is_template(text) {
                return Ok(());
            }
            let pointer_in_document = format!("/spec{pointer}");
            if let Err(error) = substitution::check(text) {
                return Err(self.fault(HeldCode::BadTemplate, &pointer_in_document, format!("{text:?}: {error}")));
            }
            places.insert(pointer.to_owned(), self.place(&pointer_in_document));
            Ok(())
        })?;
        Ok(places)
    }

    /// Exactly what is sent: the document's own metadata without tracking keys, plus our marks.
    fn manifest(&mut self, key: &ObjectKey, metadata: &Value, spec: &Value) -> Value {
        let mut labels = self.kept(metadata, "labels");
        labels.insert(keys::MANAGED_BY.to_owned(), keys::MANAGED_BY_US.into());
        let mut annotations = self.kept(metadata, "annotations");
        annotations.insert(keys::SOURCE.to_owned(), format!("git:{}", self.path).into());
        let mut sent = Map::new();
        sent.insert("annotations".to_owned(), Value::Object(annotations));
        sent.insert("labels".to_owned(), Value::Object(labels));
        sent.insert("name".to_owned(), key.name.clone().into());
        if !key.namespace.is_empty() {
            sent.insert("namespace".to_owned(), key.namespace.clone().into());
        }
        for field in ["finalizers", "generateName", "ownerReferences"] {
            if metadata.get(field).is_some() {
                self.not_sent(&format!("/metadata/{field}"), &format!("metadata.{field}"));
            }
        }
        serde_json::json!({
            "apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": sent, "spec": spec,
        })
    }

    fn kept(&mut self, metadata: &Value, field: &str) -> Map<String, Value> {
        let reserved =
            [keys::ACKNOWLEDGE, keys::TARGET, keys::BLUEPRINT, keys::SOURCE, keys::MISSING_SINCE, keys::UNDONE];
        let mut kept = Map::new();
        for (key, value) in metadata.get(field).and_then(Value::as_object).into_iter().flatten() {
            if keys::is_tracking(key) || (reserved.contains(&key.as_str()) && key != keys::ACKNOWLEDGE) {
                let pointer = super::json::join(&format!("/metadata/{field}"), key);
                self.not_sent(&pointer, &format!("metadata.{field}[{key}]"));
            } else if key != keys::ACKNOWLEDGE {
                kept.insert(key.clone(), value.clone());
            }
        }
        kept
    }

    fn not_sent(&mut self, pointer: &str, field: &str) {
        let message = format!("{field} is not for a document in Git to set: it is left out");
        self.warnings.push(Warning::of_place(WarningCode::FieldNotSent, self.place(pointer), message));
    }

    fn unknown_kind(&self, api_version: &str, kind: &str) -> Box<Fault> {
        let known = schema::all()
            .filter(|crd| crd.group == "stash.appscode.com")
            .map(|crd| (format!("{}/{}", crd.group, crd.version), crd.kind.to_string()))
            .chain(schema::own().map(|crd| ("holdfast.dev/v1alpha1".to_owned(), crd.kind.to_owned())));
        let other_version = known.clone().find(|(version, known)| known == kind && version != api_version);
        let (pointer, message) = if let Some((version, _)) = other_version {
            ("/apiVersion", format!("{kind} has apiVersion {version}, not {api_version}"))
        } else {
            let kinds: Vec<String> = known.map(|(_, kind)| kind).collect();
            ("/kind", format!("unknown kind {kind:?} in {api_version}; known kinds are {}", kinds.join(", ")))
        };
        self.fault(HeldCode::UnknownKind, pointer, message)
    }

    fn place(&self, pointer: &str) -> Place {
        Place::new(self.path, self.document.position(pointer))
    }

    /// A complaint about a value: it points at the value.
    fn fault(&self, code: HeldCode, pointer: &str, message: String) -> Box<Fault> {
        let at = Place::new(self.path, self.document.value_position(pointer));
        Box::new(Fault { code, at, message, names: None, more: Vec::new() })
    }

    /// A complaint about what is not there: it points at the key of what lacks it.
    fn lack(&self, code: HeldCode, pointer: &str, message: String) -> Box<Fault> {
        Box::new(Fault { code, at: self.place(pointer), message, names: None, more: Vec::new() })
    }
}

impl Fault {
    fn about(mut self: Box<Self>, names: Option<Described>) -> Box<Self> {
        self.names = names;
        self
    }
}
