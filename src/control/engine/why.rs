//! Why something has not worked: a word for machines and a sentence for people, ours or somebody else's.

use crate::model::step::Complaint;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    /// One word, such as `OutOfMemory`; Kubernetes has others than we do.
    pub reason: String,
    pub message: String,
}

impl From<&Complaint> for Why {
    fn from(complaint: &Complaint) -> Self {
        Self { reason: complaint.reason.as_str().to_owned(), message: complaint.message.clone() }
    }
}
