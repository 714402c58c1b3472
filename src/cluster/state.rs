//! What must outlive the process and is not in Git: when objects were deleted, so that no restart resets the limit.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
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
use crate::model::keys::{FIELD_MANAGER, MANAGED_BY, MANAGED_BY_US};

/// Deletes count for this long.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// Key in the `ConfigMap`; a line is `<time> <how many>`.
const KEY: &str = "deletes";
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// The deletes of the last hour. Read it when this process becomes leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteLog {
    /// Number of deletes by the time of their plan.
    passes: BTreeMap<Timestamp, u32>,
}

impl DeleteLog {
    /// Reads what the last leader wrote; nothing there means no deletes.
    pub async fn read(handles: &Handles) -> Result<Self, Failure> {
        let what = format!("read ConfigMap {}/{STATE}", handles.namespace());
        let map = timeout(READ_TIME_MAX, handles.config_maps().get_opt(STATE))
            .await
            .map_err(|_| Failure::Transient(format!("{what}: no answer within {} s", READ_TIME_MAX.as_secs())))?
            .map_err(|error| Failure::of_read(&error, &what))?;
        let text = map.and_then(|ConfigMap { data, .. }| data?.remove(KEY)).unwrap_or_default();
        Self::parse(&text).ok_or_else(|| {
            Failure::Invalid(format!(
                "{what}: {KEY} is not what Holdfast wrote; delete the ConfigMap to forget the deletes"
            ))
        })
    }

    /// One entry per delete of the hour before `now`.
    pub fn recent(&self, now: Timestamp) -> Vec<Timestamp> {
        self.passes
            .range(now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN)..)
            .flat_map(|(time, count)| std::iter::repeat_n(*time, *count as usize))
            .collect()
    }

    /// Writes down that `count` deletes are about to happen; without that they must not.
    pub(super) async fn record(
        &mut self,
        handles: &Handles,
        leader: &Leader,
        now: Timestamp,
        count: u32,
    ) -> Result<(), Failure> {
        let mut next = self.clone();
        next.passes.retain(|time, _| now.duration_since(*time) < RECENT);
        *next.passes.entry(now).or_default() += count;
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": STATE, "namespace": handles.namespace(), "labels": {MANAGED_BY: MANAGED_BY_US}},
            "data": {KEY: next.print()},
        });
        let what = format!("write ConfigMap {}/{STATE}", handles.namespace());
        let request = Request::new(handles.config_maps().resource_url())
            .patch(STATE, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(map))
            .map_err(|error| Failure::Invalid(format!("{what}: {error}")))?;
        let Some(_permit) = leader.permit().await else {
            return Err(Failure::Transient(format!("{what}: this process is not the leader")));
        };
        exchange(handles.client(), request, WRITE_TIME_MAX, &what).await?;
        *self = next;
        Ok(())
    }

    fn print(&self) -> String {
        let lines: Vec<String> = self.passes.iter().map(|(time, count)| format!("{time} {count}")).collect();
        lines.join("\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let passes = text.lines().map(|line| {
            let (time, count) = line.split_once(' ')?;
            Some((time.parse().ok()?, count.parse().ok()?))
        });
        Some(Self { passes: passes.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_and_counts_for_an_hour() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let passes = [(time("2026-11-21T01:00:00Z"), 2), (time("2026-11-21T01:30:00.25Z"), 1)];
        let log = DeleteLog { passes: passes.into_iter().collect() };
        assert_eq!(DeleteLog::parse(&log.print()), Some(log.clone()));
        assert_eq!(log.recent(time("2026-11-21T01:59:59Z")).len(), 3);
        assert_eq!(log.recent(time("2026-11-21T02:00:01Z")), [time("2026-11-21T01:30:00.25Z")]);
        assert_eq!(DeleteLog::parse("soon 3"), None);
        assert_eq!(DeleteLog::parse(""), Some(DeleteLog::default()));
    }
}
