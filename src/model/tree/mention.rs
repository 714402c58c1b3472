//! Whether a file speaks of something, however it spells it: what is overlooked counts as deleted.

/// Whether one of `words`, which are ASCII, is in `content`: as it is, as UTF-16 or UTF-32, or with escapes of JSON and
/// YAML in it. It may see a word where a parser sees none, but not the other way round.
pub fn mentions(content: &[u8], words: &[&str]) -> bool {
    let found =
        |content: &[u8]| words.iter().any(|word| content.windows(word.len()).any(|window| window == word.as_bytes()));
    found(content) || (content.iter().any(|byte| matches!(byte, 0 | b'\\')) && found(&plain(content)))
}

/// Without the zeros that the wide encodings put around ASCII, and with escapes resolved.
fn plain(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    let mut bytes = content.iter().copied().filter(|byte| *byte != 0).peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'x') => out.push(character(&mut bytes, 2)),
            Some(b'u') => out.push(character(&mut bytes, 4)),
            Some(b'U') => out.push(character(&mut bytes, 8)),
            // The line goes on below, after the blanks there.
            Some(b'\r' | b'\n') => while bytes.next_if(u8::is_ascii_whitespace).is_some() {},
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The character of so many hexadecimal digits, where it is ASCII; only such words are looked for.
fn character(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>, digits: usize) -> u8 {
    let mut code: u32 = 0;
    for _ in 0..digits {
        let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit).and_then(|byte| char::from(byte).to_digit(16)) else {
            return b'?';
        };
        code = code.wrapping_mul(16).wrapping_add(digit);
    }
    u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 2] = ["holdfast.dev/", "b.c/"];

    #[test]
    fn each_spelling_of_a_word_is_seen() {
        for text in [
            "x b.c/v1",
            r#"{"apiVersion":"b.c\/v1"}"#,
            r"b\u002ec\x2Fv1",
            r"\u0062.c\U0000002f",
            "\"b.\\\n   c/\"",
            "\"b.\\\r\n\tc/\"",
        ] {
            assert!(mentions(text.as_bytes(), &WORDS), "{text}");
            let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
            assert!(mentions(&wide(u16::to_le_bytes), &WORDS) && mentions(&wide(u16::to_be_bytes), &WORDS), "{text}");
            let widest: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
            assert!(mentions(&widest, &WORDS), "{text}");
        }
    }

    #[test]
    fn other_files_stay_foreign() {
        for text in
            ["", "\\", r"b.c\\/", r"b.c\u01", r"b.c\u012f", r"b.c\U0000012f", r"b\xzz.c", "\0\0b.c\0", "\u{feff}b"]
        {
            assert!(!mentions(text.as_bytes(), &WORDS), "{text}");
        }
        assert!(!mentions(&[0xff, 0xfe, 0, 0x80, b'\\', 0], &WORDS));
    }
}
