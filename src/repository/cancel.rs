//! The wish to end early, which whoever asked for a piece of work shares with all who do it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Clones are the same wish.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Cancel {
    /// For good.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when the work is to end.
    pub async fn cancelled(&self) {
        // The sender lives in self, so that waiting ends with the wish alone.
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    /// Sleeps so long, or until the work is to end; whether it may go on.
    pub fn sleep(&self, time: Duration) -> bool {
        const SLICE: Duration = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() && !self.is_cancelled() {
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
        !self.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_end() {
        let cancel = Cancel::default();
        let other = cancel.clone();
        assert!(other.sleep(Duration::ZERO));
        cancel.cancel();
        assert!(other.is_cancelled() && !other.sleep(Duration::from_mins(1)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(other.cancelled());
    }
}
