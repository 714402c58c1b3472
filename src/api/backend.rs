//! Where a restic repository lies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field::{Field, Leftovers};

wire! {
    /// One provider and the Secret with its credentials, in the namespace of the Repository.
    Backend {
        storage_secret_name: String,
        local: Local,
        s3: S3,
        gcs: Bucket,
        azure: Azure,
        swift: Swift,
        b2: Bucket,
        rest: Rest,
    }

    /// An S3 service.
    S3 {
        endpoint: String,
        bucket: String,
        prefix: String,
        region: String,
        insecure_tls as "insecureTLS": bool,
    }

    /// A bucket of Google Cloud Storage or Backblaze B2.
    Bucket {
        bucket: String,
        prefix: String,
        max_connections: i64,
    }

    /// A container of Azure Blob Storage.
    Azure {
        container: String,
        prefix: String,
        max_connections: i64,
    }

    /// A container of `OpenStack` Swift.
    Swift {
        container: String,
        prefix: String,
    }

    /// A REST server of restic.
    Rest {
        url: String,
    }
}

/// A volume of any kind; `volume` holds the fields of Kubernetes' `VolumeSource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Local {
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub mount_path: Field<String>,
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub sub_path: Field<String>,
    #[serde(flatten)]
    pub volume: Map<String, Value>,
}

impl Leftovers for Local {
    fn unknown(&self, _: &str, _: &mut Vec<String>) {}
}
