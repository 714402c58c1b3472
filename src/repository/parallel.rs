//! Does the same with many things on a few threads: most of the time is spent waiting for a store.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

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
