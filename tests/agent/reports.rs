//! What foreign addons leave behind.

use std::fs;

use holdfast::model::finding::StepReason;
use serde_json::{Value, json};

use crate::pod::{Ended, Pod};

fn report(pod: &Pod, output: Option<&str>) -> Ended {
    let folder = pod.place("scratch").join("output");
    fs::create_dir_all(&folder).expect("made");
    let _ = fs::remove_file(folder.join("output.json"));
    if let Some(output) = output {
        fs::write(folder.join("output.json"), output).expect("written");
    }
    pod.run(&json!({ "report": { "folder": folder, "host": "host-0" } }))
}

fn output(stats: &Value) -> String {
    json!({ "targetStatus": { "ref": { "kind": "AppBinding", "name": "db" }, "stats": stats, "conditions": [] } })
        .to_string()
}

#[test]
fn what_an_addon_says_is_the_outcome() {
    let pod = Pod::new();
    let stats = json!([{ "hostname": "host-0", "phase": "Succeeded", "duration": "1m2.5s", "snapshots": [
        { "name": "0a1b2c3d", "path": "dump.sql", "totalSize": "12.345 MiB", "uploaded": "1.000 KiB",
          "processingTime": "0:07", "fileStats": { "totalFiles": 1, "newFiles": 1, "modifiedFiles": 0 } } ] }]);
    let done = report(&pod, Some(&output(&stats))).done();
    let host = &done.outcome.hosts[0];
    assert_eq!((host.host.as_str(), host.seconds, host.snapshots.len()), ("host-0", 62, 1));
    assert_eq!((host.snapshots[0].bytes, host.snapshots[0].seconds), (12_944_670, 7));
    let failed =
        report(&pod, Some(&output(&json!([{ "hostname": "host-0", "phase": "Failed", "error": "no database" }]))));
    assert_eq!((failed.code, failed.host_reason()), (Some(1), Some(StepReason::AddonFailed)));
}

#[test]
fn without_a_result_the_host_has_failed() {
    let pod = Pod::new();
    let huge = format!("{}{}", " ".repeat(2 << 20), output(&json!([{ "hostname": "host-0", "phase": "Succeeded" }])));
    for nothing in [None, Some(""), Some("{"), Some("{}"), Some(&*output(&json!([]))), Some(&*huge)] {
        let ended = report(&pod, nothing);
        assert_eq!((ended.code, ended.host_reason()), (Some(1), Some(StepReason::NoOutput)), "{nothing:.20?}");
        assert_eq!(ended.outcome.hosts[0].host, "host-0");
    }
}
