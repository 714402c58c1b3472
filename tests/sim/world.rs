//! One world by seed: a time of trouble, then quiet, then what must be true.

use holdfast::plan::Settings;
use jiff::{SignedDuration, Timestamp};

use crate::actors::Actors;
use crate::bug::Bug;
use crate::counts::Counts;
use crate::env::{DaemonEvent, Env, Event};
use crate::quiet;
use crate::remote::StatusCommit;
use crate::shell::{Daemon, call};

const DAEMONS: usize = 2;

/// What became of a seed.
pub(crate) struct Ended {
    pub failures: Vec<String>,
    pub counts: Counts,
    /// Hash over everything that happened.
    pub hash: u64,
    pub trace: Vec<String>,
}

pub(crate) struct World {
    pub env: Env,
    pub daemons: Vec<Daemon>,
    pub actors: Actors,
    pub settings: Settings,
}

/// Lives through the world of a seed.
pub(crate) fn run(seed: u64, bug: Option<Bug>, traced: bool) -> Ended {
    let mut env = Env::new(seed, bug, traced);
    let large = seed % 40 == 7;
    let actors = Actors::settle(&mut env, large);
    let delay = i64::try_from(env.rng.between(2, 10)).unwrap_or(10);
    let settings = Settings {
        delete_delay: SignedDuration::from_mins(delay),
        adopt_stash: env.rng.chance(200),
        ..Settings::default()
    };
    env.faults = [30, 60, 100, 200][env.rng.below(4)];
    let daemons = (0..DAEMONS).map(|number| Daemon::new(number, 0, settings.clone(), &mut env)).collect();
    let mut world = World { env, daemons, actors, settings };
    world.trouble();
    world.calm();
    if world.env.oracle.failures.is_empty() {
        quiet::check(&mut world);
    }
    let World { env, .. } = world;
    Ended {
        failures: env.oracle.failures,
        counts: env.counts,
        hash: env.trace.hash,
        trace: env.trace.lines.unwrap_or_default(),
    }
}

impl World {
    fn trouble(&mut self) {
        let minutes = i64::try_from(self.env.rng.between(3, 10)).unwrap_or(3);
        let end = self.env.time + SignedDuration::from_mins(minutes);
        self.env.after(1000, Event::Actor);
        self.env.after(2000, Event::Fault);
        self.until(end);
    }

    /// No more faults; whoever is down comes up, and every watch lists anew.
    fn calm(&mut self) {
        self.env.faults = 0;
        let now = self.env.time;
        for number in 0..self.daemons.len() {
            if !self.daemons[number].alive {
                self.restart(number);
            }
            let daemon = &mut self.daemons[number];
            daemon.paused_until = now;
            daemon.view.heal(now);
            let (daemon, life) = (number, daemon.life);
            self.env.after(1, Event::Daemon { daemon, life, what: DaemonEvent::Watch });
        }
    }

    pub(crate) fn until(&mut self, end: Timestamp) {
        while self.env.oracle.failures.is_empty() {
            let Some(event) = self.env.next(end) else { break };
            self.one(event);
        }
    }

    fn one(&mut self, event: Event) {
        match event {
            Event::Daemon { daemon: number, life, what } => {
                let daemon = &mut self.daemons[number];
                if daemon.life != life || !daemon.alive {
                    return;
                }
                if daemon.paused_until > self.env.time {
                    self.env.at(daemon.paused_until, Event::Daemon { daemon: number, life, what });
                    return;
                }
                daemon.event(&mut self.env, what);
            }
            Event::Request { daemon, life, lane, call } => {
                let identity = format!("d{daemon}_{life}");
                let reply = call::carry_out(&mut self.env, daemon, &identity, &call);
                self.env.after(3, Event::Daemon { daemon, life, what: DaemonEvent::Answer { lane, reply } });
                self.env.oracle.one_name_each(&self.env.cluster);
                self.stir();
            }
            Event::Restart(number) => self.restart(number),
            Event::Swap(key) => {
                Actors::finish_swap(&mut self.env, &key);
                self.stir();
            }
            Event::NamespaceEnds(name) => {
                if self.env.cluster.finish_namespace(&name) {
                    let wait = self.env.rng.between(50, 3000);
                    self.env.after(wait, Event::NamespaceEnds(name));
                }
                self.stir();
            }
            Event::Actor if self.env.faults > 0 => {
                let refused = self.refused();
                self.actors.act(&mut self.env, &refused);
                self.stir();
                let wait = if self.env.rng.chance(600) {
                    self.env.rng.between(20, 4000)
                } else {
                    self.env.rng.between(5000, 60_000)
                };
                self.env.after(wait, Event::Actor);
            }
            Event::Fault if self.env.faults > 0 => {
                self.fault();
                let wait = self.env.rng.between(1000, 60_000);
                self.env.after(wait, Event::Fault);
            }
            Event::Actor | Event::Fault => {}
        }
    }

    /// The watches of everybody alive look soon.
    fn stir(&mut self) {
        for number in 0..self.daemons.len() {
            let wait = self.env.rng.between(2, 120);
            let (life, what) = (self.daemons[number].life, DaemonEvent::Watch);
            self.env.after(wait, Event::Daemon { daemon: number, life, what });
        }
    }

    /// Digests that the last plans print.
    fn refused(&self) -> Vec<String> {
        let plans = self.daemons.iter().filter(|daemon| daemon.leads()).filter_map(|daemon| daemon.last.as_ref());
        let digests =
            plans.flat_map(|outcome| &outcome.plan.refusals).filter_map(|refusal| refusal.acknowledge.as_ref());
        digests.map(ToString::to_string).collect()
    }

    fn restart(&mut self, number: usize) {
        let life = self.daemons[number].life + 1;
        self.daemons[number] = Daemon::new(number, life, self.settings.clone(), &mut self.env);
        self.env.note(|| format!("daemon {number} starts its life {life}"));
    }

    /// One trouble that comes from outside of any request.
    fn fault(&mut self) {
        let env = &mut self.env;
        match env.rng.below(9) {
            0 | 1 => {
                let number = env.rng.below(DAEMONS);
                if self.daemons[number].alive {
                    env.counts.fault("crash");
                    env.note(|| format!("daemon {number} crashes"));
                    self.daemons[number].alive = false;
                    let wait = env.rng.between(100, 40_000);
                    env.after(wait, Event::Restart(number));
                }
            }
            2 | 3 => {
                let number = env.rng.below(DAEMONS);
                let seconds = i64::try_from(env.rng.between(1, 60)).unwrap_or(1);
                self.daemons[number].paused_until = env.time + SignedDuration::from_secs(seconds);
                env.counts.fault("pause");
                env.note(|| format!("daemon {number} stands still for {seconds} s"));
            }
            4 => {
                let minutes = i64::try_from(env.rng.between(1, 90)).unwrap_or(1);
                env.skew += SignedDuration::from_mins(minutes);
                env.counts.fault("clock forward");
            }
            5 => {
                let back = SignedDuration::from_secs(i64::try_from(env.rng.between(1, 5)).unwrap_or(1));
                env.skew -= back;
                env.set_back += back;
                env.counts.fault("clock back");
            }
            6 => foreign_commit(env),
            7 => {
                let to = env.remote.tip.and_then(|tip| env.remote.status[tip].parent).filter(|_| env.rng.chance(600));
                env.counts.fault(if to.is_some() { "branch set back" } else { "branch vanished" });
                env.note(|| "the status branch is moved".to_owned());
                env.remote.move_status(to);
            }
            _ => {
                let by = env.rng.between(1, 4);
                env.counts.fault("source rewound");
                env.remote.rewind_source(by);
            }
        }
    }
}

/// Somebody commits to the status branch: a file of their own, or one of ours.
fn foreign_commit(env: &mut Env) {
    let tip = env.remote.tip;
    let mut files = env.remote.tip_files().map(|commit| (*commit.files).clone()).unwrap_or_default();
    let ours: Vec<String> = files.keys().cloned().collect();
    let path = match env.rng.pick(&ours).cloned() {
        Some(path) if env.rng.chance(400) => path,
        _ => format!("notes/{}.md", env.rng.below(3)),
    };
    files.insert(path, format!("by somebody {}", env.rng.below(1000)).into_bytes());
    env.counts.fault("foreign commit");
    env.note(|| "somebody commits to the status branch".to_owned());
    env.remote.force_status(StatusCommit {
        parent: tip,
        files: std::sync::Arc::new(files),
        report: None,
        when: env.clock(),
    });
}
