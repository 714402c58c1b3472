//! The cluster file: a `v1 List` or many documents, as `kubectl get -o yaml` prints them, read as a view of the cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::text;
use super::observed::{Observed, Watched};

impl Observed {
    /// Every kind counts as listed to its end, but what a List with `metadata.continue` was about; and namespaces only
    /// if the dump has some, since people leave them out.
    pub fn of_dump(documents: &[Value]) -> Self {
        let mut observed = Observed { complete: Watched::all().collect(), ..Observed::default() };
        let mut cut = BTreeSet::new();
        for document in documents {
            take(document, &mut observed, &mut cut);
        }
        if observed.namespaces.is_empty() {
            cut.insert(Watched::Namespace);
        }
        observed.complete.retain(|watched| !cut.contains(watched));
        observed
    }
}

fn take(document: &Value, observed: &mut Observed, cut: &mut BTreeSet<Watched>) {
    let Some(items) = document.get("items").and_then(Value::as_array) else {
        observed.upsert(document);
        return;
    };
    if let Some(token) =
        document.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty())
    {
        cut.extend(cut_kinds(token, items));
    }
    for item in items {
        take(item, observed, cut);
    }
}

/// What an incomplete List was about: our own dump says it, else its items do, else it may be anything.
fn cut_kinds(token: &str, items: &[Value]) -> Vec<Watched> {
    let named =
        Watched::all().find(|watched| token.starts_with(&format!("{}/{} ", watched.api_version(), watched.kind())));
    if let Some(watched) = named {
        return vec![watched];
    }
    let kinds: BTreeSet<Watched> =
        items.iter().filter_map(|item| Watched::of(text(item, "apiVersion")?, text(item, "kind")?)).collect();
    if kinds.is_empty() { Watched::all().collect() } else { kinds.into_iter().collect() }
}
