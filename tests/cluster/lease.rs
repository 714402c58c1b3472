//! Two processes never write at the same time.

use std::sync::Arc;
use std::time::Duration;

use holdfast::cluster::api::Handles;
use holdfast::cluster::apply::apply;
use holdfast::cluster::lease::Leader;
use holdfast::cluster::state;
use holdfast::model::applied::StepResult;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::harness::cluster::{Cluster, TestNamespace};
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::support::{self, SOON, create, leads, plan, repository};

/// Two candidates for the Lease of one namespace, each behind a proxy; the first leads.
struct Election {
    cluster: Cluster,
    namespace: TestNamespace,
    proxy: Proxy,
    second_proxy: Proxy,
    handles: Handles,
    first: Arc<Leader>,
    second: Arc<Leader>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Election {
    async fn new() -> Option<Self> {
        let cluster = support::cluster().await?;
        let namespace = cluster.namespace("lease").await;
        let kubeconfig = support::account(&cluster, &namespace).await;
        let (proxy, proxied) = Proxy::in_front_of_cluster(&kubeconfig);
        let handles = support::handles(&proxied, &namespace.name).await;
        let (second_proxy, second_proxied) = Proxy::in_front_of_cluster(&kubeconfig);
        let second_handles = support::handles(&second_proxied, &namespace.name).await;
        let mut tasks = JoinSet::new();
        let first = Arc::new(Leader::start(&handles, "first", Timestamp::now, &mut tasks));
        leads(&first).await;
        let second = Arc::new(Leader::start(&second_handles, "second", Timestamp::now, &mut tasks));
        let (one, two) = (Arc::clone(&first), Arc::clone(&second));
        tasks.spawn(async move {
            loop {
                anyhow::ensure!(!(one.is_leader() && two.is_leader()), "two leaders at the same time");
                sleep(Duration::from_millis(2)).await;
            }
        });
        Some(Self { cluster, namespace, proxy, second_proxy, handles, first, second, tasks })
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.cluster.admin.clone(), &self.namespace.name)
    }

    async fn holder(&self) -> Option<String> {
        self.leases().get("holdfast").await.ok()?.spec?.holder_identity
    }

    /// Fails if the watching task has seen two leaders.
    fn assert_no_overlap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.unwrap().unwrap();
        }
    }
}

/// Waits until the candidate behind the proxy has read the Lease and had the time to act on that.
async fn looks(proxy: &Proxy) {
    let reads = || proxy.requests().iter().filter(|request| is_lease(request) && request.method == "GET").count();
    let before = reads();
    let what = "the candidate looks twice";
    eventually(SOON, what, async || if reads() >= before + 2 { Ok(()) } else { Err("not yet") }).await;
}

fn is_lease(request: &SeenRequest) -> bool {
    request.path.contains("/leases")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_leader_stops_before_the_next_one_begins() {
    let Some(mut election) = Election::new().await else { return };
    let cut = Instant::now();
    let hold = election.proxy.rule(Which::Every, Action::Hold, is_lease);
    hold.wait_for_held(SOON).await;
    eventually(SOON, "the first one stops", async || if election.first.is_leader() { Err("leads") } else { Ok(()) })
        .await;
    let stopped = Instant::now();
    let mut role = election.first.subscribe();
    tokio::time::timeout(SOON, role.wait_for(|role| !*role)).await.expect("it says so").unwrap();
    leads(&election.second).await;
    assert!(stopped.elapsed() >= Duration::from_secs(4), "a write of 5 s could still run: {:?}", stopped.elapsed());
    assert!(cut.elapsed() < Duration::from_secs(25), "{:?}", cut.elapsed());
    hold.release();
    looks(&election.proxy).await;
    assert!(!election.first.is_leader() && election.second.is_leader());
    assert_eq!(election.holder().await.as_deref(), Some(election.second.identity()));
    election.assert_no_overlap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_lease_is_taken_at_once_but_not_before_the_last_write_is_over() {
    let Some(mut election) = Election::new().await else { return };
    let key = repository(&election.namespace.name, "t-last");
    let hold = election.proxy.rule(Which::Nth(1), Action::Hold, |request| request.method == "PATCH");
    let mut log = state::read(&election.handles).await.unwrap();
    let (plan, known) = (plan(vec![create(&key, "a")]), std::collections::BTreeMap::new());
    let (applied, released) = tokio::join!(apply(&election.handles, &election.first, &mut log, &plan, &known), async {
        hold.wait_for_held(SOON).await;
        let during = async {
            // As long as the write runs, the Lease stays ours, though the other one looks.
            looks(&election.second_proxy).await;
            assert_eq!(election.holder().await.as_deref(), Some(election.first.identity()));
            assert!(!election.first.is_leader(), "no new write begins");
            hold.release();
            Instant::now()
        };
        let ((), released) = tokio::join!(election.first.release(), during);
        assert_ne!(
            election.holder().await.as_deref(),
            Some(election.first.identity()),
            "given back when the call returns"
        );
        released
    });
    assert_eq!(applied.results()[0].1, StepResult::Done);
    leads(&election.second).await;
    assert!(released.elapsed() < Duration::from_secs(5), "{:?}", released.elapsed());
    election.assert_no_overlap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_a_deleted_lease_make_no_second_leader() {
    let Some(mut election) = Election::new().await else { return };
    let lost = election
        .proxy
        .rule(Which::Nth(1), Action::CutAfterForward, |request| is_lease(request) && request.method == "PUT");
    lost.wait_for_applied(1, SOON).await;
    let version = async || election.leases().get("holdfast").await.map(|lease| lease.metadata.resource_version);
    let before = version().await.unwrap();
    eventually(SOON, "renewed again", async || {
        let now = version().await.map_err(|error| error.to_string())?;
        if now == before { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    assert!(election.first.is_leader());

    election.leases().delete("holdfast", &DeleteParams::default()).await.unwrap();
    eventually(SOON, "held again", async || election.holder().await.ok_or("nobody")).await;
    eventually(SOON, "somebody leads", async || {
        if election.first.is_leader() || election.second.is_leader() { Ok(()) } else { Err("nobody") }
    })
    .await;
    election.assert_no_overlap();
}
