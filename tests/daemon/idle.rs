//! A daemon that has nothing to do does nothing, whatever the clock says.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};

use crate::audit::{lists, writes};
use crate::documents;
use crate::harness::skipped;
use crate::world::{STATUS, World};

/// Moves the clock of a program that is started with it; `$LIB` is the dynamic linker's.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";
/// Time for the daemon to make everything and to say so, before the midnight that must find it idle.
const BEFORE_MIDNIGHT: SignedDuration = SignedDuration::from_secs(45);
const AFTER_MIDNIGHT: i64 = 5;
const MIDNIGHT_WITHIN: Duration = Duration::from_secs(90);

/// Environment of a program for which the next midnight (UTC) is near, and that midnight.
fn shortly_before_midnight() -> (Vec<(String, String)>, Timestamp) {
    let now = Timestamp::now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let midnight = today.saturating_add(1.day()).to_zoned(TimeZone::UTC).expect("a date of our time").timestamp();
    let ahead = midnight.duration_since(now).saturating_sub(BEFORE_MIDNIGHT);
    let environment = [
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME", format!("{:+}s", ahead.as_secs())),
        // Deadlines are no matter of the wall clock.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    (environment.map(|(name, value)| (name.to_owned(), value)).to_vec(), midnight)
}

#[tokio::test(flavor = "multi_thread")]
async fn idling_across_a_slot_and_midnight_is_silent() {
    let Some(world) = World::new().await else { return };
    let hourly = documents::blueprint("minutes", "* * * * *");
    let daily = documents::blueprint("nights", "@midnight");
    let files = [("blueprints/minutes.yaml", hourly.as_str()), ("blueprints/nights.yaml", daily.as_str())];
    world.git.repository().push_files("main", &files, "slots");
    for (claim, blueprint) in [("a", "volumes"), ("b", "minutes"), ("c", "nights")] {
        world.claim(claim, blueprint).await;
    }
    let (environment, midnight) = shortly_before_midnight();
    let midnight = midnight.as_second();
    let daemon = world.daemon("idle").environment(&environment).leading().await;
    let clock = "holdfast_source_read_timestamp_seconds";
    let moved = daemon.metric_is(clock, |time| time > 0).await > midnight - 120;
    if !moved {
        skipped("idling across midnight", "no libfaketime, install it with: apt-get install -y libfaketime");
    }
    world.protected(&["a", "b", "c"]).await;

    let passes = async || daemon.metric("holdfast_passes_total").await.expect("a daemon counts its passes");
    let (mark, commits, requests) = (world.mark(), world.git.repository().log(STATUS), world.git.requests().len());
    let (first, from) = (passes().await, daemon.metric(clock).await.expect("it has read its source"));
    assert!(!moved || from < midnight, "too slow to be idle before midnight");
    let until = if moved { midnight + AFTER_MIDNIGHT } else { from };
    crate::harness::wait::eventually(MIDNIGHT_WITHIN, "ten passes, and midnight is over", async || {
        let (passes, time) = (passes().await - first, daemon.metric(clock).await.unwrap_or_default());
        if passes >= 10 && time >= until { Ok(()) } else { Err(format!("{passes} passes, {}", until - time)) }
    })
    .await;
    let done = passes().await - first;
    let requests = world.git.requests().split_off(requests);
    let probes = requests.iter().filter(|seen| seen.query.contains("git-upload-pack")).count();
    assert!(probes >= 10, "{probes}");
    let pushes = requests.iter().filter(|seen| format!("{}{}", seen.path, seen.query).contains("receive-pack"));
    assert_eq!(pushes.count(), 0);
    assert_eq!(world.git.repository().log(STATUS), commits);
    if let Some(entries) = world.since(mark).await {
        assert_eq!((writes(&entries), lists(&entries)), (Vec::new(), 0));
        let renewals = entries.iter().filter(|entry| entry.resource == "leases").count();
        assert_eq!(renewals, entries.len(), "{entries:?}");
        println!(
            "| idle across midnight ({moved}) | {done} passes, {probes} probes, 0 LISTs, 0 writes but {renewals} \
             renewals of the Lease, 0 commits |"
        );
    }
    drop(daemon);
    world.finish("idle").await;
}
