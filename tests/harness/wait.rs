//! Waiting on conditions: no test sleeps for a fixed time.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Long enough to leave a loaded machine to what is waited for.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks again and again until `condition` is `Ok`, and gives its value.
///
/// # Panics
/// After `timeout`, with `what` and the last error.
pub(crate) async fn eventually<T, E: Display>(
    timeout: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < end, "{what}: not within {timeout:?}: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
