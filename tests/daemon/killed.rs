//! The leader is killed while one request is on its way, at many points of an apply and a push; whoever comes next
//! ends in the same state, makes nothing twice, and loses no status.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::daemon::Daemon;
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action, Proxy, Rule, Which};
use crate::harness::wait::eventually;
use crate::state::State;
use crate::world::{SOON, STATUS, World};

/// What is asked for, in claims whose names begin with the point's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// Three claims are new: two objects each.
    Create,
    /// One claim gets another schedule.
    Update,
    /// One claim asks for nothing any more: its configuration is marked and deleted after a second.
    Delete,
}

/// Which request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// The proof that a name is free.
    Get,
    Apply,
    Delete,
    DeleteLog,
    Event,
    Renewal,
    /// The listing of the status branch, before or after a push.
    List,
    Fetch,
    ListToPush,
    Push,
}

/// One point at which the leader is killed.
#[derive(Clone, Copy)]
struct Point {
    work: Work,
    request: Request,
    nth: usize,
    action: Action,
}

const fn point(work: Work, request: Request, nth: usize, action: Action) -> Point {
    Point { work, request, nth, action }
}

fn points() -> Vec<Point> {
    use Action::{Hold, HoldAnswer, Outlive};
    let mut points = Vec::new();
    for nth in 1..=6 {
        points.push(point(Work::Create, Request::Apply, nth, Hold));
        points.push(point(Work::Create, Request::Apply, nth, HoldAnswer));
    }
    points.extend([1, 4, 6].map(|nth| point(Work::Create, Request::Get, nth, Hold)));
    points.extend([1, 4].map(|nth| point(Work::Create, Request::Apply, nth, Outlive)));
    points.extend([
        point(Work::Create, Request::Event, 1, HoldAnswer),
        point(Work::Create, Request::Renewal, 1, HoldAnswer),
        point(Work::Update, Request::Apply, 1, Hold),
        point(Work::Update, Request::Apply, 1, HoldAnswer),
        point(Work::Update, Request::Apply, 1, Outlive),
        point(Work::Delete, Request::Apply, 1, HoldAnswer),
        point(Work::Delete, Request::DeleteLog, 1, HoldAnswer),
        point(Work::Delete, Request::Delete, 1, Hold),
        point(Work::Delete, Request::Delete, 1, HoldAnswer),
        point(Work::Create, Request::List, 1, Hold),
        point(Work::Create, Request::ListToPush, 1, Hold),
        point(Work::Create, Request::Push, 1, Hold),
        point(Work::Create, Request::Push, 1, HoldAnswer),
        point(Work::Create, Request::Push, 1, Outlive),
        point(Work::Create, Request::List, 2, Hold),
        point(Work::Create, Request::Fetch, 1, Hold),
    ]);
    points
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.action {
            Action::HoldAnswer => "answer lost",
            Action::Outlive => "arrives when the next one is done",
            _ => "never arrives",
        };
        write!(f, "{:?}, {:?} {}: {when}", self.work, self.request, self.nth)
    }
}

impl Request {
    fn fits(self, seen: &SeenRequest, prefix: &str) -> bool {
        let (method, path, query) = (seen.method.as_str(), seen.path.as_str(), seen.query.as_str());
        let own = path.contains(prefix);
        match self {
            Request::Get => method == "GET" && own,
            Request::Apply => method == "PATCH" && own,
            Request::Delete => method == "DELETE" && own,
            Request::DeleteLog => method == "PATCH" && path.ends_with("/configmaps/holdfast-state"),
            Request::Event => method == "POST" && path.ends_with("/events"),
            Request::Renewal => method == "PUT" && path.ends_with("/leases/holdfast"),
            Request::List => query.contains("service=git-upload-pack"),
            Request::Fetch => path.ends_with("/git-upload-pack"),
            Request::ListToPush => query.contains("service=git-receive-pack"),
            Request::Push => path.ends_with("/git-receive-pack"),
        }
    }

    fn is_of_git(self) -> bool {
        matches!(self, Request::List | Request::Fetch | Request::ListToPush | Request::Push)
    }
}

/// A world whose daemons reach both servers through proxies.
struct Scene {
    world: World,
    cluster: Proxy,
    kubeconfig: std::path::PathBuf,
    git: Proxy,
    daemons: usize,
}

impl Scene {
    async fn new() -> Option<Self> {
        let world = World::new().await?;
        let (cluster, kubeconfig) = Proxy::in_front_of_cluster(&world.kubeconfig);
        let git = Proxy::in_front_of(&world.git.url());
        Some(Self { world, cluster, kubeconfig, git, daemons: 0 })
    }

    /// The next daemon; it looks at its source once, so that later requests to Git are about the status.
    async fn daemon(&mut self) -> Daemon {
        self.daemons += 1;
        let start = self.world.daemon(&format!("daemon-{}", self.daemons));
        let start = start.kubeconfig(&self.kubeconfig).git_url(&self.git.url_of(&self.world.git.url()));
        start.with(&["--git-interval=1h", "--full-pass=2s"]).leading().await
    }

    fn proxy(&self, point: &Point) -> &Proxy {
        if point.request.is_of_git() { &self.git } else { &self.cluster }
    }

    fn rule(&self, point: &Point, prefix: &str) -> Arc<Rule> {
        let (request, prefix) = (point.request, format!("{prefix}-"));
        self.proxy(point).rule(Which::Nth(point.nth), point.action, move |seen| request.fits(seen, &prefix))
    }

    async fn create(&self, prefix: &str) {
        for claim in ["a", "b", "c"] {
            self.world.claim(&format!("{prefix}-{claim}"), "volumes").await;
        }
    }

    async fn change(&self, work: Work, prefix: &str) {
        let annotations = match work {
            Work::Create => return self.create(prefix).await,
            Work::Update => json!({"stash.appscode.com/schedule": "5 4 * * *"}),
            Work::Delete => json!({"stash.appscode.com/backup-blueprint": null}),
        };
        self.world.annotate(&format!("{prefix}-a"), annotations).await;
    }

    /// What the cluster and the status branch say of the point.
    async fn state(&self, prefix: &str) -> State {
        let mut state = self.world.objects_of(prefix).await;
        state.extend(self.world.files_of(prefix));
        state
    }

    /// Waits for an end state that is known from an undisturbed run.
    async fn ends_in(&self, wanted: &State, prefix: &str) {
        eventually(SOON, "the end state of an undisturbed run", async || {
            let state = self.state(prefix).await;
            if state == *wanted { Ok(()) } else { Err(difference(&state, wanted)) }
        })
        .await;
    }
}

fn difference(state: &State, wanted: &State) -> String {
    let differ = wanted.keys().chain(state.keys()).filter(|key| state.get(*key) != wanted.get(*key));
    let lines = differ.map(|key| format!("{key}: {:?} instead of {:?}", state.get(key), wanted.get(key)));
    lines.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

/// Runs all work undisturbed: the states after [`Work::Create`], [`Work::Update`] and [`Work::Delete`] on its own.
async fn undisturbed(scene: &Scene) -> [State; 3] {
    let whole = |state: &State, objects: usize, files: usize| {
        let in_cluster = state.keys().filter(|key| !key.starts_with("targets/")).count();
        (in_cluster, state.len() - in_cluster) == (objects, files)
            && !state.values().any(|said| said.to_string().contains("CauseMissing"))
    };
    let mut states = [State::new(), State::new(), State::new()];
    for (work, objects, files) in [(Work::Create, 6, 3), (Work::Update, 6, 3), (Work::Delete, 5, 2)] {
        let prefix = format!("calm{}", work as usize);
        scene.create(&prefix).await;
        if work != Work::Create {
            scene.ends_in(&states[0], &prefix).await;
            scene.change(work, &prefix).await;
        }
        states[work as usize] = eventually(SOON, "an undisturbed run", async || {
            let state = scene.state(&prefix).await;
            let changed = work == Work::Create || state != states[0];
            let told = work != Work::Update
                || state.values().filter(|said| said.to_string().contains("5 4 * * *")).count() == 2;
            if whole(&state, objects, files) && changed && told { Ok(state) } else { Err(format!("{state:#?}")) }
        })
        .await;
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_killed_leader_ends_in_the_same_state() {
    let Some(mut scene) = Scene::new().await else { return };
    let mut daemon = scene.daemon().await;
    let wanted = undisturbed(&scene).await;
    let mut log = scene.world.git.repository().log(STATUS);
    let points = points();
    for (index, point) in points.iter().enumerate() {
        let (prefix, started) = (format!("p{index:02}"), Instant::now());
        if point.work != Work::Create {
            scene.create(&prefix).await;
            scene.ends_in(&wanted[0], &prefix).await;
        }
        if point.request == Request::Fetch {
            // Only who did not make the commit fetches it.
            daemon = restarted(&mut scene, daemon).await;
        }
        let from = scene.proxy(point).requests().len();
        let rule = scene.rule(point, &prefix);
        scene.change(point.work, &prefix).await;
        rule.wait_for_held(SOON).await;
        daemon.process.kill9();
        if point.action != Action::Outlive {
            rule.release();
        }
        scene.world.give_lease_back().await;
        daemon = scene.daemon().await;
        scene.ends_in(&wanted[point.work as usize], &prefix).await;
        if point.action == Action::Outlive {
            rule.release();
            let late = async || late_status(&scene, point, &prefix, from).ok_or("not yet");
            let status = eventually(SOON, "the late request arrived", late).await;
            println!("|    | the late request is answered with {status} |");
            scene.ends_in(&wanted[point.work as usize], &prefix).await;
        }
        let now = scene.world.git.repository().log(STATUS);
        assert!(now.ends_with(&log), "{point}: a commit of the status branch is lost");
        assert!(now.iter().rev().skip(1).all(|commit| commit.parents.len() == 1), "{point}: not one line of commits");
        log = now;
        println!("| {:2} | {point} | same end state in {} ms |", index + 1, started.elapsed().as_millis());
    }
    println!("killed at {} points", points.len());
    drop(daemon);
    scene.world.finish("killed").await;
}

/// The status that the server gave to the request that outlived its client, once it has.
fn late_status(scene: &Scene, point: &Point, prefix: &str, from: usize) -> Option<u16> {
    let requests = scene.proxy(point).requests().split_off(from);
    let mut own = requests.iter().filter(|seen| point.request.fits(seen, prefix));
    own.nth(point.nth - 1)?.status
}

async fn restarted(scene: &mut Scene, mut daemon: Daemon) -> Daemon {
    daemon.process.kill9();
    scene.world.give_lease_back().await;
    scene.daemon().await
}
