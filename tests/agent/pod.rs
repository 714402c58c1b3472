//! What a pod gives to the agent, and what it leaves behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use holdfast::model::finding::StepReason;
use holdfast::model::step::{LOG_MARK, OUTCOME_BYTES_MAX, Outcome};
use serde_json::{Value, json};

use crate::restic::{PASSWORD, Restic};

pub(crate) const CLUSTER: &str = "cluster-1";

/// A cluster with one repository.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) restic: Restic,
    pub(crate) session: String,
    pub(crate) target: Value,
    pub(crate) gone: Vec<String>,
    pub(crate) uid: String,
}

/// What one run has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Of the termination message.
    pub(crate) outcome: Outcome,
    /// Of the log.
    pub(crate) whole: Outcome,
    pub(crate) log: String,
}

impl Ended {
    /// Of the step as a whole.
    pub(crate) fn reason(&self) -> Option<StepReason> {
        self.outcome.error.as_ref().map(|error| error.reason)
    }

    /// Of the only host.
    pub(crate) fn host_reason(&self) -> Option<StepReason> {
        assert_eq!((self.outcome.hosts.len(), &self.outcome.error), (1, &None), "{self:?}");
        self.outcome.hosts[0].error.as_ref().map(|error| error.reason)
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.outcome.hosts.iter().flat_map(|host| &host.snapshots).map(|snapshot| snapshot.id.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.log);
        assert!(self.outcome.is_success(), "{self:?}");
        self
    }
}

impl Pod {
    /// No repository is there yet.
    pub(crate) fn new() -> Self {
        let target = json!({ "namespace": "shop", "kind": "Deployment", "name": "web" });
        let pod = Self {
            restic: Restic::new(),
            session: "session-1".to_owned(),
            target,
            gone: Vec::new(),
            uid: "pod-1".to_owned(),
        };
        for folder in ["storage", "scratch"] {
            fs::create_dir(pod.place(folder)).expect("made");
        }
        fs::write(pod.place("termination-log"), "").expect("written");
        pod.password(PASSWORD);
        pod
    }

    /// The agent has made one.
    pub(crate) fn with_repository() -> Self {
        let pod = Self::new();
        pod.run(&json!("initialize")).done();
        crate::cheap::make(&pod.restic.repository(), PASSWORD);
        pod
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.restic.repository().with_file_name(name)
    }

    pub(crate) fn password(&self, password: &str) {
        fs::write(self.place("storage").join("RESTIC_PASSWORD"), password).expect("written");
    }

    pub(crate) fn in_session(&mut self, session: &str) -> &Self {
        session.clone_into(&mut self.session);
        self
    }

    pub(crate) fn of_target(&mut self, name: &str) {
        self.target["name"] = json!(name);
    }

    pub(crate) fn command(&self, work: &Value) -> Command {
        let step = json!({
            "repository": { "address": self.restic.repository() },
            "session": self.session,
            "target": self.target,
            "cluster": CLUSTER,
            "gonePods": self.gone,
            "work": work,
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.arg("agent").env_clear().env("HOLDFAST_STEP", step.to_string());
        command.env("POD_NAME", "stash-backup-1").env("POD_UID", &self.uid).env("POD_NAMESPACE", "shop");
        command.env("HOLDFAST_STORAGE_FOLDER", self.place("storage"));
        command.env("HOLDFAST_SCRATCH_FOLDER", self.place("scratch"));
        command.env("HOLDFAST_TERMINATION_LOG", self.place("termination-log"));
        command
    }

    pub(crate) fn run(&self, work: &Value) -> Ended {
        let output = self.command(work).output().expect("it runs");
        self.ended(&output)
    }

    pub(crate) fn ended(&self, output: &Output) -> Ended {
        let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let message = fs::read_to_string(self.place("termination-log")).unwrap_or_default();
        assert!(message.len() <= OUTCOME_BYTES_MAX, "{} bytes", message.len());
        for text in [&*out, &*log, &message] {
            assert!(!text.contains(PASSWORD), "the password is told: {text}");
        }
        let whole = out.lines().find_map(|line| line.strip_prefix(LOG_MARK));
        let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}: {log}"));
        let (outcome, whole) = (read(&message), read(whole.unwrap_or_default()));
        fs::write(self.place("termination-log"), "").expect("written");
        Ended { code: output.status.code(), outcome, whole, log: log.into_owned() }
    }

    /// Its log comes line by line.
    pub(crate) fn started(&self, work: &Value) -> Child {
        self.command(work).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    }

    /// Reads so much that it takes long, and has a lock already.
    pub(crate) fn busy(&self) -> Child {
        let file = fs::File::create(self.restic.files().join("long")).expect("made");
        file.set_len(1 << 40).expect("nothing but a number");
        let child = self.started(&backup(&[&self.restic.files().display().to_string()]));
        let begun = Instant::now();
        while self.locks() == 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "it takes no lock");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }

    pub(crate) fn locks(&self) -> usize {
        fs::read_dir(self.restic.repository().join("locks")).map_or(0, Iterator::count)
    }

    /// Of the only host, of these folders below the files.
    pub(crate) fn back_up(&self, folders: &[&str]) -> Ended {
        let paths: Vec<_> = folders.iter().map(|folder| self.path(folder)).collect();
        self.run(&backup(&paths.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.restic.files().join(name).display().to_string()
    }

    /// As restic lists them, with the oldest first.
    pub(crate) fn snapshots(&self) -> Vec<Value> {
        let listed: Value = serde_json::from_str(&self.restic.done(&["snapshots", "--json"])).expect("JSON");
        listed.as_array().cloned().unwrap_or_default()
    }
}

pub(crate) fn backup(paths: &[&str]) -> Value {
    json!({ "backup": { "host": "host-0", "paths": paths } })
}
