//! Who holds the Lease of the daemon, watched while one process takes over from another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::task::JoinHandle;

/// Far below the time between two renewals.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Notes each change of the Lease until it is asked.
pub(crate) struct Leadership {
    /// When the Lease was seen to change, and who held it then.
    changes: Arc<Mutex<Vec<(Instant, String)>>>,
    watching: JoinHandle<()>,
}

impl Leadership {
    pub(crate) fn watch(client: &Client, namespace: &str) -> Self {
        let leases = Api::<Lease>::namespaced(client.clone(), namespace);
        let changes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&changes);
        let watching = tokio::spawn(async move {
            let mut last = None;
            loop {
                if let Ok(lease) = leases.get("holdfast").await
                    && last != lease.metadata.resource_version
                {
                    let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                    noted.lock().expect("no holder panics").push((Instant::now(), holder));
                    last = lease.metadata.resource_version;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { changes, watching }
    }

    /// The longest time without a renewal, and all holders in their order.
    pub(crate) fn so_far(&self) -> (Duration, Vec<String>) {
        let changes = self.changes.lock().expect("no holder panics");
        let silences = changes.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let mut holders: Vec<String> = changes.iter().map(|(_, holder)| holder.clone()).collect();
        holders.dedup();
        holders.retain(|holder| !holder.is_empty());
        (silences.max().unwrap_or_default(), holders)
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
