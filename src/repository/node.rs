//! Trees as they lie in a repository: what a folder says about each thing in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::blob::BlobId;
use super::names;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    #[serde(default, deserialize_with = "or_default")]
    pub nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    File,
    Dir,
    Symlink,
    #[serde(rename = "dev")]
    BlockDevice,
    #[serde(rename = "chardev")]
    CharacterDevice,
    Fifo,
    Socket,
    /// Of a program that is newer than this one.
    #[serde(other)]
    Unknown,
}

/// One thing in a folder. The order of fields is restic's, so that both write the same tree for the same folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// As [`names`] quotes it.
    pub(super) name: String,
    #[serde(rename = "type")]
    pub kind: NodeKind,
    /// As Go counts its bits; missing for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: u32,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub mtime: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub atime: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub ctime: Option<Timestamp>,
    #[serde(default)]
    pub uid: u32,
    #[serde(default)]
    pub gid: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub user: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub inode: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub device_id: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub links: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) linktarget: String,
    /// When the target is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) linktarget_raw: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub extended_attributes: Vec<Attribute>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: u64,
    /// Of a file: its pieces in order.
    pub content: Option<Vec<BlobId>>,
    /// Of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtree: Option<BlobId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    #[serde(default)]
    pub value: Option<Bytes>,
}

/// Base64 on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Node {
    pub fn new(name: &OsStr, kind: NodeKind) -> Self {
        Self {
            name: names::quote(name),
            kind,
            mode: 0,
            mtime: None,
            atime: None,
            ctime: None,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            linktarget: String::new(),
            linktarget_raw: None,
            extended_attributes: Vec::new(),
            device: 0,
            content: None,
            subtree: None,
        }
    }

    /// The name, if it can be one: whoever writes into a repository could lead a restore out of its target otherwise.
    pub fn name(&self) -> Result<OsString, String> {
        let bad = || format!("{:?} is no name of a file", self.name);
        let name = names::unquote(&self.name).ok_or_else(bad)?;
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
            return Err(bad());
        }
        Ok(name)
    }

    pub fn point_to(&mut self, target: &OsStr) {
        self.linktarget = target.to_string_lossy().into_owned();
        self.linktarget_raw = target.to_str().is_none().then(|| Bytes(target.as_bytes().to_vec()));
    }

    pub fn target(&self) -> OsString {
        match &self.linktarget_raw {
            Some(raw) => OsString::from_vec(raw.0.clone()),
            None => self.linktarget.clone().into(),
        }
    }

    pub fn blobs(&self) -> &[BlobId] {
        self.content.as_deref().unwrap_or_default()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go writes an empty list as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// One that is beyond what we can tell, such as the last day of the year 9999, does not make a whole folder unreadable.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_restic_comes_back_as_it_was() {
        let text = concat!(
            r#"{"nodes":[{"name":"a\\xff","type":"file","mode":420,"mtime":"2026-11-21T19:21:47.5Z","uid":1,"gid":0,"size":3,"#,
            r#""extended_attributes":[{"name":"user.a","value":"AAE="}],"content":["#,
            r#""0707070707070707070707070707070707070707070707070707070707070707"]},"#,
            r#"{"name":"dir","type":"dir","mode":2147484141,"uid":0,"gid":0,"content":null,"#,
            r#""subtree":"0808080808080808080808080808080808080808080808080808080808080808"}]}"#,
        );
        let tree: Tree = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
        assert_eq!(tree.nodes[0].name().unwrap().as_bytes(), b"a\xff");
        assert_eq!(serde_json::from_str::<Tree>(r#"{"nodes":null}"#).unwrap(), Tree::default());
    }

    #[test]
    fn a_time_beyond_all_times_loses_nothing_else() {
        for (time, expected) in [
            ("9999-12-31T23:59:59.999999999Z", None),
            ("0000-01-01T00:00:00+18:00", "-000001-12-31T06:00:00Z".parse().ok()),
            ("2026-11-21T19:21:47.5+01:00", "2026-11-21T18:21:47.5Z".parse().ok()),
        ] {
            let text = format!(r#"{{"nodes":[{{"name":"a","type":"file","mtime":"{time}","content":[]}}]}}"#);
            assert_eq!(serde_json::from_str::<Tree>(&text).unwrap().nodes[0].mtime, expected, "{time}");
        }
    }

    #[test]
    fn a_kind_that_nobody_knows_yet_loses_nothing_else() {
        let text =
            r#"{"nodes":[{"name":"a","type":"irregular","content":null},{"name":"b","type":"fifo","content":null}]}"#;
        let kinds: Vec<_> = serde_json::from_str::<Tree>(text).unwrap().nodes.iter().map(|node| node.kind).collect();
        assert_eq!(kinds, [NodeKind::Unknown, NodeKind::Fifo]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        for name in ["", ".", "..", "a/b", r"\x00", r"\x2f"] {
            let node = Node { name: name.to_owned(), ..Node::new(OsStr::new("x"), NodeKind::File) };
            assert!(node.name().is_err(), "{name}");
        }
    }
}
