//! From what Git asks for and what the cluster holds to a plan: pure, and the same for daemon, command line and simulator.

mod addresses;
mod asked;
mod compare;
mod coverage;
mod deletes;
mod documents;
mod draft;
mod generated;
mod guard;
mod judge;
mod naming;
mod policies;
pub mod render;
mod standing;
mod unused;
mod wanted;
mod world;

use jiff::{SignedDuration, Timestamp};

use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::place::Place;
use crate::model::plan::Plan;
use crate::policy::Decision;
use draft::Draft;
use world::World;

pub use documents::is_paused;
pub use world::{repository_of, target_of};

/// What an operator decides about planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long the cause of an object must be gone before the object goes.
    pub delete_delay: SignedDuration,
    /// Take over configurations of Stash whose target and resolved backend are equal.
    pub adopt_stash: bool,
    /// What policies read as `cluster.name`; empty where nobody gave one.
    pub cluster_name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delete_delay: SignedDuration::from_mins(10), adopt_stash: false, cluster_name: String::new() }
    }
}

/// What the policies say of blueprints, documents and restore requests, each with the place of the document. Without a
/// cluster, targets and namespaces are not known, and so not their labels.
pub fn judge(desired: &Desired, observed: &Observed, settings: &Settings, now: Timestamp) -> Vec<(Place, Decision)> {
    let world = World::new(desired, observed, settings, now);
    let mut decided = Vec::new();
    let mut put = |at: &Place, decisions: Vec<Decision>| {
        decided.extend(decisions.into_iter().map(|decision| (at.clone(), decision)));
    };
    for blueprint in desired.blueprints.values() {
        if let Some(at) = &blueprint.at {
            put(at, policies::of_blueprint(&world, blueprint));
        }
    }
    for (key, document) in &desired.documents {
        put(&document.at, policies::of_document(&world, key, document));
    }
    for request in &desired.requests {
        put(&request.at, policies::of_request(&world, request));
    }
    decided
}

/// What would be done at `now`, with reasons, and what would not.
pub fn plan(desired: &Desired, observed: &Observed, settings: &Settings, now: Timestamp) -> Plan {
    let world = World::new(desired, observed, settings, now);
    let mut draft = Draft::default();
    documents::plan(&world, &mut draft);
    generated::plan(&world, &mut draft);
    deletes::plan(&world, &mut draft);
    policies::of_plan(&world, &mut draft);
    policies::requests(&world, &mut draft);
    unused::plan(&world, &mut draft);
    coverage::plan(&world, &mut draft);
    draft.finish(&world)
}
