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
    let listen = &shared.settings.listen;
    let listener =
        TcpListener::bind(&addresses(listen)?[..]).await.with_context(|| format!("cannot listen on {listen}"))?;
    let router = router(Arc::clone(shared));
    tasks.spawn(async move { axum::serve(listener, router).await.context("the HTTP server ended") });
    Ok(())
}

/// Where to listen; the first that can be bound counts. `:8080` means all addresses: `::` takes IPv4 too, and where IPv6
/// is off there is only IPv4.
fn addresses(listen: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let texts = if listen.starts_with(':') && !listen.starts_with("::") {
        vec![format!("[::]{listen}"), format!("0.0.0.0{listen}")]
    } else {
        vec![listen.to_owned()]
    };
    let parsed: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
    parsed.with_context(|| format!("--listen {listen:?} is not an address such as :8080 or 127.0.0.1:8080"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_all_addresses() {
        let read = |listen: &str| addresses(listen).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read(":8080").unwrap(), ["[::]:8080", "0.0.0.0:8080"]);
        assert_eq!(read("127.0.0.1:1").unwrap(), ["127.0.0.1:1"]);
        assert_eq!(read("[::1]:1").unwrap(), ["[::1]:1"]);
        for bad in ["", "8080", ":", "::1", ":99999", "localhost:1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn all_addresses_have_ipv4_among_them() {
        let listener = TcpListener::bind(&addresses(":0").unwrap()[..]).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    }
}
