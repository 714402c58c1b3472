//! Deterministic simulation of the engine: its loops against a model of the API server, the controllers, the kubelets and the
//! repositories, with every fault between any two of its deeds.

mod actors;
mod cluster;
mod controllers;
mod daemon;
mod documents;
mod kubelet;
mod oracle;
mod quiet;
mod store;
mod world;
mod worlds;
