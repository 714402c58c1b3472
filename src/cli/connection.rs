//! How every command reaches a cluster.

use anyhow::Context as _;

use super::args::Connection;
use crate::cluster::api::Handles;

/// One runtime for every command that talks to a cluster.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // Two crypto providers could end up in the binary; the first to be named is the one that is used.
    rustls::crypto::ring::default_provider().install_default().ok();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot start")
}

pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Handles> {
    let Connection { kubeconfig, context, namespace } = connection;
    Handles::connect(kubeconfig.as_deref(), context.as_deref(), namespace.as_deref()).await
}
