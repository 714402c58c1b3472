//! Validated types that every later layer speaks: what Git asks for, what the cluster holds, and the plan between them.

pub mod acknowledge;
pub mod address;
pub mod applied;
pub mod delete_log;
pub mod desired;
mod document;
mod dump;
pub mod facts;
pub mod finding;
pub mod human;
pub mod invoker;
pub mod json;
pub mod keys;
pub mod month;
pub mod names;
pub mod object;
pub mod observed;
pub mod owned_fields;
pub mod place;
pub mod plan;
pub mod policy;
pub mod redact;
pub mod retention;
pub mod step;
pub mod substitution;
pub mod tree;
pub mod withheld;
