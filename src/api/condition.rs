//! A condition, as the client library of `AppsCode` has it.

wire! {
    /// `status` is `True`, `False` or `Unknown`; the time is RFC 3339.
    Condition {
        r#type as "type": String,
        status: String,
        observed_generation: i64,
        last_transition_time: String,
        severity: String,
        reason: String,
        message: String,
    }
}
