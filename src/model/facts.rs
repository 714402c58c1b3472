//! What the engine reads of the cluster, as the API server has it: kept as text and parsed where it is needed, since most of it
//! lies still for hours.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::json::{text, texts};
use super::keys;

/// A kind that the engine follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactKind {
    Repository,
    BackupConfiguration,
    BackupSession,
    RestoreSession,
    Function,
    Task,
    Job,
    CronJob,
    Pod,
    ServiceAccount,
    RoleBinding,
}

impl FactKind {
    pub const ALL: [FactKind; 11] = [
        FactKind::Repository,
        FactKind::BackupConfiguration,
        FactKind::BackupSession,
        FactKind::RestoreSession,
        FactKind::Function,
        FactKind::Task,
        FactKind::Job,
        FactKind::CronJob,
        FactKind::Pod,
        FactKind::ServiceAccount,
        FactKind::RoleBinding,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            FactKind::Repository => "Repository",
            FactKind::BackupConfiguration => "BackupConfiguration",
            FactKind::BackupSession => "BackupSession",
            FactKind::RestoreSession => "RestoreSession",
            FactKind::Function => "Function",
            FactKind::Task => "Task",
            FactKind::Job => "Job",
            FactKind::CronJob => "CronJob",
            FactKind::Pod => "Pod",
            FactKind::ServiceAccount => "ServiceAccount",
            FactKind::RoleBinding => "RoleBinding",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            FactKind::Repository => "stash.appscode.com/v1alpha1",
            FactKind::BackupConfiguration
            | FactKind::BackupSession
            | FactKind::RestoreSession
            | FactKind::Function
            | FactKind::Task => "stash.appscode.com/v1beta1",
            FactKind::Job | FactKind::CronJob => "batch/v1",
            FactKind::Pod | FactKind::ServiceAccount => "v1",
            FactKind::RoleBinding => "rbac.authorization.k8s.io/v1",
        }
    }

    /// Plural resource name.
    pub fn resource(self) -> &'static str {
        match self {
            FactKind::Repository => "repositories",
            FactKind::BackupConfiguration => "backupconfigurations",
            FactKind::BackupSession => "backupsessions",
            FactKind::RestoreSession => "restoresessions",
            FactKind::Function => "functions",
            FactKind::Task => "tasks",
            FactKind::Job => "jobs",
            FactKind::CronJob => "cronjobs",
            FactKind::Pod => "pods",
            FactKind::ServiceAccount => "serviceaccounts",
            FactKind::RoleBinding => "rolebindings",
        }
    }

    pub fn namespaced(self) -> bool {
        match self {
            FactKind::Function | FactKind::Task => false,
            FactKind::Repository
            | FactKind::BackupConfiguration
            | FactKind::BackupSession
            | FactKind::RestoreSession
            | FactKind::Job
            | FactKind::CronJob
            | FactKind::Pod
            | FactKind::ServiceAccount
            | FactKind::RoleBinding => true,
        }
    }

    /// Of these only what we made is followed: a cluster has many others.
    pub fn is_ours_only(self) -> bool {
        match self {
            FactKind::Job | FactKind::CronJob | FactKind::Pod | FactKind::ServiceAccount | FactKind::RoleBinding => {
                true
            }
            FactKind::Repository
            | FactKind::BackupConfiguration
            | FactKind::BackupSession
            | FactKind::RestoreSession
            | FactKind::Function
            | FactKind::Task => false,
        }
    }

    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.api_version() == api_version && known.as_str() == kind)
    }
}

/// Key of an object; the namespace of a cluster-scoped kind is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    pub kind: FactKind,
    pub namespace: String,
    pub name: String,
}

impl FactKey {
    pub fn new(kind: FactKind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Of an object as it lies on the wire.
    pub fn of(object: &Value) -> Option<Self> {
        let kind = FactKind::of(text(object, "apiVersion")?, text(object, "kind")?)?;
        let metadata = object.get("metadata")?;
        let namespace = text(metadata, "namespace").unwrap_or_default();
        Some(Self::new(kind, namespace, text(metadata, "name").filter(|name| !name.is_empty())?))
    }

    /// `Kind namespace/name`, as sentences name it.
    pub fn spoken(&self) -> String {
        let kind = self.kind.as_str();
        if self.namespace.is_empty() {
            format!("{kind} {}", self.name)
        } else {
            format!("{kind} {}/{}", self.namespace, self.name)
        }
    }
}

/// One object, and what is asked so often that it is not parsed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    json: Box<str>,
    pub uid: String,
    pub resource_version: String,
    pub created: Option<Timestamp>,
    pub deleting: bool,
    /// `status.phase`, empty without.
    pub phase: String,
    /// Name of the invoker of a session, and for our own objects of the session or invoker they belong to.
    pub belongs_to: String,
}

impl Fact {
    fn of(object: &Value) -> Self {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let labels = texts(metadata, "labels");
        let invoker = object.pointer("/spec/invoker/name").and_then(Value::as_str);
        let belongs_to = invoker.map(str::to_owned).or_else(|| labels.get(keys::RUN).cloned()).unwrap_or_default();
        Self {
            uid: text(metadata, "uid").unwrap_or_default().to_owned(),
            resource_version: text(metadata, "resourceVersion").unwrap_or_default().to_owned(),
            created: text(metadata, "creationTimestamp").and_then(|time| time.parse().ok()),
            deleting: metadata.get("deletionTimestamp").is_some(),
            phase: object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default().to_owned(),
            belongs_to,
            json: object.to_string().into_boxed_str(),
        }
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or(Value::Null)
    }

    /// Whether the text mentions a word; most do not, and then need not be parsed.
    pub fn mentions(&self, word: &str) -> bool {
        self.json.contains(word)
    }

    /// Whether an installed Stash has it in hand: then it is no business of ours.
    pub fn is_held_by_stash(&self) -> bool {
        const FINALIZER: &str = "stash.appscode.com";
        self.mentions("\"stash.appscode.com\"")
            && self
                .value()
                .pointer("/metadata/finalizers")
                .and_then(Value::as_array)
                .is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer.as_str() == Some(FINALIZER)))
    }

    /// Versions are opaque by contract and numbers in fact. Two that cannot be compared are taken as they come.
    fn is_older_than(&self, other: &Self) -> bool {
        let number = |fact: &Self| fact.resource_version.parse::<u64>().ok();
        self.uid == other.uid && number(self).zip(number(other)).is_some_and(|(one, other)| one < other)
    }
}

/// Everything that the engine follows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    objects: BTreeMap<FactKey, Fact>,
    /// Kinds that were listed to their end.
    complete: BTreeSet<FactKind>,
}

impl Facts {
    /// Takes in an object, be it from a watch or as the answer to a write; what is older than what is known is left. True if it
    /// is news.
    pub fn upsert(&mut self, object: &Value) -> bool {
        let Some(key) = FactKey::of(object) else { return false };
        let fact = Fact::of(object);
        if self.objects.get(&key).is_some_and(|known| *known == fact || fact.is_older_than(known)) {
            return false;
        }
        self.objects.insert(key, fact);
        true
    }

    pub fn remove(&mut self, key: &FactKey) -> bool {
        self.objects.remove(key).is_some()
    }

    /// Keeps only the named objects of a kind: what a fresh list did not bring is gone.
    pub fn retain(&mut self, kind: FactKind, listed: &BTreeSet<(String, String)>) -> Vec<FactKey> {
        let gone: Vec<FactKey> = self
            .of_kind(kind)
            .map(|(key, _)| key.clone())
            .filter(|key| !listed.contains(&(key.namespace.clone(), key.name.clone())))
            .collect();
        for key in &gone {
            self.objects.remove(key);
        }
        gone
    }

    pub fn set_complete(&mut self, kind: FactKind, complete: bool) -> bool {
        if complete { self.complete.insert(kind) } else { self.complete.remove(&kind) }
    }

    pub fn is_complete(&self, kind: FactKind) -> bool {
        self.complete.contains(&kind)
    }

    pub fn get(&self, key: &FactKey) -> Option<&Fact> {
        self.objects.get(key)
    }

    pub fn find(&self, kind: FactKind, namespace: &str, name: &str) -> Option<&Fact> {
        self.objects.get(&FactKey::new(kind, namespace, name))
    }

    pub fn of_kind(&self, kind: FactKind) -> impl Iterator<Item = (&FactKey, &Fact)> {
        let first = FactKey::new(kind, "", "");
        self.objects.range(first..).take_while(move |(key, _)| key.kind == kind)
    }

    pub fn in_namespace<'f>(
        &'f self,
        kind: FactKind,
        namespace: &'f str,
    ) -> impl Iterator<Item = (&'f FactKey, &'f Fact)> {
        let first = FactKey::new(kind, namespace, "");
        self.objects.range(first..).take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
    }

    /// Objects of a kind that belong to one session or invoker.
    pub fn belonging<'f>(
        &'f self,
        kind: FactKind,
        namespace: &'f str,
        to: &'f str,
    ) -> impl Iterator<Item = (&'f FactKey, &'f Fact)> {
        self.in_namespace(kind, namespace).filter(move |(_, fact)| fact.belongs_to == to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(name: &str, version: &str) -> Value {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata":
            {"namespace": "shop", "name": name, "uid": "u", "resourceVersion": version, "labels": {"holdfast.dev/run": "s"}}})
    }

    #[test]
    fn what_is_older_never_replaces_what_is_newer() {
        let mut facts = Facts::default();
        assert!(facts.upsert(&job("a", "10")));
        assert!(!facts.upsert(&job("a", "9")) && !facts.upsert(&job("a", "10")));
        assert!(facts.upsert(&job("a", "11")));
        assert_eq!(facts.find(FactKind::Job, "shop", "a").unwrap().resource_version, "11");
        assert_eq!(facts.belonging(FactKind::Job, "shop", "s").count(), 1);
    }

    #[test]
    fn what_stash_has_in_hand_has_its_finalizer() {
        let mut object = job("a", "1");
        assert!(!Fact::of(&object).is_held_by_stash());
        object["spec"] = json!({"invoker": {"apiGroup": "stash.appscode.com"}});
        assert!(!Fact::of(&object).is_held_by_stash(), "only a finalizer counts");
        object["metadata"]["finalizers"] = json!(["stash.appscode.com"]);
        assert!(Fact::of(&object).is_held_by_stash());
    }

    #[test]
    fn a_fresh_list_tells_what_is_gone() {
        let mut facts = Facts::default();
        facts.upsert(&job("a", "1"));
        facts.upsert(&job("b", "2"));
        let gone = facts.retain(FactKind::Job, &BTreeSet::from([("shop".to_owned(), "b".to_owned())]));
        assert_eq!(gone, [FactKey::new(FactKind::Job, "shop", "a")]);
        assert_eq!(facts.of_kind(FactKind::Job).count(), 1);
    }
}
