//! What is backed up: 60 % of it cannot be compressed, 40 % is text.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// 1 GB in 3,000 files, 8 of them large.
    Mixed,
    /// 100,000 files of 1 to 4 KiB.
    Small,
    /// 100 files of 1 to 4 KiB.
    Few,
    /// One file of 4 GB.
    Large,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn sizes(shape: Shape) -> Vec<u64> {
    match shape {
        Shape::Mixed => (0..3000).map(|number| if number % 375 == 0 { 64 * MIB } else { 170 * 1024 }).collect(),
        Shape::Few => (0..100).map(|number| 1024 + number * 30).collect(),
        Shape::Small => (0..100_000).map(|number| 1024 + number % 3072).collect(),
        Shape::Large => vec![4096 * MIB],
    }
}

fn name(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{:03}/{number:06}", number / 250))
}

pub(crate) fn make(folder: &Path, shape: Shape) {
    let mut random = Random(0x5eed);
    for (number, size) in sizes(shape).into_iter().enumerate() {
        let path = name(folder, number);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        write(&path, size, &mut random);
    }
}

fn write(path: &Path, size: u64, random: &mut Random) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("made"));
    let mut left = usize::try_from(size).expect("it fits");
    let words = ["backup", "restore", "snapshot", "repository", "policy", "blueprint", "namespace", "cluster"];
    while left > 0 {
        // In stretches of 64 KiB, as files of programs mix text and packed data.
        let stretch = left.min(1 << 16);
        let bytes: Vec<u8> = if random.next() % 10 < 6 {
            (0..stretch.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect()
        } else {
            let mut text = String::with_capacity(stretch + 32);
            while text.len() < stretch {
                let word = random.next();
                text.push_str(words[usize::try_from(word % 8).expect("small")]);
                let _ = write!(text, " {} ", word >> 48);
            }
            text.into_bytes()
        };
        out.write_all(&bytes[..stretch]).expect("written");
        left -= stretch;
    }
    out.flush().expect("written");
}

/// One file in a hundred, or a hundredth of the large one.
pub(crate) fn change(folder: &Path, shape: Shape) {
    let mut random = Random(0xc4a9);
    for (number, size) in sizes(shape).into_iter().enumerate() {
        let path = name(folder, number);
        match shape {
            Shape::Large => {
                use std::os::unix::fs::FileExt as _;
                let file = OpenOptions::new().write(true).open(&path).expect("opened");
                let bytes: Vec<u8> = (0..MIB / 8).flat_map(|_| random.next().to_le_bytes()).collect();
                for part in 0..40 {
                    file.write_all_at(&bytes, part * size / 40).expect("written");
                }
            }
            Shape::Mixed | Shape::Few | Shape::Small if number % 100 == 1 => write(&path, size, &mut random),
            Shape::Mixed | Shape::Few | Shape::Small => {}
        }
    }
}
