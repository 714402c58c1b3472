//! What every plan keeps, whatever the source and the cluster. Each property kills a mutant of `tests/mutants`.

mod bounds;
mod deletes;
mod ownership;
mod plans;
mod scene;
mod secrets;
mod values;

/// Cases of one property; a failing one is made smaller and printed as the scene that it is.
pub(crate) fn cases() -> proptest::prelude::ProptestConfig {
    proptest::prelude::ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() }
}
