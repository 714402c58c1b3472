//! What is installed into a cluster: the API's definitions, the catalogue of Functions and Tasks, the rights of the daemon and its deployment.

pub mod catalogue;
pub mod crds;
pub mod manifests;
pub mod rbac;
pub mod verbs;
