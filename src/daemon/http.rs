//! `/metrics`, `/healthz` and `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Shared;

pub(super) async fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let address = address(&shared.settings.listen)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let router = router(Arc::clone(shared));
    tasks.spawn(async move { axum::serve(listener, router).await.context("the HTTP server ended") });
    Ok(())
}

/// `:8080` means all addresses.
fn address(listen: &str) -> anyhow::Result<SocketAddr> {
    let text = if listen.starts_with(':') { format!("0.0.0.0{listen}") } else { listen.to_owned() };
    text.parse().with_context(|| format!("--listen {listen:?} is not an address such as :8080 or 127.0.0.1:8080"))
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|State(shared): State<Arc<Shared>>| async move { shared.metrics.render() }))
        .with_state(shared)
}

/// Ready: the cluster was listed and the source was read, so this process could take over at any moment.
async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.source.desired().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the source was not read yet\n");
    }
    match tokio::time::timeout(std::time::Duration::from_millis(100), shared.watches.listed()).await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the cluster was not listed yet\n"),
    }
}
