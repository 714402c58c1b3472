//! The file `config`, which makes a folder a repository.

use serde::{Deserialize, Serialize};

use super::store::FileId;

/// Version of the repository's format; restic reads 2 since 0.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    /// With compression.
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub version: Version,
    /// Never changes; caches go by it.
    pub id: FileId,
    pub(super) polynomial: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    id: String,
    chunker_polynomial: String,
}

impl Config {
    pub(super) fn parse(plain: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(plain).map_err(|error| error.to_string())?;
        let version = match written.version {
            1 => Version::V1,
            2 => Version::V2,
            other => return Err(format!("version {other} of the format is newer than this program; it knows 1 and 2")),
        };
        let id = written.id.parse().map_err(|_| "its id is none".to_owned())?;
        let polynomial = u64::from_str_radix(&written.chunker_polynomial, 16).map_err(|error| error.to_string())?;
        Ok(Self { version, id, polynomial })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let version = match self.version {
            Version::V1 => 1,
            Version::V2 => 2,
        };
        let (id, chunker_polynomial) = (self.id.to_string(), format!("{:x}", self.polynomial));
        serde_json::to_vec(&Written { version, id, chunker_polynomial }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_restic_is_read() {
        let id = "5a".repeat(32);
        let text = format!(r#"{{"version":2,"id":"{id}","chunker_polynomial":"3da3358b4dc173"}}"#);
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!((config.version, config.polynomial), (Version::V2, 0x3d_a335_8b4d_c173));
        assert_eq!(String::from_utf8(config.to_json()).unwrap(), text);
        let newer = text.replace(":2,", ":3,");
        assert!(Config::parse(newer.as_bytes()).unwrap_err().contains("newer than this program"));
    }
}
