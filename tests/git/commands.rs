//! The commands that read from Git, as processes: what they print, where, and their exit codes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::git_server::{Access, GitServer, Transport};
use crate::support::Secret;

const PASSWORD: &str = "open-sesame";

/// Exit code, standard output, standard error.
fn holdfast(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holdfast")).args(args).env_remove("KUBECONFIG").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what is printed is UTF-8");
    (output.status.code().expect("it ends by itself"), text(&output.stdout), text(&output.stderr))
}

/// An HTTPS server with a password, and the flags that reach it.
struct Served {
    server: GitServer,
    _secret: Secret,
    flags: [String; 2],
}

impl Served {
    fn start() -> Self {
        let access = Access::Basic { user: "robot".to_owned(), password: PASSWORD.to_owned() };
        let server = GitServer::start(Transport::Https, &access);
        let authority = std::fs::read_to_string(server.authority_file().unwrap()).unwrap();
        let secret = Secret::new(&[("username", "robot"), ("password", PASSWORD), ("ca.crt", &authority)]);
        let flags = [format!("--git-url={}", server.url()), format!("--git-credentials={}", secret.path().display())];
        Self { server, _secret: secret, flags }
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let all: Vec<&str> = args.iter().copied().chain(self.flags.iter().map(String::as_str)).collect();
        holdfast(&all)
    }
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quick-start").join(path)
}

#[test]
fn plan_reads_the_source_over_https() {
    let served = Served::start();
    let blueprint = std::fs::read_to_string(example("git/platform/backup/workloads.yaml")).unwrap();
    served.server.repository().push_files("main", &[("workloads.yaml", &blueprint)], "daily");
    let cluster = format!("--cluster={}", example("cluster.yaml").display());
    let (code, plan, _) = served.run(&["plan", &cluster, "--output=json", "--exit-code"]);
    assert_eq!(code, 2, "there is something to do");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert!(
        plan["steps"].as_array().unwrap().iter().any(|step| step["object"]["name"] == "statefulset-search"),
        "{plan}"
    );
    let commit = served.server.repository().commit_at("main").unwrap();
    assert!(plan["source"].to_string().contains(&commit), "the plan names its commit: {}", plan["source"]);
    let (code, summary, _) = served.run(&["plan", &cluster, "--output=summary"]);
    assert_eq!(code, 0, "without --exit-code a plan is no failure: {summary}");
}

#[test]
fn status_reads_one_branch_and_a_fleet() {
    let served = Served::start();
    let repository = served.server.repository();
    repository.push_files("main", &[("README.md", "the source")], "source");
    let (code, _, told) = served.run(&["status", "--fleet"]);
    assert_eq!((code, told.contains("no daemon has written one yet")), (1, true), "{told}");

    let cluster = include_str!("../data/status/cluster.yaml");
    repository.push_files(
        "holdfast/prod-eu1",
        &[("cluster.yaml", cluster), ("README.md", "# Backups of prod-eu1\n\u{1b}[31mred\n")],
        "status",
    );
    repository.push_files("holdfast/broken", &[("cluster.yaml", "{")], "status");
    let (code, table, _) = served.run(&["status", "--fleet"]);
    assert_eq!(code, 0);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["CLUSTER", "TARGETS", "WAITING", "PAUSED", "REFUSED", "HELD", "APPLIED"], "{table}");
    assert_eq!(lines[1][..1], ["holdfast/broken"], "{table}");
    assert!(table.lines().nth(1).unwrap().ends_with("cluster.yaml cannot be read"), "{table}");
    assert_eq!(lines[2], ["prod-eu1", "8", "7", "0", "1", "1", "main@9f3c1e7"], "{table}");

    let (code, readme, _) = served.run(&["status", "--cluster-name=prod-eu1"]);
    assert_eq!(code, 0);
    assert_eq!(
        readme, "# Backups of prod-eu1\n\u{fffd}[31mred\n",
        "no control character of a file reaches the terminal"
    );
    let (code, _, told) = served.run(&["status", "--cluster-name=nobody"]);
    assert_eq!((code, told.contains("there is no branch holdfast/nobody")), (1, true), "{told}");
}

#[test]
fn check_speaks_to_people_and_to_forges() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daily.yaml");
    let good = std::fs::read_to_string(example("git/platform/backup/workloads.yaml")).unwrap();
    std::fs::write(&file, good.replace("keepDaily: 14", "keepDaily: two weeks")).unwrap();
    let path = file.to_str().unwrap();
    let place = format!("{path}:17:16");

    let (code, text, _) = holdfast(&["check", path]);
    assert_eq!(code, 1);
    assert!(text.starts_with(&format!("{place}: error[Schema]: ")) && text.contains("keepDaily: two weeks"), "{text}");
    let (code, json, _) = holdfast(&["check", path, "--output=json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["findings"][0]["at"].as_str()), (1, Some(place.as_str())), "{json}");
    let (code, github, _) = holdfast(&["check", path, "--output=github"]);
    assert_eq!(code, 1);
    assert!(github.starts_with(&format!("::error file={path},line=17,col=16,title=Schema::")), "{github}");
    let (code, sarif, _) = holdfast(&["check", path, "--output=sarif"]);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let region = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (code, region["startLine"].as_u64(), region["startColumn"].as_u64()),
        (1, Some(17), Some(16)),
        "{sarif}"
    );

    std::fs::write(&file, good).unwrap();
    let (code, text, _) = holdfast(&["check", path]);
    assert_eq!((code, text.as_str()), (0, "0 errors, 0 notes\n"));
    let (code, _, told) = holdfast(&["check", "/nothing/here"]);
    assert_eq!(
        (code, told.as_str()),
        (1, "holdfast: cannot check /nothing/here: No such file or directory (os error 2)\n")
    );
}

#[test]
fn what_is_installed_is_printed() {
    let (code, crds, _) = holdfast(&["crds"]);
    assert_eq!((code, crds.matches("kind: CustomResourceDefinition").count()), (0, 10));
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = holdfast(&["completions", shell]);
        assert!(code == 0 && script.contains("delete-delay"), "{shell}: {script}");
    }
}

#[test]
fn no_secret_is_printed_when_a_server_refuses() {
    let served = Served::start();
    let wrong = "not-the-password";
    let url = served.server.url().replace("https://", &format!("https://robot:{wrong}@"));
    let flags = ["--git-url", url.as_str(), "--git-insecure"];
    for command in [&["status", "--fleet"][..], &["plan", "--cluster=/dev/null"]] {
        let args: Vec<&str> = command.iter().chain(&flags).copied().collect();
        let (code, out, told) = holdfast(&args);
        assert_eq!(code, 1, "{told}");
        assert!(!told.is_empty() && !(out + &told).contains(wrong), "{told}");
    }
}

#[test]
fn check_judges_by_policies_runs_cases_and_knows_what_is_not_covered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = |path: &str| root.join(path).display().to_string();
    let (code, told, _) = holdfast(&["check", &path("policies")]);
    assert!(code == 0 && told.contains(" cases passed\n0 errors, "), "{told}");

    let golden = |case: &str, flags: &[&str]| {
        let (git, cluster) =
            (path(&format!("tests/golden/{case}/git")), path(&format!("tests/golden/{case}/cluster.yaml")));
        let cluster = format!("--cluster={cluster}");
        let args = ["check", &git, "--now=2026-11-21T02:00:00Z", &cluster];
        holdfast(&args.iter().copied().chain(flags.iter().copied()).collect::<Vec<_>>())
    };
    let (code, told, _) = golden("coverage", &["--coverage"]);
    assert_eq!(code, 1, "{told}");
    for line in [
        "error[Unprotected]: PersistentVolumeClaim shop/ledger: no blueprint, no BackupConfiguration (policy production)",
        "policy production: 6 of 15 covered, 1 exempt",
        "policy two-copies: 0 of 1 covered, 0 exempt",
        "10 errors, 0 notes",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let (code, told, _) = golden("coverage", &[]);
    assert_eq!(code, 0, "coverage is asked for by its flag: {told}");
    let (code, told, _) = golden("nothing-to-do", &["--coverage"]);
    assert_eq!(code, 0, "{told}");
    let (code, _, told) = holdfast(&["check", ".", "--coverage"]);
    assert!(code == 2 && told.contains("--cluster"), "{told}");

    let (code, told, _) = golden("policy-on-documents", &["-o", "github"]);
    let denied = "all.yaml,line=1,col=1,title=DeniedByPolicy::backups travel encrypted, use https:// (policy no-plain-http, all.yaml:36:5)";
    assert!(code == 1 && told.contains(denied), "{told}");
}

#[test]
fn the_reference_is_in_the_binary() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/codes.md")).unwrap();
    assert_eq!(holdfast(&["docs", "codes"]), (0, page, String::new()));
    let (code, schema, _) = holdfast(&["docs", "schema"]);
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert!(code == 0 && schema["definitions"]["BackupPolicy.holdfast.dev"].is_object());
}
