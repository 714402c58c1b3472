//! Any of Stash's kinds, told apart by `apiVersion` and `kind`.

use serde_json::Value;

use super::field::Leftovers;
use super::{
    AppBinding, BackupBatch, BackupBlueprint, BackupConfiguration, BackupSession, Function, Repository, RestoreBatch,
    RestoreSession, Task,
};

macro_rules! kinds {
    ($($kind:ident $api_version:literal,)*) => {
        /// One object of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Kind {
            $($kind(Box<$kind>),)*
        }

        /// Reads an object of a known kind; an error names the kind and what does not fit.
        ///
        /// A whole number written as `1.0` is an error here, though the API server takes it.
        pub fn from_value(object: Value) -> Result<Kind, String> {
            let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
            match (text("apiVersion"), text("kind")) {
                $(($api_version, stringify!($kind)) => serde_json::from_value(object)
                    .map(|object| Kind::$kind(Box::new(object)))
                    .map_err(|error| format!("{}: {error}", stringify!($kind))),)*
                (api_version, kind) => Err(format!("kind {kind:?} of {api_version:?} is not known")),
            }
        }

        impl Kind {
            /// The object as it was read.
            pub fn to_value(&self) -> Result<Value, String> {
                match self {
                    $(Kind::$kind(object) => serde_json::to_value(object),)*
                }
                .map_err(|error| error.to_string())
            }
        }

        impl Leftovers for Kind {
            fn unknown(&self, at: &str, out: &mut Vec<String>) {
                match self {
                    $(Kind::$kind(object) => object.unknown(at, out),)*
                }
            }
        }
    };
}

kinds! {
    AppBinding "appcatalog.appscode.com/v1alpha1",
    BackupBatch "stash.appscode.com/v1beta1",
    BackupBlueprint "stash.appscode.com/v1beta1",
    BackupConfiguration "stash.appscode.com/v1beta1",
    BackupSession "stash.appscode.com/v1beta1",
    Function "stash.appscode.com/v1beta1",
    Repository "stash.appscode.com/v1alpha1",
    RestoreBatch "stash.appscode.com/v1beta1",
    RestoreSession "stash.appscode.com/v1beta1",
    Task "stash.appscode.com/v1beta1",
}
