//! What must outlive the process and is not in Git: when objects were deleted, so that no restart resets the limit.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::json;
use tokio::time::timeout;

use super::api::Handles;
use super::error::Failure;
use super::exchange::exchange;
use super::lease::{Leader, WRITE_TIME_MAX};
use crate::install::verbs::STATE;
use crate::model::delete_log::DeleteLog;
use crate::model::keys::{FIELD_MANAGER, MANAGED_BY, MANAGED_BY_US};

/// Key in the `ConfigMap`.
const KEY: &str = "deletes";
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// Reads what the last leader wrote, for the next one; nothing there means no deletes.
pub async fn read(handles: &Handles) -> Result<DeleteLog, Failure> {
    let what = format!("read ConfigMap {}/{STATE}", handles.namespace());
    let map = timeout(READ_TIME_MAX, handles.config_maps().get_opt(STATE))
        .await
        .map_err(|_| Failure::Transient(format!("{what}: no answer within {} s", READ_TIME_MAX.as_secs())))?
        .map_err(|error| Failure::of_read(&error, &what))?;
    let text = map.and_then(|ConfigMap { data, .. }| data?.remove(KEY)).unwrap_or_default();
    DeleteLog::parse(&text).ok_or_else(|| {
        Failure::Invalid(format!(
            "{what}: {KEY} is not what Holdfast wrote; delete the ConfigMap to forget the deletes"
        ))
    })
}

/// Writes down the deletes that are about to happen; without that they must not.
pub(super) async fn write(handles: &Handles, leader: &Leader, log: &DeleteLog) -> Result<(), Failure> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": STATE, "namespace": handles.namespace(), "labels": {MANAGED_BY: MANAGED_BY_US}},
        "data": {KEY: log.print()},
    });
    let what = format!("write ConfigMap {}/{STATE}", handles.namespace());
    let request = Request::new(handles.config_maps().resource_url())
        .patch(STATE, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(map))
        .map_err(|error| Failure::Invalid(format!("{what}: {error}")))?;
    let Some(_permit) = leader.permit().await else {
        return Err(Failure::Transient(format!("{what}: this process is not the leader")));
    };
    exchange(handles.client(), request, WRITE_TIME_MAX, &what).await?;
    Ok(())
}
