//! Creates one session, under the rights of whoever asks: of the trigger's account in the pod of a `CronJob`, or of a person.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kube::api::PostParams;
use kube::core::Request;
use kube::core::params::GetParams;
use serde_json::Value;
use tokio::time::sleep;

use super::api::Handles;
use super::error::Failure;
use super::exchange::exchange;
use crate::api::BackupConfiguration;
use crate::build::session::new_session;
use crate::model::facts::FactKind;
use crate::model::invoker::Invoker;
use crate::model::keys::ENGINE_MANAGER;

const REQUEST_TIME_MAX: Duration = Duration::from_secs(20);
/// An API server that does not answer is asked again: after the first failure so long, then twice as long, and so often.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 6;

/// What became of it.
pub enum Made {
    New {
        namespace: String,
        session: String,
    },
    /// Somebody created the session of this slot before.
    Known {
        namespace: String,
        session: String,
    },
    Paused {
        namespace: String,
        name: String,
    },
}

pub async fn create(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    namespace: Option<&str>,
    invoker: &str,
    slot: Timestamp,
) -> anyhow::Result<Made> {
    let handles = Handles::connect(kubeconfig, context, namespace).await?;
    let namespace = handles.namespace().to_owned();
    let object = read(&handles, &namespace, invoker).await?;
    let typed: BackupConfiguration =
        serde_json::from_value(object).context("the BackupConfiguration cannot be read")?;
    let invoker = Invoker::parse(&typed).with_context(|| format!("BackupConfiguration {namespace}/{invoker}"))?;
    if invoker.paused {
        return Ok(Made::Paused { namespace, name: invoker.name.name });
    }
    let retries = invoker.retry.map_or(0, |retry| i32::try_from(retry.max).unwrap_or(i32::MAX));
    let manifest = new_session(&invoker, slot, retries);
    let session = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let body = serde_json::to_vec(&manifest)?;
    let params = PostParams { field_manager: Some(ENGINE_MANAGER.to_owned()), ..PostParams::default() };
    let kind = FactKind::BackupSession;
    let url = Handles::url(kind.api_version(), kind.resource(), &namespace);
    let mut wait = FIRST_WAIT;
    for tried in 1..=TRIES_MAX {
        let request = Request::new(url.clone()).create(&params, body.clone())?;
        match exchange(handles.client(), request, REQUEST_TIME_MAX, &format!("create {session}")).await {
            Ok(_) => return Ok(Made::New { namespace, session }),
            Err(Failure::Conflict(_)) => return Ok(Made::Known { namespace, session }),
            Err(failure) if is_final(&failure) || tried == TRIES_MAX => bail!("{failure}"),
            Err(_) => {
                sleep(wait).await;
                wait *= 2;
            }
        }
    }
    bail!("the API server did not take the session")
}

async fn read(handles: &Handles, namespace: &str, name: &str) -> anyhow::Result<Value> {
    let kind = FactKind::BackupConfiguration;
    let url = Handles::url(kind.api_version(), kind.resource(), namespace);
    let mut wait = FIRST_WAIT;
    for tried in 1..=TRIES_MAX {
        let request = Request::new(url.clone()).get(name, &GetParams::default())?;
        let what = format!("read BackupConfiguration {namespace}/{name}");
        match exchange(handles.client(), request, REQUEST_TIME_MAX, &what).await {
            Ok(answer) => return Ok(answer.object),
            Err(failure) if is_final(&failure) || tried == TRIES_MAX => bail!("{failure}"),
            Err(_) => {
                sleep(wait).await;
                wait *= 2;
            }
        }
    }
    bail!("the API server did not answer")
}

/// Whether asking again gives the same answer. A session whose creation has no answer is asked for again: of that name there is one.
fn is_final(failure: &Failure) -> bool {
    match failure {
        Failure::Denied(_) | Failure::Invalid(_) | Failure::Missing(_) => true,
        Failure::Conflict(_) | Failure::Throttled { .. } | Failure::Transient(_) | Failure::Unknown(_) => false,
    }
}
