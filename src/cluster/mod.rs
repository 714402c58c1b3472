//! The API server: what is read from it, and the few ways in which something is written to it.

pub mod api;
pub mod apply;
pub mod deeds;
pub mod error;
pub mod events;
mod exchange;
mod item;
pub mod lease;
pub mod looks;
pub mod observe;
mod patience;
pub mod state;
pub mod trigger;
pub mod watch;
