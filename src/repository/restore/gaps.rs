//! Where the pieces of a file belong when some of them are lost and nobody knows how long those were.

/// The beginning of each piece, as far as it follows from the known lengths and the size of the file.
pub(super) fn places(lengths: &[Option<u32>], size: u64) -> Vec<Option<u64>> {
    let mut places = vec![None; lengths.len()];
    let mut from_front = Some(0_u64);
    for (place, length) in places.iter_mut().zip(lengths) {
        *place = from_front;
        from_front = from_front.zip(*length).map(|(at, length)| at + u64::from(length));
    }
    if from_front.is_none() {
        let mut from_end = Some(size);
        for (place, length) in places.iter_mut().zip(lengths).rev() {
            from_end = from_end.zip(*length).and_then(|(end, length)| end.checked_sub(length.into()));
            *place = place.or(from_end);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_placed_from_both_ends() {
        let (a, b, gone) = (Some(10), Some(5), None);
        for (lengths, size, expected) in [
            (vec![], 0, vec![]),
            (vec![a, b], 15, vec![Some(0), Some(10)]),
            (vec![a, gone, b], 100, vec![Some(0), Some(10), Some(95)]),
            (vec![gone, a, gone, b], 100, vec![Some(0), None, None, Some(95)]),
            (vec![gone, b], 3, vec![Some(0), None]),
        ] {
            assert_eq!(places(&lengths, size), expected, "{lengths:?} {size}");
        }
    }
}
