//! The chart renders what `holdfast manifests` prints, and refuses what it does not know.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::readme;
use crate::shell::Shell;

/// Objects by kind and name.
type Objects = BTreeMap<String, Value>;

fn objects(yaml: &str) -> Objects {
    let documents = serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap());
    let objects = documents.filter(|object| !object.is_null());
    objects.map(|object| (format!("{} {}", object["kind"], object["metadata"]["name"]), object)).collect()
}

/// What `helm template` prints for these values.
fn rendered(shell: &Shell, namespace: &str, values: &Value) -> Objects {
    let file = shell.file("values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let chart = "deploy/chart/holdfast";
    objects(&shell.run(&format!("helm template any {chart} --namespace {namespace} --values {}", file.display())))
}

/// What `holdfast manifests` prints, without the namespace: Helm installs into one that is there.
fn printed(shell: &Shell, arguments: &str) -> Objects {
    let mut printed = objects(&shell.run(&format!("holdfast manifests {arguments}")));
    let before = printed.len();
    printed.retain(|name, _| !name.starts_with("\"Namespace\""));
    assert_eq!(printed.len() + 1, before);
    printed
}

#[test]
fn chart_and_manifests_are_the_same() {
    let Some(shell) = Shell::new(None) else { return };
    let url = readme::GIT_URL;
    let least = json!({"clusterName": "prod-eu1", "git": {"url": url}});
    let with = |more: Value| {
        let mut values = least.clone();
        for (key, value) in more.as_object().unwrap() {
            values[key] = value.clone();
        }
        values
    };
    let base = format!("--cluster-name prod-eu1 --git-url {url}");
    let hostile = r#"git@git.example.com:a 'b' "c" # d: {{ e }} <&>.git"#;
    let cases = [
        ("holdfast", least.clone(), base.clone()),
        ("backup", least.clone(), format!("{base} --install-namespace backup")),
        ("holdfast", with(json!({"git": {"url": url, "secret": "git"}})), format!("{base} --git-secret git")),
        (
            "holdfast",
            with(
                json!({"status": {"secret": "there", "signingSecret": "key"}, "flags": ["--status-url=https://git.example.com/acme/status"]}),
            ),
            format!(
                "{base} --status-secret there --signing-secret key -- --status-url=https://git.example.com/acme/status"
            ),
        ),
        ("holdfast", with(json!({"image": "x/y@sha256:0"})), format!("{base} --image x/y@sha256:0")),
        (
            "holdfast",
            with(json!({"flags": ["--git-ref=main", "--git-path=a b", "--read-only", "--time-zone=Europe/Berlin"]})),
            format!("{base} -- --git-ref=main '--git-path=a b' --read-only --time-zone=Europe/Berlin"),
        ),
        (
            "holdfast",
            with(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi", "cpu": "1e3"}}})),
            format!("{base} --requests cpu=2,memory=128Mi --limits cpu=1e3,memory=1Gi"),
        ),
        (
            "holdfast",
            with(json!({"resources": {"requests": {"cpu": null}}})),
            format!("{base} --requests memory=128Mi"),
        ),
        (
            "holdfast",
            json!({"clusterName": "0-1", "git": {"url": hostile, "secret": "0123"}, "global": {"a": 1}}),
            format!("--cluster-name 0-1 --git-secret 0123 --git-url {}", quoted(hostile)),
        ),
    ];
    for (namespace, values, arguments) in cases {
        let (chart, manifests) = (rendered(&shell, namespace, &values), printed(&shell, &arguments));
        assert_eq!(chart, manifests, "{values}\n{arguments}");
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn chart_refuses_what_nothing_reads() {
    let Some(shell) = Shell::new(None) else { return };
    let base = "helm template any deploy/chart/holdfast --set git.url=x";
    shell.run(&format!("{base} --set clusterName=prod"));
    for (bad, named) in [
        ("", "/clusterName"),
        ("--set clusterName=Prod", "/clusterName"),
        ("--set clusterName=prod --set git.url=", "/git/url"),
        ("--set clusterName=prod --set git.sekret=x", "sekret"),
        ("--set clusterName=prod --set image.tag=1", "/image"),
        ("--set clusterName=prod --set replicas=2", "replicas"),
        ("--set clusterName=prod --set resources.limit.memory=1Gi", "limit"),
        ("--set clusterName=prod --set 'flags={--git-reff=main}'", "--git-reff"),
        ("--set clusterName=prod --set 'flags={--git-ref}'", "/flags/0"),
        ("--set clusterName=prod --set 'flags={--cluster-name=other}'", "--cluster-name"),
    ] {
        let output = shell.output(&format!("{base} {bad}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(named), "{bad}: {said}");
    }
}

#[test]
fn chart_takes_the_values_that_the_page_shows_for_argo_cd_and_flux() {
    let Some(shell) = Shell::new(None) else { return };
    let shown = readme::blocks("By Argo CD or Flux", "yaml");
    assert_eq!(shown.len(), 2);
    let arguments = format!(
        "--cluster-name prod-eu1 --git-url {} --git-secret holdfast-git --image {}",
        readme::GIT_URL,
        readme::IMAGE
    );
    let expected = printed(&shell, &arguments);
    for (yaml, values, chart) in [
        (&shown[0], "/spec/source/helm/valuesObject", "/spec/source/path"),
        (&shown[1], "/spec/values", "/spec/chart/spec/chart"),
    ] {
        let document: Value = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(document.pointer(chart), Some(&json!("deploy/chart/holdfast")));
        let values = document.pointer(values).unwrap_or_else(|| panic!("no {values} in {yaml}"));
        assert_eq!(rendered(&shell, "holdfast", values), expected);
    }
}
