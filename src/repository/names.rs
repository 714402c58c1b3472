//! Names of files in trees: text, in which bytes that are no UTF-8 are written as Go would in a string.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

pub(super) fn quote(name: &OsStr) -> String {
    let mut quoted = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                letter if letter.is_control() => {
                    let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
                }
                letter => quoted.push(letter),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted
}

/// `None` if it is not what Go writes.
pub(super) fn unquote(quoted: &str) -> Option<OsString> {
    let mut name = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((before, after)) = rest.split_once('\\') {
        name.extend_from_slice(before.as_bytes());
        let mut letters = after.chars();
        let escape = letters.next()?;
        rest = letters.as_str();
        match escape {
            'a' => name.push(7),
            'b' => name.push(8),
            't' => name.push(b'\t'),
            'n' => name.push(b'\n'),
            'v' => name.push(11),
            'f' => name.push(12),
            'r' => name.push(b'\r'),
            '\\' | '"' | '\'' => name.push(u8::try_from(escape).ok()?),
            'x' => name.push(u8::try_from(number(&mut rest, 2, 16)?).ok()?),
            'u' => push(&mut name, number(&mut rest, 4, 16)?)?,
            'U' => push(&mut name, number(&mut rest, 8, 16)?)?,
            '0'..='7' => {
                rest = after;
                name.push(u8::try_from(number(&mut rest, 3, 8)?).ok()?);
            }
            _ => return None,
        }
    }
    name.extend_from_slice(rest.as_bytes());
    Some(OsString::from_vec(name))
}

fn number(rest: &mut &str, digits: usize, radix: u32) -> Option<u32> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    u32::from_str_radix(number, radix).ok()
}

fn push(name: &mut Vec<u8>, letter: u32) -> Option<()> {
    let mut bytes = [0; 4];
    name.extend_from_slice(char::from_u32(letter)?.encode_utf8(&mut bytes).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_go_reads_them() {
        for (quoted, bytes) in [
            ("plain", b"plain".as_slice()),
            (r"a\x00\xff\\\n", b"a\x00\xff\\\n"),
            (r"\u00e4\U0001f600", "ä😀".as_bytes()),
            (r"\a\b\f\r\t\v\'\101", b"\x07\x08\x0c\r\t\x0b'A"),
        ] {
            assert_eq!(unquote(quoted).unwrap().as_bytes(), bytes);
        }
        for bad in [r"\", r"\x", r"\xg0", r"\q", r"\ud800", r"\400", r"\xé"] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(bytes: Vec<u8>) {
            let name = OsString::from_vec(bytes);
            prop_assert_eq!(unquote(&quote(&name)), Some(name));
        }
    }
}
