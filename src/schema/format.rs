//! Text formats as the API server judges them (kube-openapi `strfmt`, `resource.Quantity`).

/// RFC 3339 as `strfmt` reads it: `2024-02-29T23:59:59Z`, any case, with fraction or offset.
pub(super) fn is_date_time(text: &str) -> bool {
    text.split_once(['T', 't']).is_some_and(|(date, time)| is_date(date.as_bytes()) && is_time(time.as_bytes()))
}

fn is_date(date: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return false };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let (Some(year), Some(month), Some(day)) =
        (number(&[*y1, *y2, *y3, *y4]), number(&[*m1, *m2]), number(&[*d1, *d2]))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn is_time(time: &[u8]) -> bool {
    let Some((clock, rest)) = time.split_at_checked(8) else { return false };
    let two =
        |at: usize, most: &[u8; 2]| clock[at..at + 2].iter().all(u8::is_ascii_digit) && clock[at..at + 2] <= most[..];
    let on_the_clock = two(0, b"23") && two(3, b"59") && two(6, b"59") && clock[2] == b':' && clock[5] == b':';
    let fraction = match rest {
        [b'.', digits @ ..] => 1 + digits.iter().take_while(|digit| digit.is_ascii_digit()).count(),
        _ => 0,
    };
    let zone = match &rest[fraction..] {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()),
        _ => false,
    };
    on_the_clock && fraction != 1 && zone
}

/// Standard base64 with padding and without line breaks; the empty text is none.
pub(super) fn is_base64(text: &str) -> bool {
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    !body.is_empty() && text.len().is_multiple_of(4) && body.bytes().all(plain)
}

/// `resource.Quantity`: `100m`, `1.5Gi`, `-2e3`.
pub(super) fn is_quantity(text: &str) -> bool {
    let Some(suffix) = after_number(text) else { return false };
    match suffix.as_bytes() {
        [] | [b'n' | b'u' | b'm' | b'k' | b'K' | b'M' | b'G' | b'T' | b'P' | b'E'] if suffix != "K" => true,
        [b'K' | b'M' | b'G' | b'T' | b'P' | b'E', b'i'] => true,
        [b'e' | b'E', ..] => after_number(&suffix[1..]) == Some(""),
        _ => false,
    }
}

/// What follows a signed decimal number; `None` if the text starts with none.
fn after_number(text: &str) -> Option<&str> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(fraction) = whole.strip_prefix('.') else {
        return (whole.len() < unsigned.len()).then_some(whole);
    };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    // Two bytes more than what is left: a digit before or after the point.
    (unsigned.len() - rest.len() > 1).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times() {
        for good in ["2024-02-29T23:59:59Z", "2023-01-01t00:00:00.123456z", "2023-12-31T01:02:03+02:00"] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "T",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01 00:00:00Z",
            "2023-1-1T00:00:00Z",
            "2023-01-01T00:00:00.Z",
            "٢٠٢٣-01-01T00:00:00Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn base64() {
        for good in ["YQ==", "YWI=", "YWJj", "+/+/"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["", "=", "====", "YQ", "YQ=", "Y===", "YW-j", "YWJj\n", "YQ==YQ=="] {
            assert!(!is_base64(bad), "{bad}");
        }
    }

    #[test]
    fn quantities() {
        for good in ["0", "1", "+1.", "-.5", "100m", "1.5Gi", "2Ki", "2k", "12E", "12e3", "1E-3", "1e.5", "5n"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", ".", "-", "K", "1K", "1GB", "1 Gi", "Gi", "1e", "1ei", "1e3k", "1mi", "0x10", "1_0"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
