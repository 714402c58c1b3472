//! Retention said once more, one snapshot at a time and from the text of its time; slow and short.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::repository::retention::{Decision, Group, Hold};
use holdfast::repository::{FileId, INCOMPLETE, Snapshot};

/// A rule that counts: restic's word for what it keeps, and the time as text that is the same for those that count once;
/// the first counts all.
pub(crate) const COUNTED: [(&str, &str); 6] = [
    ("last snapshot", ""),
    ("hourly snapshot", "%F %H"),
    ("daily snapshot", "%F"),
    ("weekly snapshot", "%G week %V"),
    ("monthly snapshot", "%Y-%m"),
    ("yearly snapshot", "%Y"),
];

/// Rules as they are written down.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// In the order of [`COUNTED`].
    pub(crate) counts: [i64; 6],
    pub(crate) tags: Vec<String>,
}

impl Rules {
    fn none(&self) -> bool {
        self.tags.is_empty() && self.counts.iter().all(|count| *count <= 0)
    }

    /// What the rules say that count nothing.
    fn uncounted(&self, snapshot: &Snapshot) -> Vec<String> {
        if self.none() {
            return vec!["policy is empty".to_owned()];
        }
        let has = |tags: &&String| tags.split(',').all(|tag| snapshot.tags.iter().any(|other| other == tag.trim()));
        let words =
            |tags: &String| format!("has tags [{}]", tags.split(',').map(str::trim).collect::<Vec<_>>().join(", "));
        self.tags.iter().filter(has).map(words).collect()
    }

    /// Reasons to keep the snapshot at this place of a group, newest first.
    fn matched(&self, group: &[&Snapshot], at: usize) -> Vec<String> {
        let mut reasons = self.uncounted(group[at]);
        for ((reason, format), count) in COUNTED.iter().zip(self.counts) {
            let text = |at: usize| group[at].time.strftime(format).to_string();
            let counts = |at: usize| at == 0 || format.is_empty() || text(at) != text(at - 1);
            let before = (0..at).filter(|at| counts(*at)).count();
            if counts(at) && i64::try_from(before).expect("few") < count {
                reasons.push((*reason).to_owned());
            }
        }
        reasons
    }
}

/// Newest first, and at one moment by name.
fn in_order<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Vec<&'a Snapshot> {
    let mut snapshots: Vec<_> = snapshots.collect();
    snapshots.sort_by(|one, other| other.time.cmp(&one.time).then(one.id.cmp(&other.id)));
    snapshots
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort();
    words
}

fn verdict(reasons: &[String]) -> String {
    if reasons.is_empty() { "remove".to_owned() } else { format!("keep: {}", reasons.join("; ")) }
}

fn is_complete(snapshot: &Snapshot) -> bool {
    !snapshot.tags.iter().any(|tag| tag == INCOMPLETE)
}

/// What `restic forget` says of one snapshot, if incomplete ones count for nothing.
pub(crate) fn forget(all: &[Snapshot], this: &Snapshot, rules: &Rules, group_by: &str) -> String {
    let of = |word: &str| group_by.contains(word);
    let same = |other: &&Snapshot| {
        (!of("host") || other.host == this.host)
            && (!of("path") || sorted(&other.paths) == sorted(&this.paths))
            && (!of("tag") || sorted(&other.tags) == sorted(&this.tags))
    };
    let complete = in_order(all.iter().filter(same).filter(|other| is_complete(other)));
    match complete.iter().position(|other| other.id == this.id) {
        Some(at) => verdict(&rules.matched(&complete, at)),
        None => incomplete_verdict(&complete, this, rules),
    }
}

fn incomplete_verdict(complete: &[&Snapshot], this: &Snapshot, rules: &Rules) -> String {
    let reasons = rules.uncounted(this);
    let outdone = complete.iter().any(|other| other.time > this.time);
    if reasons.is_empty() && !outdone { "hold: incomplete".to_owned() } else { verdict(&reasons) }
}

/// What holds for the snapshots of one target.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) all: &'a [Snapshot],
    pub(crate) rules: &'a Rules,
    pub(crate) target: &'a str,
    pub(crate) only_one_invoker: bool,
    pub(crate) acknowledged: &'a BTreeSet<FileId>,
}

impl World<'_> {
    fn is_ours(&self, snapshot: &Snapshot) -> bool {
        let targets: BTreeSet<_> = snapshot.tags.iter().filter(|tag| tag.starts_with("holdfast-target=")).collect();
        if targets.is_empty() { self.only_one_invoker } else { targets.iter().all(|tag| *tag == self.target) }
    }

    /// The complete ones beside this one, newest first.
    fn complete(&self, this: &Snapshot) -> Vec<&Snapshot> {
        in_order(self.all.iter().filter(|other| {
            self.is_ours(other)
                && other.host == this.host
                && sorted(&other.paths) == sorted(&this.paths)
                && is_complete(other)
        }))
    }

    /// Whether these two, at places of a group, are neighbours between which the data fell.
    fn fell(&self, complete: &[&Snapshot], before: usize, after: usize) -> bool {
        let known = |at: usize| complete[at].bytes.is_some();
        after < before
            && !(after + 1..before).any(known)
            && !self.acknowledged.contains(&complete[after].id)
            && much_less(complete[before].bytes, complete[after].bytes)
    }

    fn complete_verdict(&self, complete: &[&Snapshot], at: usize) -> String {
        let reasons = self.rules.matched(complete, at);
        let others = || 0..complete.len();
        let stays = |at: usize| self.complete_verdict(complete, at) != "remove";
        if !reasons.is_empty() {
            verdict(&reasons)
        } else if others().any(|after| self.fell(complete, at, after)) {
            "hold: before a drop".to_owned()
        } else if others().any(|before| self.fell(complete, before, at)) {
            "hold: after a drop".to_owned()
        } else if at == 0 {
            "hold: newest".to_owned()
        } else if self.acknowledged.contains(&complete[at].id)
            && (at + 1..complete.len())
                .any(|before| much_less(complete[before].bytes, complete[at].bytes) && stays(before))
        {
            "hold: acknowledged".to_owned()
        } else {
            "remove".to_owned()
        }
    }

    pub(crate) fn verdict(&self, this: &Snapshot) -> String {
        if !self.is_ours(this) {
            let others = this.tags.iter().any(|tag| tag.starts_with("holdfast-target="));
            return format!("hold: {}", if others { "of another target" } else { "untagged" });
        }
        let complete = self.complete(this);
        match complete.iter().position(|other| other.id == this.id) {
            Some(at) => self.complete_verdict(&complete, at),
            None => incomplete_verdict(&complete, this, self.rules),
        }
    }
}

fn much_less(before: Option<u64>, after: Option<u64>) -> bool {
    before.zip(after).is_some_and(|(before, after)| u128::from(after) * 100 < u128::from(before) * 20)
}

/// The verdicts of the product, in the words of the model.
pub(crate) fn verdicts(groups: &[Group]) -> BTreeMap<FileId, String> {
    let said = groups.iter().flat_map(|group| &group.decided).map(|decided| {
        let verdict = match &decided.decision {
            Decision::Keep(rules) => verdict(&rules.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Decision::Remove => "remove".to_owned(),
            Decision::Hold(hold) => format!("hold: {}", held(hold)),
        };
        (decided.snapshot, verdict)
    });
    said.collect()
}

fn held(hold: &Hold) -> &'static str {
    match hold {
        Hold::OtherTarget(_) => "of another target",
        Hold::Untagged => "untagged",
        Hold::Incomplete => "incomplete",
        Hold::Newest => "newest",
        Hold::BeforeDrop(_) => "before a drop",
        Hold::AfterDrop(_) => "after a drop",
        Hold::Acknowledged => "acknowledged",
    }
}
