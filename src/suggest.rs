//! The field that was meant.

/// Farthest a misspelling may be from its field: more is another word.
const DISTANCE_MAX: usize = 2;
/// Longer names are not compared: the longest field has 29 characters, a name from Git may have a million.
const LENGTH_MAX: usize = 48;

/// The nearest of the fields, ignoring case; the first in order among equals.
pub fn nearest<'f>(name: &str, fields: impl Iterator<Item = &'f str>) -> Option<&'f str> {
    let wanted: Vec<char> = name.chars().take(LENGTH_MAX + 1).flat_map(char::to_lowercase).collect();
    if wanted.len() > LENGTH_MAX {
        return None;
    }
    // In a short name two edits leave nothing in common.
    let most = (wanted.len() / 3).clamp(1, DISTANCE_MAX);
    fields
        .map(|field| (distance(&wanted, field), field))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, field)| field)
}

/// Insertions, deletions and replacements between two names.
fn distance(one: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (line, character) in other.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, wanted) in one.iter().enumerate() {
            let replaced = diagonal + usize::from(*wanted != character);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[one.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edits_at_most() {
        let fields = ["keepDaily", "keepLast", "name", "prune"];
        let nearest = |name: &str| nearest(name, fields.into_iter());
        assert_eq!(nearest("keepDayly"), Some("keepDaily"));
        assert_eq!(nearest("KeepLAST"), Some("keepLast"));
        assert_eq!(nearest("nam"), Some("name"));
        assert_eq!(nearest("na"), None);
        assert_eq!(nearest("keepHourly"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000)), None);
        assert_eq!(nearest(""), None);
    }
}
