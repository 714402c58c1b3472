//! Judges documents, objects, targets and plans by the policies in Git, and says what is not protected: pure.

mod case;
pub mod coverage;
mod judge;
mod memo;
mod reads;
mod subject;

pub use case::{Broken, run};
pub use judge::{BUDGET, Decision, Judge};
pub use subject::Subject;
