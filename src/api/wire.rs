//! The macro that declares wire types.

/// Declares a struct of `Field`s in camel case, or under the name after `as`, that keeps the fields it does not know.
macro_rules! wire {
    ($(
        $(#[$about:meta])*
        $name:ident { $($(#[$note:meta])* $field:ident $(as $wire:literal)?: $type:ty),* $(,)? }
    )*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $(
                $(#[$note])*
                $(#[serde(rename = $wire)])?
                #[serde(default, skip_serializing_if = "crate::api::field::Field::is_absent")]
                pub $field: crate::api::field::Field<$type>,
            )*
            /// Fields that are not listed above.
            #[serde(flatten)]
            pub unknown: serde_json::Map<String, serde_json::Value>,
        }

        impl crate::api::field::Leftovers for $name {
            fn unknown(&self, at: &str, out: &mut Vec<String>) {
                let Self { $($field,)* unknown } = self;
                crate::api::wire::push(unknown, at, out);
                $(
                    let name: Option<&str> = None $(.or(Some($wire)))?;
                    crate::api::wire::below($field, stringify!($field), name, at, out);
                )*
            }
        }
    )*};
}

use serde_json::{Map, Value};

use super::field::{Field, Leftovers};

/// Pointers of unknown fields.
pub(super) fn push(unknown: &Map<String, Value>, at: &str, out: &mut Vec<String>) {
    out.extend(unknown.keys().map(|name| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))));
}

/// What one field does not know; `wire` is its name where that is not the camel case of `field`.
pub(super) fn below<T: Leftovers>(value: &Field<T>, field: &str, wire: Option<&str>, at: &str, out: &mut Vec<String>) {
    if let Field::Value(value) = value {
        let name = wire.map_or_else(|| camel_case(field), str::to_owned);
        value.unknown(&format!("{at}/{name}"), out);
    }
}

/// As serde's `rename_all` does it.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(usize::from(!word.is_empty()));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}
