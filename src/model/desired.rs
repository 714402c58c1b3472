//! What Git asks for, parsed from one complete tree; the only reader of a source's bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::acknowledge;
pub use super::document::Described;
use super::document::{Document, Fault, Reader};
use super::finding::{HeldCode, WarningCode};
use super::json::text;
use super::keys;
use super::object::ObjectKey;
use super::observed::LiveBlueprint;
use super::place::Place;
use super::plan::Warning;
use super::policy::{Case, Judged, Policy};
use super::redact;
use super::substitution;
use super::tree::{DOCUMENTS_MAX, InputsHash, NoticeKind, Revision, Tree, mentions};
use crate::cron::Schedule;
use crate::yaml::{self, ErrorKind, Limits};

/// Each policy may spend its budget in each pass, so their number is what bounds a pass.
const POLICIES_MAX: usize = 200;

/// Everything that one source asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    pub revision: Option<Revision>,
    pub inputs: InputsHash,
    pub blueprints: BTreeMap<String, Blueprint>,
    pub documents: BTreeMap<ObjectKey, DesiredObject>,
    pub policies: BTreeMap<String, Policy>,
    pub cases: Vec<Case>,
    pub requests: Vec<Request>,
    pub held: Vec<HeldSource>,
    pub warnings: Vec<Warning>,
    /// Digests that documents in Git acknowledge.
    pub acknowledged: BTreeSet<String>,
    pub counts: Counts,
}

/// How many documents of each sort a source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub documents: usize,
    /// Of kinds that are not ours to read.
    pub ignored: usize,
    pub policies: usize,
    pub requests: usize,
}

/// A blueprint from Git or from the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    pub name: String,
    /// Where the document begins; a blueprint in the cluster has no place.
    pub at: Option<Place>,
    /// `git:<path>` or `cluster`.
    pub source: String,
    /// With its variables.
    pub spec: Value,
    /// Places of the strings that hold variables, by pointer below `spec`.
    pub places: BTreeMap<String, Place>,
}

impl Blueprint {
    /// A blueprint that somebody applied to the cluster; the error says why it cannot be used.
    pub fn from_cluster(name: &str, live: &LiveBlueprint) -> Result<Self, String> {
        super::json::each_string(&live.spec, "", &mut |pointer, text| {
            substitution::check(text).map_err(|error| format!("spec{} {text:?}: {error}", pointer.replace('/', ".")))
        })?;
        let schedule = text(&live.spec, "schedule").filter(|text| !text.is_empty() && !substitution::is_template(text));
        if let Some(Err(error)) = schedule.map(Schedule::parse) {
            return Err(format!("spec.schedule {:?}: {error}", schedule.unwrap_or_default()));
        }
        Ok(Self {
            name: name.to_owned(),
            at: None,
            source: "cluster".to_owned(),
            spec: live.spec.clone(),
            places: BTreeMap::new(),
        })
    }
}

/// An object that Git describes as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredObject {
    pub at: Place,
    /// Exactly what is sent.
    pub manifest: Value,
}

/// A restore that Git asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub kind: Judged,
    pub at: Place,
    pub document: Value,
}

/// A file or document that is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldSource {
    pub at: Place,
    pub code: HeldCode,
    pub message: String,
    /// `None`: the whole file, whatever it describes.
    pub describes: Option<Described>,
    /// The file mentions `BackupPolicy`: what it forbids is unknown, so nothing is deleted.
    pub mentions_policy: bool,
}

/// A whole-source limit: the last good source stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error(
        "{path} is document number {count}; a source may hold {DOCUMENTS_MAX}: split the source or narrow --git-path"
    )]
    TooManyDocuments { path: String, count: usize },
}

impl Desired {
    pub fn parse(tree: &Tree) -> Result<Self, Error> {
        let mut parsing = Parsing::default();
        for notice in &tree.notices {
            parsing.notice(&notice.path, notice.kind);
        }
        for (path, bytes) in tree.files() {
            parsing.file(path, bytes)?;
        }
        let Parsing { first, blueprints, documents, policies, cases, requests, mut held, mut warnings, .. } = parsing;
        drop(first);
        for message in
            held.iter_mut().map(|held| &mut held.message).chain(warnings.iter_mut().map(|one| &mut one.message))
        {
            *message = redact::message(message);
        }
        held.sort();
        warnings.sort();
        Ok(Self {
            revision: tree.revision.clone(),
            inputs: tree.inputs.clone(),
            blueprints,
            documents,
            policies,
            cases,
            requests,
            held,
            warnings,
            acknowledged: parsing.acknowledged,
            counts: parsing.counts,
        })
    }
}

#[derive(Default)]
struct Parsing {
    /// Where each object was described first, also those that were held since.
    first: BTreeMap<Described, Place>,
    blueprints: BTreeMap<String, Blueprint>,
    documents: BTreeMap<ObjectKey, DesiredObject>,
    policies: BTreeMap<String, Policy>,
    cases: Vec<Case>,
    requests: Vec<Request>,
    held: Vec<HeldSource>,
    warnings: Vec<Warning>,
    acknowledged: BTreeSet<String>,
    counts: Counts,
    mentions_policy: bool,
}

impl Parsing {
    fn notice(&mut self, path: &str, kind: NoticeKind) {
        if matches!(kind, NoticeKind::TooLarge | NoticeKind::TooDeep) {
            self.held.push(HeldSource {
                at: Place::start_of(path),
                code: HeldCode::Limit,
                message: kind.to_string(),
                describes: None,
                // What it says is not known, so it might.
                mentions_policy: true,
            });
            return;
        }
        let message = format!("{path} is not read: {kind}");
        self.warnings.push(Warning::of_place(WarningCode::IgnoredPath, Place::start_of(path), message));
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let path: Arc<str> = Arc::from(path);
        self.mentions_policy = mentions(bytes, &["BackupPolicy"]);
        let documents = match yaml::parse(bytes, &Limits::default()) {
            Ok(documents) => documents,
            Err(error) => {
                let at = Place::new(&path, error.at);
                self.hold(at, syntax_code(error.kind), error.message, None);
                return Ok(());
            }
        };
        for document in &documents {
            self.counts.documents += 1;
            if self.counts.documents > DOCUMENTS_MAX {
                return Err(Error::TooManyDocuments { path: path.to_string(), count: self.counts.documents });
            }
            self.document(&path, document);
        }
        Ok(())
    }

    fn document(&mut self, path: &Arc<str>, document: &yaml::Document) {
        let at = Place::new(path, document.start);
        let read = Reader { path, document, warnings: &mut self.warnings }.read();
        match read {
            Ok(Document::Ignored) => self.counts.ignored += 1,
            Ok(Document::Policy(policy)) => self.policy(*policy),
            Ok(Document::Case(case)) => self.cases.push(*case),
            Ok(Document::Request { kind, name }) => {
                self.counts.requests += 1;
                let message = format!("restore request {name} is read, but this version does not act on it yet");
                self.warnings.push(Warning::of_place(WarningCode::NotEnforcedYet, at.clone(), message));
                self.requests.push(Request { kind, at, document: document.value.clone() });
            }
            Ok(Document::Blueprint { name, spec, places, metadata }) => {
                let described = Described::Blueprint(name.clone());
                if self.is_first(&described, &at) {
                    self.acknowledge(&metadata);
                    let source = format!("git:{path}");
                    self.blueprints.insert(name.clone(), Blueprint { name, at: Some(at), source, spec, places });
                } else {
                    self.blueprints.remove(&name);
                }
            }
            Ok(Document::Object { key, manifest, metadata }) => {
                if self.is_first(&Described::Object(key.clone()), &at) {
                    self.acknowledge(&metadata);
                    self.documents.insert(key, DesiredObject { at, manifest });
                } else {
                    self.documents.remove(&key);
                }
            }
            Err(fault) => {
                let Fault { code, at: place, message, names, more } = *fault;
                let twice = names.as_ref().is_some_and(|described| !self.is_first(described, &at));
                if let Some(described) = names.as_ref().filter(|_| twice) {
                    self.forget(described);
                }
                self.hold(place, code, message, names.clone());
                for (place, message) in more {
                    self.hold(place, code, message, names.clone());
                }
            }
        }
    }

    /// False when the object was described before: then both descriptions are held.
    fn is_first(&mut self, described: &Described, at: &Place) -> bool {
        let Some(first) = self.first.get(described).cloned() else {
            self.first.insert(described.clone(), at.clone());
            return true;
        };
        let name = match described {
            Described::Blueprint(name) => format!("BackupBlueprint {name}"),
            Described::Object(key) => format!("{} {}", key.kind.as_str(), key.short()),
            Described::Policy(name) => format!("BackupPolicy {name}"),
        };
        let message = |other: &Place| format!("{name} is described twice, here and at {other}: remove one");
        let (here, there) = (message(&first), message(at));
        self.hold(at.clone(), HeldCode::DuplicateObject, here, Some(described.clone()));
        let seen = self.held.iter().any(|held| held.at == first && held.code == HeldCode::DuplicateObject);
        if !seen {
            self.hold(first, HeldCode::DuplicateObject, there, Some(described.clone()));
        }
        false
    }

    fn forget(&mut self, described: &Described) {
        match described {
            Described::Blueprint(name) => drop(self.blueprints.remove(name)),
            Described::Object(key) => drop(self.documents.remove(key)),
            Described::Policy(name) => drop(self.policies.remove(name)),
        }
    }

    fn hold(&mut self, at: Place, code: HeldCode, message: String, describes: Option<Described>) {
        let mentions_policy = self.mentions_policy;
        self.held.push(HeldSource { at, code, message, describes, mentions_policy });
    }

    fn policy(&mut self, policy: Policy) {
        self.counts.policies += 1;
        let described = Described::Policy(policy.name.clone());
        if !self.is_first(&described, &policy.at) {
            self.policies.remove(&policy.name);
        } else if self.policies.len() == POLICIES_MAX {
            let message = format!("a source has at most {POLICIES_MAX} policies: write one with more validations");
            self.hold(policy.at, HeldCode::BadPolicy, message, Some(described));
        } else {
            self.policies.insert(policy.name.clone(), policy);
        }
    }

    fn acknowledge(&mut self, metadata: &Value) {
        let given = metadata.get("annotations").and_then(|annotations| text(annotations, keys::ACKNOWLEDGE));
        self.acknowledged.extend(acknowledge::given(given.unwrap_or_default()).map(str::to_owned));
    }
}

fn syntax_code(kind: ErrorKind) -> HeldCode {
    match kind {
        ErrorKind::Syntax => HeldCode::Syntax,
        ErrorKind::DuplicateKey => HeldCode::DuplicateKey,
        ErrorKind::Limit => HeldCode::Limit,
        ErrorKind::Alias => HeldCode::Alias,
        ErrorKind::Encoding => HeldCode::Encoding,
    }
}
