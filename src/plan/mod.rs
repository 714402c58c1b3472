//! From what Git asks for and what the cluster holds to a plan: pure, and the same for daemon, command line and simulator.

mod addresses;
mod asked;
mod compare;
mod deletes;
mod documents;
mod draft;
mod generated;
mod guard;
mod judge;
mod naming;
pub mod render;
mod standing;
mod unused;
mod wanted;
mod world;

use jiff::{SignedDuration, Timestamp};

use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::plan::Plan;
use draft::Draft;
use world::World;

/// What an operator decides about planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long the cause of an object must be gone before the object goes.
    pub delete_delay: SignedDuration,
    /// Take over configurations of Stash whose target and resolved backend are equal.
    pub adopt_stash: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delete_delay: SignedDuration::from_mins(10), adopt_stash: false }
    }
}

/// What would be done at `now`, with reasons, and what would not.
pub fn plan(desired: &Desired, observed: &Observed, settings: &Settings, now: Timestamp) -> Plan {
    let world = World::new(desired, observed, settings, now);
    let mut draft = Draft::default();
    documents::plan(&world, &mut draft);
    generated::plan(&world, &mut draft);
    deletes::plan(&world, &mut draft);
    unused::plan(&world, &mut draft);
    draft.finish(&world)
}
