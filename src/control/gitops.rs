//! The one loop of this stage: source, pass and record, each at most once at a time, none waiting for another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::backoff::Failing;
use super::recorder::Recorder;
use crate::model::applied::FailureClass;
use crate::model::names::hash_hex;
use crate::model::plan::Group;

/// Watch events within this time make one pass.
const COALESCE: SignedDuration = SignedDuration::from_millis(200);
/// Passes are not delayed longer than this by events that keep coming.
const COALESCE_MAX: SignedDuration = SignedDuration::from_secs(1);
/// Longest wait of the source after failures: a forge that is back should be noticed soon.
const SOURCE_WAIT_MAX: SignedDuration = SignedDuration::from_mins(2);

/// How often things happen by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two looks at the head of the source.
    pub interval: SignedDuration,
    /// Between two passes without a cause.
    pub full_pass: SignedDuration,
    /// Tells daemons apart, so that they do not ask at the same moment.
    pub identity: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The right to write was won or lost.
    Leader(bool),
    /// A webhook or a file notification says that the source may have moved.
    SourceHinted,
    /// The head of the source was asked for; true if its commit is another than that read last.
    Probed(Result<bool, SourceFailure>),
    /// The source was read; true if its inputs differ from those in force.
    Read(Result<bool, SourceFailure>),
    /// The cluster changed in a way that planning can see.
    ClusterChanged,
    /// Everything that planning needs was listed once.
    ClusterListed,
    Passed(Passed),
    /// What the report says of runs may differ.
    RunsChanged {
        /// A backup has failed, or a restore went on.
        urgent: bool,
    },
    /// The status branch was written, or already said everything.
    Recorded(Result<(), RecordFailure>),
    /// The daemon shall end.
    Stopping,
}

/// Why a source could not be looked at or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    pub class: FailureClass,
    pub message: String,
}

/// Why the status branch could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFailure {
    pub class: FailureClass,
    pub message: String,
}

/// What became of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// When time alone changes the plan.
    pub wake_at: Option<Timestamp>,
    /// Groups of which a step has failed or has no answer: they wait, and the first wait is short.
    pub failed: BTreeMap<Group, FailureClass>,
    /// The report differs from the last one.
    pub changed: bool,
    /// Somebody waits for it: a refusal, a held file or a failure is new.
    pub urgent: bool,
}

/// Something to be done. Its end comes back as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Probe,
    Read,
    /// Observe, plan, apply. Groups in backoff are left out.
    Pass {
        withheld: BTreeSet<Group>,
    },
    /// Look at the tip of the status branch as the server has it, and write what it does not say.
    Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Idle,
    Busy,
}

/// State of the loop.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that change apart from each other, each by an event of its own"
)]
pub struct Gitops {
    settings: Settings,
    leader: bool,
    listed: bool,
    stopping: bool,
    has_source: bool,
    source_lane: Lane,
    must_read: bool,
    /// A hint came while the lane was busy: what it speaks of may be newer than what is read just now.
    hinted: bool,
    probe_at: Timestamp,
    source_failing: Option<Failing>,
    pass_lane: Lane,
    /// First and last cause of a pass that waits.
    dirty: Option<(Timestamp, Timestamp)>,
    pass_again_at: Option<Timestamp>,
    full_pass_at: Timestamp,
    backoff: BTreeMap<Group, Failing>,
    /// Failures whose wait has ended and that the pass under way tries again, if the plan still has them.
    retried: BTreeMap<Group, Failing>,
    record_lane: Lane,
    recorder: Recorder,
    /// When the status branch is looked at though nothing changed here: somebody else may have moved it.
    look_at: Timestamp,
    writes_status: bool,
}

impl Gitops {
    pub fn new(settings: Settings, writes_status: bool, now: Timestamp) -> Self {
        Self {
            full_pass_at: after(now, settings.full_pass),
            look_at: after(now, settings.full_pass),
            settings,
            leader: false,
            listed: false,
            stopping: false,
            has_source: false,
            source_lane: Lane::Idle,
            must_read: true,
            hinted: false,
            probe_at: now,
            source_failing: None,
            pass_lane: Lane::Idle,
            dirty: None,
            pass_again_at: None,
            backoff: BTreeMap::new(),
            retried: BTreeMap::new(),
            record_lane: Lane::Idle,
            recorder: Recorder::default(),
            writes_status,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Leader(leader) => {
                self.leader = leader;
                if leader {
                    self.mark_dirty(now);
                    self.recorder.changed(false, now);
                } else {
                    // Who leads from now on writes the branch, and our failures say nothing about that.
                    self.recorder = Recorder::default();
                }
            }
            Event::SourceHinted => {
                self.hinted = true;
                self.take_hint(now);
            }
            Event::Probed(result) => {
                self.probed(result, now);
                self.take_hint(now);
            }
            Event::Read(result) => {
                self.read(result, now);
                self.take_hint(now);
            }
            Event::ClusterChanged => self.mark_dirty(now),
            Event::ClusterListed => {
                self.listed = true;
                self.mark_dirty(now);
            }
            Event::Passed(passed) => self.passed(passed, now),
            Event::RunsChanged { urgent } => self.recorder.changed(urgent, now),
            Event::Recorded(result) => {
                self.record_lane = Lane::Idle;
                self.look_at = after(now, self.settings.full_pass);
                match result {
                    Ok(()) => self.recorder.succeeded(),
                    Err(failure) if self.leader => {
                        self.recorder.failed(failure.class, &self.settings.identity, now);
                    }
                    Err(_) => {}
                }
            }
            Event::Stopping => self.stopping = true,
        }
    }

    /// The effects that are due now; each is carried out once and answered by an event.
    pub fn effects(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.stopping {
            return effects;
        }
        self.bound_waits(now);
        if self.source_lane == Lane::Idle && self.probe_at <= now {
            self.source_lane = Lane::Busy;
            effects.push(if self.must_read { Effect::Read } else { Effect::Probe });
        }
        if self.may_pass() && self.pass_at().is_some_and(|at| at <= now) {
            self.pass_lane = Lane::Busy;
            self.dirty = None;
            self.pass_again_at = None;
            self.full_pass_at = after(now, self.settings.full_pass);
            effects.push(Effect::Pass { withheld: self.withhold(now) });
        }
        if self.may_record() && self.record_at() <= now {
            self.record_lane = Lane::Busy;
            self.recorder.started(now);
            effects.push(Effect::Record);
        }
        effects
    }

    /// The next moment at which time alone makes an effect due.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.stopping {
            return None;
        }
        let source = (self.source_lane == Lane::Idle).then_some(self.probe_at);
        let pass = self.may_pass().then(|| self.pass_at()).flatten();
        let record = self.may_record().then(|| self.record_at());
        [source, pass, record].into_iter().flatten().min()
    }

    /// Whether no effect is under way.
    pub fn is_idle(&self) -> bool {
        [self.source_lane, self.pass_lane, self.record_lane].iter().all(|lane| *lane == Lane::Idle)
    }

    /// Pushes of the status branch that failed in a row.
    pub fn record_failures(&self) -> u32 {
        self.recorder.failures()
    }

    /// Looks at the source that failed in a row.
    pub fn source_failures(&self) -> u32 {
        self.source_failing.as_ref().map_or(0, |failing| failing.attempts)
    }

    /// A wall clock can be set back: no wait is longer than the longest of its sort, so nothing stands still until the
    /// clock has caught up. What the plan itself waits for is a moment of the wall clock, and the full pass is its net.
    fn bound_waits(&mut self, now: Timestamp) {
        self.probe_at = self.probe_at.min(after(now, self.interval_max().max(SOURCE_WAIT_MAX)));
        self.dirty = self.dirty.map(|(first, last)| (first.min(now), last.min(now)));
        self.full_pass_at = self.full_pass_at.min(after(now, self.settings.full_pass));
        self.look_at = self.look_at.min(after(now, self.settings.full_pass));
        self.backoff.values_mut().for_each(|failing| failing.bound(now));
        self.recorder.bound(now);
    }

    /// A hint ends every wait of the source, and one that comes while the lane is busy does so when it no longer is.
    fn take_hint(&mut self, now: Timestamp) {
        if self.source_lane == Lane::Idle && std::mem::take(&mut self.hinted) {
            self.probe_at = now;
            self.source_failing = None;
        }
    }

    fn probed(&mut self, result: Result<bool, SourceFailure>, now: Timestamp) {
        self.source_lane = Lane::Idle;
        match result {
            Ok(moved) => {
                self.source_failing = None;
                self.must_read = moved;
                self.probe_at = if moved { now } else { self.next_probe(now) };
            }
            Err(failure) => self.source_failed(failure.class, now),
        }
    }

    fn read(&mut self, result: Result<bool, SourceFailure>, now: Timestamp) {
        self.source_lane = Lane::Idle;
        match result {
            Ok(changed) => {
                self.source_failing = None;
                self.must_read = false;
                self.probe_at = self.next_probe(now);
                if changed || !self.has_source {
                    // A change in Git is what a failed step may have waited for.
                    self.backoff.clear();
                    self.dirty = Some((after(now, -COALESCE_MAX), now));
                }
                self.has_source = true;
            }
            Err(failure) => self.source_failed(failure.class, now),
        }
    }

    fn source_failed(&mut self, class: FailureClass, now: Timestamp) {
        let failing = Failing::again(self.source_failing.as_ref(), class, &self.settings.identity, now);
        self.must_read = true;
        self.probe_at = failing.until.min(after(now, SOURCE_WAIT_MAX));
        self.source_failing = Some(failing);
    }

    fn passed(&mut self, passed: Passed, now: Timestamp) {
        self.pass_lane = Lane::Idle;
        for (group, class) in passed.failed {
            let failing = Failing::again(self.retried.get(&group), class, &format!("{group:?}"), now);
            self.backoff.insert(group, failing);
        }
        self.retried.clear();
        let retry = self.backoff.values().map(|failing| failing.until).min();
        self.pass_again_at = [passed.wake_at, retry].into_iter().flatten().min();
        if passed.changed {
            self.recorder.changed(passed.urgent, now);
        }
    }

    fn mark_dirty(&mut self, now: Timestamp) {
        self.dirty = Some((self.dirty.map_or(now, |(first, _)| first), now));
    }

    /// Nothing is planned before there is a source and a full view of the cluster.
    fn may_pass(&self) -> bool {
        self.leader && self.listed && self.has_source && self.pass_lane == Lane::Idle
    }

    fn may_record(&self) -> bool {
        self.leader && self.listed && self.has_source && self.writes_status && self.record_lane == Lane::Idle
    }

    fn pass_at(&self) -> Option<Timestamp> {
        let dirty = self.dirty.map(|(first, last)| after(last, COALESCE).min(after(first, COALESCE_MAX)));
        [dirty, self.pass_again_at, Some(self.full_pass_at)].into_iter().flatten().min()
    }

    fn record_at(&self) -> Timestamp {
        self.recorder.due().map_or(self.look_at, |due| due.min(self.look_at))
    }

    /// Ends the waits that are over; what still waits is left out of the pass.
    fn withhold(&mut self, now: Timestamp) -> BTreeSet<Group> {
        let (waiting, over) =
            std::mem::take(&mut self.backoff).into_iter().partition(|(_, failing)| failing.until > now);
        self.backoff = waiting;
        self.retried = over;
        self.backoff.keys().cloned().collect()
    }

    /// The interval with a tenth of jitter, the same for a daemon and a moment.
    fn next_probe(&self, now: Timestamp) -> Timestamp {
        let share = i64::from_str_radix(&hash_hex(&format!("{} {now}", self.settings.identity), 4), 16).unwrap_or(0);
        let jitter = (self.interval_max() - self.settings.interval).as_millis() * i128::from(share) / 0xffff;
        after(now, self.settings.interval + SignedDuration::from_millis(i64::try_from(jitter).unwrap_or(0)))
    }

    fn interval_max(&self) -> SignedDuration {
        self.settings.interval + self.settings.interval / 10
    }
}

fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::{Kind, ObjectKey};

    const INTERVAL: SignedDuration = SignedDuration::from_mins(1);
    const FULL_PASS: SignedDuration = SignedDuration::from_mins(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    /// A leader that has read the source and planned once; nothing is under way but what `now` makes due.
    fn running(now: Timestamp) -> Gitops {
        let settings = Settings { interval: INTERVAL, full_pass: FULL_PASS, identity: "a".to_owned() };
        let mut state = Gitops::new(settings, true, now);
        assert_eq!(state.effects(now), [Effect::Read]);
        for event in [Event::Leader(true), Event::ClusterListed, Event::Read(Ok(true))] {
            state.handle(event, now);
        }
        assert_eq!(state.effects(now), [Effect::Pass { withheld: BTreeSet::new() }]);
        state.handle(Event::Passed(Passed { changed: true, urgent: true, ..Passed::default() }), now);
        assert_eq!(state.effects(now), [Effect::Record]);
        state
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        const DAY: i64 = 86_400;
        let mut state = running(at(DAY));
        state.handle(Event::Recorded(Ok(())), at(DAY));
        let set_back = |mut state: Gitops, seconds: i64| {
            assert_eq!(state.effects(at(0)), []);
            assert!(state.wake_at().unwrap() <= at(120));
            state.effects(at(seconds))
        };
        assert_eq!(set_back(state.clone(), 120), [Effect::Probe]);
        let all = [Effect::Probe, Effect::Pass { withheld: BTreeSet::new() }, Effect::Record];
        assert_eq!(set_back(state.clone(), 600), all);

        // What has failed or changed before the jump is not forgotten, and not late for more than its longest wait.
        state.handle(Event::ClusterChanged, at(DAY));
        state.effects(at(DAY + 1));
        let failed = BTreeMap::from([(group(), FailureClass::Transient)]);
        state.handle(Event::Passed(Passed { failed, changed: true, ..Passed::default() }), at(DAY + 1));
        let mut changed = state.clone();
        changed.handle(Event::ClusterChanged, at(DAY + 1));
        assert_eq!(changed.effects(at(0)), []);
        let withheld = BTreeSet::from([group()]);
        assert_eq!(changed.effects(at(1)), [Effect::Pass { withheld }]);
        assert_eq!(set_back(state.clone(), 10), [Effect::Record]);
        assert_eq!(set_back(state, 600), all);
    }

    fn group() -> Group {
        Group::Document(ObjectKey::new(Kind::Repository, "shop", "web"))
    }

    #[test]
    fn what_fails_again_and_again_is_tried_less_and_less() {
        for class in [FailureClass::Conflict, FailureClass::Transient] {
            let mut state = running(at(0));
            let (mut now, mut tries) = (at(0), Vec::new());
            let failed = BTreeMap::from([(group(), class)]);
            state.handle(Event::ClusterChanged, now);
            while now < at(3600) {
                for effect in state.effects(now) {
                    state.handle(
                        match effect {
                            Effect::Probe => Event::Probed(Ok(false)),
                            Effect::Read => Event::Read(Ok(false)),
                            Effect::Record => Event::Recorded(Ok(())),
                            Effect::Pass { withheld } if withheld.is_empty() => {
                                tries.push(now);
                                Event::Passed(Passed { failed: failed.clone(), ..Passed::default() })
                            }
                            Effect::Pass { .. } => Event::Passed(Passed::default()),
                        },
                        now,
                    );
                }
                now = state.wake_at().unwrap().max(after(now, SignedDuration::from_millis(1)));
            }
            let waits: Vec<SignedDuration> = tries.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
            assert!(waits[0] <= COALESCE_MAX, "an observation comes soon: {waits:?}");
            assert!(waits[4] > SignedDuration::from_secs(7) && tries.len() < 25, "{waits:?}");
        }
    }

    fn lost() -> Event {
        Event::Recorded(Err(RecordFailure { class: FailureClass::Transient, message: String::new() }))
    }

    #[test]
    fn a_hint_while_the_source_is_looked_at_is_followed_after_that() {
        let mut state = running(at(0));
        state.handle(Event::Recorded(Ok(())), at(0));
        assert_eq!(state.effects(at(66)), [Effect::Probe]);
        state.handle(Event::SourceHinted, at(67));
        assert_eq!(state.effects(at(67)), [], "one look at a time");
        state.handle(Event::Probed(Ok(false)), at(68));
        assert_eq!(state.effects(at(68)), [Effect::Probe]);
        state.handle(Event::Probed(Ok(false)), at(69));
        assert_eq!(state.effects(at(69)), []);
    }

    #[test]
    fn who_does_not_lead_does_not_count_failures_of_the_status_branch() {
        for events in [[lost(), Event::Leader(false)], [Event::Leader(false), lost()]] {
            let mut state = running(at(0));
            for event in events {
                state.handle(event, at(1));
            }
            assert_eq!(state.record_failures(), 0);
            assert!(!state.effects(at(600)).contains(&Effect::Record));
            state.handle(Event::Leader(true), at(700));
            assert!(state.effects(at(710)).contains(&Effect::Record));
        }
    }
}
