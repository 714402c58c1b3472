//! What to keep of the snapshots, and how often to try.

wire! {
    /// Rules of `restic forget`; `name` and `prune` are required.
    RetentionPolicy {
        name: String,
        keep_last: i64,
        keep_hourly: i64,
        keep_daily: i64,
        keep_weekly: i64,
        keep_monthly: i64,
        keep_yearly: i64,
        keep_tags: Vec<String>,
        prune: bool,
        dry_run: bool,
    }

    /// Retries of a failed session; `delay` is a Go duration.
    RetryConfig {
        max_retry: i32,
        delay: String,
    }
}
