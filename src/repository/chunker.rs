//! Cuts files into pieces where their content says so, at the same places as restic: what is stored already is found again
//! when something before it has changed, whichever of the two stored it.

use std::io::{self, ErrorKind, Read};

use rustic_cdc::{Polynom as _, Rabin64};

const MIN_BYTES: usize = 512 << 10;
const MAX_BYTES: usize = 8 << 20;
/// One cut in so many bytes, on the average.
const SPLIT_MASK: u64 = (1 << 20) - 1;
const WINDOW_BYTES: usize = 64;
const READ_BYTES: usize = 64 << 10;
const DEGREE: u32 = 53;

/// The tables of one repository: each has a polynomial of its own, so that nobody can tell from the sizes what is stored.
#[derive(Clone, Debug)]
pub(super) struct Cutter {
    leaving: Box<[u64; 256]>,
    reducing: Box<[u64; 256]>,
    shift: u32,
}

impl Cutter {
    /// `None` for what is no polynomial of the degree that all have.
    pub(super) fn new(polynomial: u64) -> Option<Self> {
        (polynomial.degree() == i32::try_from(DEGREE).ok()?).then(|| Self {
            leaving: Box::new(Rabin64::calculate_out_table(WINDOW_BYTES, &polynomial)),
            reducing: Box::new(Rabin64::calculate_mod_table(&polynomial)),
            shift: DEGREE - 8,
        })
    }

    /// The end of the first piece of what begins here, if it is in there.
    fn cut(&self, bytes: &[u8], state: &mut Rolling) -> Option<usize> {
        // No cut is so early that what comes before the first full window could matter.
        state.at = state.at.max(bytes.len().min(MIN_BYTES - WINDOW_BYTES));
        while state.at < bytes.len().min(MIN_BYTES) {
            self.slide(&mut state.hash, 0, bytes[state.at]);
            state.at += 1;
        }
        if state.at < MIN_BYTES {
            return None;
        }
        let end = bytes.len().min(MAX_BYTES);
        let (leaving, entering) = (&bytes[state.at - WINDOW_BYTES..], &bytes[state.at..end]);
        for (leaving, entering) in leaving.iter().zip(entering) {
            if state.hash & SPLIT_MASK == 0 {
                return Some(state.at);
            }
            self.slide(&mut state.hash, self.leaving[usize::from(*leaving)], *entering);
            state.at += 1;
        }
        (state.hash & SPLIT_MASK == 0 || state.at == MAX_BYTES).then_some(state.at)
    }

    fn slide(&self, hash: &mut u64, leaving: u64, entering: u8) {
        let without = *hash ^ leaving;
        let index = (without >> self.shift).to_le_bytes()[0];
        *hash = (without << 8 | u64::from(entering)) ^ self.reducing[usize::from(index)];
    }
}

#[derive(Debug, Default)]
struct Rolling {
    at: usize,
    hash: u64,
}

/// The pieces of what a reader gives.
#[derive(Debug)]
pub(super) struct Pieces<'a, R> {
    cutter: &'a Cutter,
    reader: R,
    /// Read already, and of no piece yet.
    left: Vec<u8>,
    ended: bool,
}

impl<'a, R: Read> Pieces<'a, R> {
    pub(super) fn new(cutter: &'a Cutter, reader: R) -> Self {
        Self { cutter, reader, left: Vec::new(), ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let before = self.left.len();
        self.left.resize(before + READ_BYTES, 0);
        let read = loop {
            match self.reader.read(&mut self.left[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.left.truncate(before + read.as_ref().copied().unwrap_or(0));
        self.ended = read? == 0;
        Ok(())
    }
}

impl<R: Read> Iterator for Pieces<'_, R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rolling = Rolling::default();
        loop {
            if let Some(end) = self.cutter.cut(&self.left, &mut rolling) {
                let after = self.left.split_off(end);
                return Some(Ok(std::mem::replace(&mut self.left, after)));
            }
            if self.ended {
                return (!self.left.is_empty()).then(|| Ok(std::mem::take(&mut self.left)));
            }
            if let Err(error) = self.fill() {
                self.ended = true;
                self.left.clear();
                return Some(Err(error));
            }
        }
    }
}

/// A random polynomial for a new repository, made of random numbers.
pub(super) fn polynomial(mut random: impl FnMut() -> u64) -> u64 {
    loop {
        let candidate = random() & ((1 << (DEGREE + 1)) - 1) | 1 << DEGREE | 1;
        if is_irreducible(candidate) {
            return candidate;
        }
    }
}

/// Rabin's test. The degree is a prime number, so that x^(2^53) = x and no divisor of degree 1 are all that it takes.
fn is_irreducible(polynomial: u64) -> bool {
    let squared = (0..DEGREE).fold(2, |power, _| times(power, power, polynomial));
    squared == 2 && polynomial & 1 == 1 && polynomial.count_ones() % 2 == 1
}

fn times(one: u64, other: u64, modulus: u64) -> u64 {
    (0..DEGREE).rev().fold(0, |product: u64, bit| {
        let doubled = product << 1;
        let reduced = if doubled >> DEGREE & 1 == 1 { doubled ^ modulus } else { doubled };
        if other >> bit & 1 == 1 { reduced ^ one } else { reduced }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const OF_TESTS: u64 = 0x003D_A335_8B4D_C173;

    fn random_bytes(count: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(state >> 56).unwrap()
        };
        (0..count).map(|_| next()).collect()
    }

    fn pieces(bytes: &[u8], reader: impl Read) -> Vec<Vec<u8>> {
        let cutter = Cutter::new(OF_TESTS).unwrap();
        let pieces: Vec<_> = Pieces::new(&cutter, reader).map(|piece| piece.unwrap()).collect();
        assert_eq!(pieces.concat(), bytes);
        pieces
    }

    /// As the polynomial says it, without tables and without a window that rolls.
    fn plain_hash(window: &[u8]) -> u64 {
        window.iter().fold(0_u64, |hash, byte| {
            (0..8).rev().fold(hash, |hash, bit| {
                let shifted = hash << 1 | u64::from(byte >> bit & 1);
                if shifted >> DEGREE & 1 == 1 { shifted ^ OF_TESTS } else { shifted }
            })
        })
    }

    /// Gives what there is in portions of all sizes.
    struct Slow<'a>(&'a [u8], usize);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 * 31 % 8191 + 1;
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn cuts_are_where_the_window_says() {
        let bytes = random_bytes(24 << 20);
        let found = pieces(&bytes, bytes.as_slice());
        assert!(found.len() > 8, "{}", found.len());
        let (last, others) = found.split_last().unwrap();
        for piece in others {
            let cut = |end: usize| plain_hash(&piece[end - WINDOW_BYTES..end]) & SPLIT_MASK == 0;
            assert!(piece.len() >= MIN_BYTES && (cut(piece.len()) || piece.len() == MAX_BYTES));
            assert!(!(MIN_BYTES..piece.len()).step_by(997).any(cut), "no earlier place was passed by");
        }
        assert!(last.len() <= MAX_BYTES);
        // Reading in other portions cuts at the same places.
        let again = pieces(&bytes, Slow(&bytes, 1));
        assert_eq!(again.iter().map(Vec::len).collect::<Vec<_>>(), found.iter().map(Vec::len).collect::<Vec<_>>());
        let sums = |pieces: &[Vec<u8>]| pieces.iter().map(Sha256::digest).collect::<Vec<_>>();
        // Something new at the front changes the first pieces only.
        let shifted = [b"new".as_slice(), &bytes].concat();
        let known = sums(&found);
        let changed = sums(&pieces(&shifted, shifted.as_slice())).iter().filter(|sum| !known.contains(sum)).count();
        assert!(changed <= 2, "{changed}");
    }

    #[test]
    fn what_is_always_the_same_is_cut_at_once() {
        let zeros = vec![0; 5 << 20];
        let found = pieces(&zeros, zeros.as_slice());
        assert!(found[..found.len() - 1].iter().all(|piece| piece.len() == MIN_BYTES));
        assert!(pieces(&[], [].as_slice()).is_empty());
        assert_eq!(pieces(b"x", b"x".as_slice()).len(), 1);
    }

    #[test]
    fn polynomials_are_irreducible() {
        assert!(is_irreducible(OF_TESTS));
        let mut state = 1_u64;
        let mut tried = 0;
        let found = polynomial(|| {
            tried += 1;
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state
        });
        assert!(found.degree() == 53 && tried > 1);
        // The product of two cannot be one.
        let product = (0..30)
            .fold(0_u64, |sum, bit| if 0x2000_0053_u64 >> bit & 1 == 1 { sum ^ (0x100_0007 << bit) } else { sum });
        assert!(!is_irreducible(product), "{product:x}");
        assert!(Cutter::new(product >> 1).is_none());
    }
}
