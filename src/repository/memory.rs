//! How much memory a process may take. What needs more is refused with the number, before the kernel ends the process without one.

use thiserror::Error;

/// Taken beside indexes: packs on their way, trees, threads.
const BESIDE: u64 = 112 << 20;
const MIB: u64 = 1 << 20;

/// Unlimited, if nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    allowed: Option<u64>,
    /// By something else that stays.
    taken: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the repository needs about {} MiB of memory, and this process may take {} MiB: give it more (in Kubernetes: its memory limit)",
    .needed.div_ceil(MIB), .allowed / MIB
)]
pub struct TooLittle {
    pub needed: u64,
    pub allowed: u64,
}

impl Memory {
    pub fn of(allowed: u64) -> Self {
        Self { allowed: Some(allowed), taken: 0 }
    }

    pub(super) fn beside(self, taken: u64) -> Self {
        Self { taken: self.taken.saturating_add(taken), ..self }
    }

    /// Whether so many bytes fit; if not, `expected` are said to be needed, which may be more.
    pub(super) fn admit(self, bytes: u64, expected: u64) -> Result<(), TooLittle> {
        let with = |bytes: u64| bytes.saturating_add(self.taken).saturating_add(BESIDE);
        match self.allowed {
            Some(allowed) if with(bytes) > allowed => Err(TooLittle { needed: with(expected.max(bytes)), allowed }),
            _ => Ok(()),
        }
    }
}
