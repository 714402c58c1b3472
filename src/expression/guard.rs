//! Calls into the libraries below, which panic on some inputs: times that overflow, texts that are nested too deep.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// `None` if the work panicked. It may leave nothing half done behind that outlives it.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outside = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work)).ok();
    GUARDED.set(outside);
    result
}

/// Whether a panic of this thread is caught here and becomes the failure of an expression, so that nobody need hear of it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}
