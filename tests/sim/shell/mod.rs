//! One daemon: the real control loop, and effects carried out against the models as `src/daemon` does it.

pub(crate) mod call;
pub(crate) mod lease;
pub(crate) mod pass;
pub(crate) mod record;
pub(crate) mod source;
pub(crate) mod view;

use std::collections::BTreeSet;

use holdfast::control::gitops::{self, Effect, Event as LoopEvent, Gitops, Passed};
use holdfast::model::delete_log::DeleteLog;
use holdfast::model::finding::ReasonCode;
use holdfast::model::plan::Group;
use holdfast::plan;
use jiff::{SignedDuration, Timestamp};

use crate::bug::Bug;
use crate::env::{DaemonEvent, Env, Event};

/// Effects that a loop may start within one second; more is a loop that spins.
const EFFECTS_PER_SECOND_MAX: u32 = 20;
const OWN_WRITES_TIME_MAX: SignedDuration = SignedDuration::from_secs(5);
const SLEEP_MAX: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct Daemon {
    number: usize,
    /// Counts restarts; what belongs to an earlier life is not for this one.
    pub life: u32,
    pub alive: bool,
    pub paused_until: Timestamp,
    settings: plan::Settings,
    state: Gitops,
    pub view: view::View,
    pub source: source::Source,
    lease: lease::Candidate,
    led: bool,
    log: Option<DeleteLog>,
    run: Option<pass::Run>,
    pub last: Option<pass::Outcome>,
    record: record::Record,
    /// The wake-up that is on the agenda.
    wake: Option<Timestamp>,
    started: (i64, u32),
}

impl Daemon {
    pub(crate) fn new(number: usize, life: u32, settings: plan::Settings, env: &mut Env) -> Self {
        let loop_settings = gitops::Settings {
            interval: SignedDuration::from_secs(30),
            full_pass: SignedDuration::from_mins(10),
            identity: format!("d{number}_{life}"),
        };
        let mut daemon = Self {
            number,
            life,
            alive: true,
            paused_until: Timestamp::MIN,
            settings,
            state: Gitops::new(loop_settings, true, env.clock()),
            view: view::View::new(),
            source: source::Source::default(),
            lease: lease::Candidate::default(),
            led: false,
            log: None,
            run: None,
            last: None,
            record: record::Record::default(),
            wake: None,
            started: (0, 0),
        };
        let wait = env.rng.between(1, 3000);
        daemon.later(env, wait, DaemonEvent::Lease);
        let wait = env.rng.between(1, 500);
        daemon.later(env, wait, DaemonEvent::Watch);
        daemon.drive(env);
        daemon
    }

    pub(crate) fn identity(&self) -> String {
        format!("d{}_{}", self.number, self.life)
    }

    pub(crate) fn leads(&self) -> bool {
        self.alive && self.led
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.is_idle()
    }

    pub(crate) fn event(&mut self, env: &mut Env, event: DaemonEvent) {
        let clock = env.clock();
        match event {
            DaemonEvent::Wake => self.wake = None,
            DaemonEvent::Watch => self.watch(env),
            DaemonEvent::Lease => {
                let identity = self.identity();
                let wait = self.lease.turn(env, &identity);
                self.later(env, wait, DaemonEvent::Lease);
            }
            DaemonEvent::Source { probe } => {
                let result = if probe {
                    LoopEvent::Probed(self.source.probe(env))
                } else {
                    LoopEvent::Read(self.source.read(env))
                };
                self.state.handle(result, clock);
            }
            DaemonEvent::Answer { lane, reply } => {
                let again = self.run.as_mut().and_then(|run| run.answer(lane, reply));
                if let Some(log) = self.run.as_ref().and_then(pass::Run::written) {
                    self.log = Some(log.clone());
                }
                match again {
                    Some(wait) => self.later(env, wait, DaemonEvent::Resend { lane }),
                    None => self.advance(env),
                }
            }
            DaemonEvent::Resend { lane } => {
                let may_write = self.lease.may_write(env.time);
                match self.run.as_mut().and_then(|run| run.again(lane, env, may_write)) {
                    Some(send) => self.send(env, send),
                    None => self.advance(env),
                }
            }
            DaemonEvent::Settled => self.settled(env),
            DaemonEvent::Look => {
                let Some(outcome) = &self.last else {
                    self.state.handle(LoopEvent::Recorded(Ok(())), clock);
                    return self.drive(env);
                };
                if let Some(result) = self.record.look(env, outcome, &self.view.observed) {
                    self.state.handle(LoopEvent::Recorded(result), clock);
                } else {
                    let wait = env.rng.between(20, 1500);
                    self.later(env, wait, DaemonEvent::Push);
                }
            }
            DaemonEvent::Push => {
                match self.record.push(env) {
                    Some(result) => self.state.handle(LoopEvent::Recorded(result), clock),
                    // The history stays; the report goes on top of it.
                    None => self.soon(env, DaemonEvent::Look),
                }
            }
        }
        self.role(env);
        self.drive(env);
    }

    fn watch(&mut self, env: &mut Env) {
        let clock = env.clock();
        let brought = self.view.look(self.number, env);
        if brought.listed {
            self.state.handle(LoopEvent::ClusterListed, clock);
        }
        if brought.changed {
            self.state.handle(LoopEvent::ClusterChanged, clock);
        }
        if let Some(wait) = brought.again {
            self.later(env, wait, DaemonEvent::Watch);
        }
        self.settled(env);
    }

    fn role(&mut self, env: &mut Env) {
        let leads = self.lease.leads();
        if leads == self.led {
            return;
        }
        self.led = leads;
        if leads {
            // A new leader reads what the last one deleted and wrote.
            (self.log, self.last) = (None, None);
            self.record = record::Record::default();
        }
        self.state.handle(LoopEvent::Leader(leads), env.clock());
    }

    /// Starts the effects that are due, and puts the next wake-up on the agenda.
    fn drive(&mut self, env: &mut Env) {
        let clock = env.clock();
        for effect in self.state.effects(clock) {
            self.count(env);
            match effect {
                Effect::Probe => self.soon(env, DaemonEvent::Source { probe: true }),
                Effect::Read => self.soon(env, DaemonEvent::Source { probe: false }),
                Effect::Pass { withheld } => self.pass(env, &withheld),
                Effect::Record => {
                    env.counts.effect("record");
                    self.soon(env, DaemonEvent::Look);
                }
            }
        }
        let sleep = self
            .state
            .wake_at()
            .map_or(SLEEP_MAX, |at| at.duration_since(clock))
            .clamp(SignedDuration::ZERO, SLEEP_MAX);
        let at = env.time + sleep.max(SignedDuration::from_millis(1));
        if self.wake.is_none_or(|wake| at < wake) {
            self.wake = Some(at);
            env.at(at, Event::Daemon { daemon: self.number, life: self.life, what: DaemonEvent::Wake });
        }
    }

    fn count(&mut self, env: &mut Env) {
        let second = env.time.as_second();
        self.started = if self.started.0 == second { (second, self.started.1 + 1) } else { (second, 1) };
        if self.started.1 > EFFECTS_PER_SECOND_MAX {
            env.oracle.fail(format!("{} started {} effects within a second", self.identity(), self.started.1));
        }
    }

    fn pass(&mut self, env: &mut Env, withheld: &BTreeSet<Group>) {
        env.counts.effect("pass");
        let clock = env.clock();
        if self.log.is_none() && !env.fault("server error", 40) {
            self.log = Some(env.delete_log.clone());
        }
        let Some(desired) = &self.source.desired else {
            self.state.handle(LoopEvent::Passed(Passed::default()), clock);
            return;
        };
        self.view.observed.recent_deletes = self.log.as_ref().map(|log| log.recent(clock)).unwrap_or_default();
        let mut settings = self.settings.clone();
        if env.has(Bug::IgnoresDelay) {
            settings.delete_delay = SignedDuration::ZERO;
        }
        let plan = plan::plan(desired, &self.view.observed, &settings, clock);
        env.oracle.planned(self.number, desired, &self.view.observed, &plan, &env.cluster, &self.settings);
        for step in &plan.steps {
            if pass::is_mark(step) {
                env.counts.effect("mark");
            }
            match step.reason.code {
                ReasonCode::CauseBack => env.counts.effect("cause back"),
                ReasonCode::Adopted => env.counts.effect("adopted"),
                _ => {}
            }
        }
        plan.refusals.iter().for_each(|_| env.counts.effect("refusal"));
        let identity = self.identity();
        env.note(|| format!("{identity} plans {} steps, {} refusals", plan.steps.len(), plan.refusals.len()));
        self.run = Some(pass::Run::new(plan, &self.view.observed, withheld, self.log.clone(), self.last.as_ref()));
        self.advance(env);
    }

    /// Sends what may be sent; ends the pass when nothing is left.
    fn advance(&mut self, env: &mut Env) {
        let may_write = self.lease.may_write(env.time);
        let Some(run) = &mut self.run else { return };
        let sends = run.next(env, may_write);
        let done = run.is_done() && run.settle_until.is_none();
        if done {
            run.settle_until = Some(env.time + OWN_WRITES_TIME_MAX);
        }
        for send in sends {
            self.send(env, send);
        }
        if done {
            self.later(env, 5000, DaemonEvent::Settled);
            self.settled(env);
        }
    }

    fn send(&self, env: &mut Env, send: pass::Send) {
        // A request that the leader began is over within five seconds, at the server too.
        let travel =
            if env.faults > 0 && env.rng.chance(30) { env.rng.between(200, 4500) } else { env.rng.between(2, 40) };
        let event = Event::Request { daemon: self.number, life: self.life, lane: send.lane, call: send.call };
        env.after(travel, event);
    }

    fn settled(&mut self, env: &mut Env) {
        let over = self.run.as_ref().is_some_and(|run| {
            run.settle_until.is_some_and(|until| until <= env.time || run.is_shown(&self.view.observed))
        });
        let Some(run) = self.run.take_if(|_| over) else { return };
        let outcome = run.finish(env);
        let passed = self.remember(outcome);
        self.state.handle(LoopEvent::Passed(passed), env.clock());
    }

    /// As `daemon::pass::remember`.
    fn remember(&mut self, outcome: pass::Outcome) -> Passed {
        let results = outcome.plan.steps.iter().zip(outcome.applied.results());
        let failed = results.filter_map(|(step, (_, result))| Some((step.group.clone(), result.failure()?))).collect();
        let last = self.last.as_ref();
        let changed = last.is_none_or(|last| {
            !last.plan.says_the_same(&outcome.plan)
                || last.applied != outcome.applied
                || last.withheld != outcome.withheld
        });
        let urgent = last.is_some_and(|last| {
            outcome.plan.refusals.len() > last.plan.refusals.len() || outcome.plan.held.len() > last.plan.held.len()
        });
        let wake_at = outcome.plan.wake_at;
        self.last = Some(outcome);
        Passed { wake_at, failed, changed, urgent }
    }

    fn soon(&mut self, env: &mut Env, what: DaemonEvent) {
        let wait = env.rng.between(10, 300);
        self.later(env, wait, what);
    }

    fn later(&self, env: &mut Env, millis: usize, what: DaemonEvent) {
        env.after(millis, Event::Daemon { daemon: self.number, life: self.life, what });
    }
}
