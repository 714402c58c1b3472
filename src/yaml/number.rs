//! Numbers as Go reads and prints them, which is what kubectl does with the numbers of a manifest.

/// An integer of a YAML scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    /// Beyond `i64`.
    Unsigned(u64),
    Float(f64),
}

/// Reads a plain scalar that starts with a digit or a sign (go-yaml v2, `resolve`).
pub(super) fn parse(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    signed(&plain, None)
        .or_else(|| unsigned(&plain, None).map(Number::Unsigned))
        .or_else(|| if is_decimal_float(&plain) { finite(&plain) } else { None })
        .or_else(|| binary(&plain))
}

/// Reads a plain scalar that starts with a dot: Go's `ParseFloat`, where `_` may stand between two digits.
pub(super) fn parse_dotted(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let separates = |(at, byte): (usize, &u8)| *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    let plain = text.replace('_', "");
    if bytes.iter().enumerate().all(separates) && is_decimal_float(&plain) { finite(&plain) } else { None }
}

/// What `strconv.FormatFloat(value, 'g', -1, 32)` prints, with the names that sigs.k8s.io/yaml gives to infinities.
/// Mapping keys go through it, which rounds them to 32 bits.
pub(super) fn format_key(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "kubectl rounds float keys to 32 bits")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        Ok(_) | Err(_) => value.to_string(),
    }
}

/// The binary numbers that go-yaml reads apart from the prefixes Go knows: `0b-101`.
fn binary(plain: &str) -> Option<Number> {
    match plain.strip_prefix("0b") {
        Some(digits) => signed(digits, Some(2)).or_else(|| unsigned(digits, Some(2)).map(Number::Unsigned)),
        None => signed(&format!("-{}", plain.strip_prefix("-0b")?), Some(2)),
    }
}

fn signed(text: &str, base: Option<u32>) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(unsigned(digits, base)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Number::Integer)
}

/// Go's `ParseUint`; without a base it is told by a prefix, and a leading zero means octal.
fn unsigned(text: &str, base: Option<u32>) -> Option<u64> {
    let (base, digits) = match (base, text.as_bytes()) {
        (_, []) => return None,
        (Some(base), _) => (base, text),
        (None, [b'0', b'b' | b'B', _, ..]) => (2, &text[2..]),
        (None, [b'0', b'o' | b'O', _, ..]) => (8, &text[2..]),
        (None, [b'0', b'x' | b'X', _, ..]) => (16, &text[2..]),
        (None, [b'0', ..]) => (8, &text[1..]),
        (None, _) => (10, text),
    };
    digits.chars().try_fold(0_u64, |value, character| {
        value.checked_mul(u64::from(base))?.checked_add(u64::from(character.to_digit(base)?))
    })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits))
}

/// Go refuses what is too large for a float, where Rust gives infinity.
fn finite(text: &str) -> Option<Number> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Number::Float)
}
