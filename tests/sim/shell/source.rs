//! The source lane: its head, its inputs, and what was read last.

use holdfast::control::gitops::SourceFailure;
use holdfast::model::applied::FailureClass;
use holdfast::model::desired::Desired;
use holdfast::model::tree::Revision;

use crate::env::Env;

#[derive(Default)]
pub(crate) struct Source {
    pub desired: Option<Desired>,
    head: Option<Revision>,
}

impl Source {
    pub(crate) fn probe(&self, env: &mut Env) -> Result<bool, SourceFailure> {
        env.counts.effect("probe");
        fetch(env)?;
        Ok(self.head.as_ref() != Some(&env.remote.revision()))
    }

    pub(crate) fn read(&mut self, env: &mut Env) -> Result<bool, SourceFailure> {
        env.counts.effect("read");
        fetch(env)?;
        let tree = env.remote.tree();
        let changed = self.desired.as_ref().is_none_or(|desired| desired.inputs != tree.inputs);
        if changed {
            let desired = Desired::parse(&tree)
                .map_err(|error| SourceFailure { class: FailureClass::Invalid, message: error.to_string() })?;
            self.desired = Some(desired);
        }
        self.head = tree.revision;
        Ok(changed)
    }
}

fn fetch(env: &mut Env) -> Result<(), SourceFailure> {
    if env.fault("fetch failed", 60) {
        return Err(SourceFailure { class: FailureClass::Transient, message: "the forge is away".to_owned() });
    }
    Ok(())
}
