//! Small walks over JSON values, with RFC 6901 pointers as addresses.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Appends one reference token to a pointer.
pub fn join(pointer: &str, token: &str) -> String {
    let mut joined = String::with_capacity(pointer.len() + 1 + token.len());
    joined.push_str(pointer);
    push(&mut joined, token);
    joined
}

/// As [`join`], in place.
pub fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    if token.contains(['~', '/']) {
        pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(token);
    }
}

/// Undoes the escaping of one reference token.
pub fn token(escaped: &str) -> String {
    escaped.replace("~1", "/").replace("~0", "~")
}

/// As `Value::pointer`, without a copy of every token: a plan follows half a million of them.
pub fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    pointer.split('/').skip(1).try_fold(value, |value, escaped| match value {
        Value::Object(fields) if escaped.contains('~') => fields.get(&token(escaped)),
        Value::Object(fields) => fields.get(escaped),
        Value::Array(items) => items.get(escaped.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Whether both are the same number, be it written as `1` or as `1.0`.
pub fn same_number(one: &Value, other: &Value) -> bool {
    let either_is_float = one.is_f64() || other.is_f64();
    one.is_number() && (one == other || (either_is_float && one.as_f64() == other.as_f64()))
}

/// Whether a JSON text holds all of `want`: its objects may have more fields, its lists have the same length. Builds no
/// values, so it is many times faster than parsing; false also where the text is no JSON.
pub fn text_holds(text: &str, want: &Value) -> bool {
    let mut text = serde_json::Deserializer::from_str(text);
    Holds(want).deserialize(&mut text).unwrap_or(false)
}

struct Holds<'w>(&'w Value);

impl<'de> DeserializeSeed<'de> for Holds<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<bool, D::Error> {
        text.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Holds<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(self.0.is_null())
    }

    fn visit_bool<E: Error>(self, have: bool) -> Result<bool, E> {
        Ok(self.0.as_bool() == Some(have))
    }

    fn visit_i64<E: Error>(self, have: i64) -> Result<bool, E> {
        Ok(same_number(self.0, &Value::from(have)))
    }

    fn visit_u64<E: Error>(self, have: u64) -> Result<bool, E> {
        Ok(same_number(self.0, &Value::from(have)))
    }

    fn visit_f64<E: Error>(self, have: f64) -> Result<bool, E> {
        Ok(same_number(self.0, &Value::from(have)))
    }

    fn visit_str<E: Error>(self, have: &str) -> Result<bool, E> {
        Ok(self.0.as_str() == Some(have))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut have: A) -> Result<bool, A::Error> {
        let mut held = self.0.is_array();
        for item in self.0.as_array().into_iter().flatten() {
            held &= have.next_element_seed(Holds(item))? == Some(true);
        }
        while have.next_element::<IgnoredAny>()?.is_some() {
            held = false;
        }
        Ok(held)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut have: A) -> Result<bool, A::Error> {
        let (mut held, mut found) = (self.0.is_object(), 0);
        while let Some(field) = have.next_key_seed(FieldOf(self.0))? {
            match field {
                Some(field) => {
                    found += 1;
                    held &= have.next_value_seed(Holds(field))?;
                }
                None => drop(have.next_value::<IgnoredAny>()?),
            }
        }
        Ok(held && self.0.as_object().map(Map::len) == Some(found))
    }
}

/// The field of a wanted object that a key of the text names.
struct FieldOf<'w>(&'w Value);

impl<'de, 'w> DeserializeSeed<'de> for FieldOf<'w> {
    type Value = Option<&'w Value>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for FieldOf<'w> {
    type Value = Option<&'w Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(key))
    }
}

/// Calls `visit` with pointer and text of every string value.
pub fn each_string<E>(
    value: &Value,
    pointer: &str,
    visit: &mut impl FnMut(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each_string(item, &format!("{pointer}/{index}"), visit)?;
            }
            Ok(())
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                each_string(field, &join(pointer, key), visit)?;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Sets `key` unless the value is absent, null or an empty object or list: absent beats empty.
pub fn set(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value.filter(|value| !is_empty(value)) {
        object.insert(key.to_owned(), value);
    }
}

/// Null, `{}` and `[]`.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// String field of an object, by key.
pub fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// The strings of an object field, as labels and annotations are; what is no string is left out.
pub fn texts(value: &Value, field: &str) -> BTreeMap<String, String> {
    let entries = value.get(field).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_holds_what_it_says_and_no_less() {
        let text = r#"{"a": [1, {"b": "c\u00e9", "more": [null]}], "d": {"e": true}, "f": 2.5, "n": null, "big": 9007199254740992}"#;
        for held in [
            json!({}),
            json!({"a": [1.0, {"b": "c\u{e9}"}]}),
            json!({"d": {}, "f": 2.5, "n": null}),
            json!({"a": [1, {"more": [null]}], "d": {"e": true}}),
        ] {
            assert!(text_holds(text, &held), "{held}");
        }
        for missing in [
            json!({"a": [1]}),
            json!({"a": [1, {}, 3]}),
            json!({"a": [2, {}]}),
            json!({"a": {}}),
            json!({"d": []}),
            json!({"d": {"e": false}}),
            json!({"d": {"e": true, "x": 1}}),
            json!({"f": "2.5"}),
            json!({"big": 9_007_199_254_740_993_u64}),
            json!({"x": null}),
            json!(null),
            json!([]),
        ] {
            assert!(!text_holds(text, &missing), "{missing}");
        }
        assert!(!text_holds("{\"a\": 1", &json!({"a": 1})));
    }

    #[test]
    fn pointers_lead_where_those_of_the_library_lead() {
        let value = json!({"a/b": {"~": [1, {"c": 2}]}, "": {"x": 1}});
        for pointer in ["", "/a~1b", "/a~1b/~0/1/c", "/a~1b/~0/2", "//x", "/a~1b/~0/c", "/none/x"] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
