//! `AppBinding`: how to reach a database.

use serde_json::Value;

use super::metadata::Metadata;
use super::reference::{TypedLocalObjectReference, TypedObjectReference};

wire! {
    AppBinding {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: AppBindingSpec,
    }

    /// `parameters` is a Kubernetes object of any kind.
    AppBindingSpec {
        r#type as "type": String,
        app_ref: TypedObjectReference,
        version: String,
        client_config: ClientConfig,
        secret: TypedLocalObjectReference,
        secret_transforms: Vec<SecretTransform>,
        parameters: Value,
        tls_secret: TypedLocalObjectReference,
    }

    /// `caBundle` is base64 of PEM.
    ClientConfig {
        url: String,
        service: ServiceReference,
        insecure_skip_tls_verify as "insecureSkipTLSVerify": bool,
        ca_bundle: String,
        server_name: String,
    }

    ServiceReference {
        scheme: String,
        namespace: String,
        name: String,
        port: i32,
        path: String,
        query: String,
    }

    /// Exactly one of the four.
    SecretTransform {
        rename_key: RenameKey,
        add_key: AddKey,
        add_keys_from: AddKeysFrom,
        remove_key: RemoveKey,
    }

    RenameKey {
        from: String,
        to: String,
    }

    /// `value` is base64; `stringValue` wins over it.
    AddKey {
        key: String,
        value: String,
        string_value: String,
    }

    AddKeysFrom {
        secret_ref: SecretName,
    }

    SecretName {
        name: String,
    }

    RemoveKey {
        key: String,
    }
}
