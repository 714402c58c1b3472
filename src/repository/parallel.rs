//! Does the same with many things on a few threads: most of the time is spent waiting for a store.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Requests to a store at the same time.
pub(super) const AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("it is not zero");

/// Calls `work` once with each item, in order of their beginning only.
pub(super) fn each<T: Sync>(items: &[T], at_once: NonZeroUsize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let go_on = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    let threads = at_once.get().min(items.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(go_on);
        }
        go_on();
    });
}

/// Threads that work as fast as this machine can; requests of one wait while another computes.
pub(super) fn workers() -> NonZeroUsize {
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    AT_ONCE.min(cores.saturating_mul(const { NonZeroUsize::new(2).expect("it is not zero") }))
}

/// Bytes that may be in memory at once.
#[derive(Debug)]
pub(super) struct Room {
    bytes: u64,
    taken: Mutex<u64>,
    freed: Condvar,
}

#[derive(Debug)]
pub(super) struct Place<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    pub(super) fn of(bytes: u64) -> Self {
        Self { bytes, taken: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until there is place; what is larger than the room has it alone.
    pub(super) fn take(&self, bytes: u64) -> Place<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut u64| *taken > 0 && *taken + bytes > self.bytes;
        *self.freed.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner) += bytes;
        Place { room: self, bytes }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.room.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn no_more_than_fits_is_in_memory_at_once() {
        let (room, inside) = (Room::of(10), AtomicU64::new(0));
        let sizes = [3, 7, 0, 10, 1, 25, 4, 4, 4, 9, 2];
        each(&sizes, AT_ONCE, |bytes| {
            let _place = room.take(*bytes);
            let now = inside.fetch_add(*bytes, Ordering::SeqCst) + bytes;
            assert!(now <= 10 || now == 25, "{now}");
            thread::yield_now();
            inside.fetch_sub(*bytes, Ordering::SeqCst);
        });
        assert_eq!(*room.taken.lock().unwrap(), 0);
    }

    #[test]
    fn each_is_done_once() {
        for count in [0, 1, 7, 100] {
            let items: Vec<usize> = (0..count).collect();
            let seen = Mutex::new(Vec::new());
            each(&items, AT_ONCE, |item| seen.lock().unwrap().push(*item));
            let seen = seen.into_inner().unwrap();
            assert_eq!(seen.len(), count);
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), count);
        }
    }
}
