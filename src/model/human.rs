//! Sizes and times as texts for people, in the form that Stash gives them and its users' programs read back.

const KIB: f64 = 1024.0;

/// `12.345 MiB`; below a KiB whole bytes.
#[expect(clippy::cast_precision_loss, reason = "three digits behind the point are shown")]
pub fn size(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if amount <= KIB {
            break;
        }
        amount /= KIB;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{amount:.3} {unit}") }
}

/// What [`size`] was made of, as exactly as it says.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the range, and no fraction counts"
)]
pub fn bytes(size: &str) -> Option<u64> {
    let (amount, unit) = size.trim().split_once(' ')?;
    let place = ["B", "KiB", "MiB", "GiB", "TiB"].iter().position(|known| *known == unit)?;
    let bytes = amount.parse::<f64>().ok()? * KIB.powi(i32::try_from(place).ok()?);
    // Beyond 2^63 no repository is.
    (0.0..9.3e18).contains(&bytes).then(|| bytes.round() as u64)
}

/// `m:ss` or `h:mm:ss`.
pub fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A duration as Go writes it: `1h5m0s`.
pub fn go_duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!((size(0), size(1024), size(1025)), ("0 B".into(), "1024 B".into(), "1.001 KiB".into()));
        assert_eq!((size(13_002_451), size(5 << 40)), ("12.400 MiB".into(), "5.000 TiB".into()));
        assert_eq!((bytes("0 B"), bytes("1.001 KiB"), bytes("12.400 MiB")), (Some(0), Some(1025), Some(13_002_342)));
        for text in ["", "1", "1 XB", "-1 B", "NaN B", "inf TiB", "1e300 TiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!((clock(5), clock(65), clock(3_605)), ("0:05".into(), "1:05".into(), "1:00:05".into()));
        assert_eq!(
            (go_duration(41), go_duration(65), go_duration(3_900)),
            ("41s".into(), "1m5s".into(), "1h5m0s".into())
        );
    }
}
