//! The rules of `restic forget`: so many of the newest snapshots of each kind, and all with certain tags.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use crate::api::retention::RetentionPolicy;
use crate::repository::snapshot::Snapshot;

/// What is counted, in restic's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Counted {
    pub const ALL: [Counted; 6] =
        [Counted::Last, Counted::Hourly, Counted::Daily, Counted::Weekly, Counted::Monthly, Counted::Yearly];
}

/// Tags that one snapshot must have all of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagList(Vec<String>);

impl TagList {
    /// As restic takes it after `--keep-tag`: separated by commas.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(|tag| tag.trim().to_owned()).collect())
    }

    /// An empty tag stands for a snapshot without tags, which fulfils the list from there on.
    fn is_on(&self, snapshot: &Snapshot) -> bool {
        for tag in &self.0 {
            if tag.is_empty() && snapshot.tags.is_empty() {
                return true;
            }
            if !snapshot.tags.contains(tag) {
                return false;
            }
        }
        true
    }
}

/// Why a snapshot is kept, in restic's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    NoRules,
    Tags(TagList),
    Counted(Counted),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::NoRules => "policy is empty",
            Rule::Tags(tags) => return write!(f, "has tags [{}]", tags.0.join(", ")),
            Rule::Counted(Counted::Last) => "last snapshot",
            Rule::Counted(Counted::Hourly) => "hourly snapshot",
            Rule::Counted(Counted::Daily) => "daily snapshot",
            Rule::Counted(Counted::Weekly) => "weekly snapshot",
            Rule::Counted(Counted::Monthly) => "monthly snapshot",
            Rule::Counted(Counted::Yearly) => "yearly snapshot",
        })
    }
}

/// All rules together; a snapshot that one of them keeps is kept. Without any rule everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    counts: BTreeMap<Counted, NonZeroU64>,
    tags: Vec<TagList>,
}

impl Keep {
    /// Only what is above zero counts. restic 0.14 takes -1 for a rule that keeps nothing, and then removes everything.
    pub fn new(counts: impl IntoIterator<Item = (Counted, i64)>, tags: impl IntoIterator<Item = TagList>) -> Self {
        let positive = |(counted, count)| Some((counted, NonZeroU64::new(u64::try_from(count).ok()?)?));
        Self { counts: counts.into_iter().filter_map(positive).collect(), tags: tags.into_iter().collect() }
    }

    pub fn is_empty(&self) -> bool {
        let Self { counts, tags } = self;
        counts.is_empty() && tags.is_empty()
    }

    /// Rules that look at one snapshot alone.
    pub(super) fn uncounted(&self, snapshot: &Snapshot) -> Vec<Rule> {
        if self.is_empty() {
            return vec![Rule::NoRules];
        }
        self.tags.iter().filter(|tags| tags.is_on(snapshot)).cloned().map(Rule::Tags).collect()
    }

    /// Which rules keep each snapshot of one group.
    ///
    /// As restic 0.14 does it. restic 0.16 and later also keep the oldest of the group for a rule that is not used up; whoever
    /// works with both on one repository sees 0.14 remove that one.
    pub(super) fn matched(&self, newest_first: &[&Snapshot]) -> Vec<Vec<Rule>> {
        let mut matched: Vec<_> = newest_first.iter().map(|snapshot| self.uncounted(snapshot)).collect();
        for (counted, count) in &self.counts {
            let mut left = count.get();
            let mut previous = None;
            for (snapshot, rules) in newest_first.iter().zip(&mut matched) {
                let bucket = counted.bucket(snapshot);
                // With the neighbour only: of machines with different offsets a day can come back, and is another one then.
                if left > 0 && (previous != bucket || bucket.is_none()) {
                    rules.push(Rule::Counted(*counted));
                    left -= 1;
                    previous = bucket;
                }
            }
        }
        matched
    }
}

impl From<&RetentionPolicy> for Keep {
    fn from(policy: &RetentionPolicy) -> Self {
        let count = |counted| match counted {
            Counted::Last => &policy.keep_last,
            Counted::Hourly => &policy.keep_hourly,
            Counted::Daily => &policy.keep_daily,
            Counted::Weekly => &policy.keep_weekly,
            Counted::Monthly => &policy.keep_monthly,
            Counted::Yearly => &policy.keep_yearly,
        };
        let counts = Counted::ALL.map(|counted| (counted, count(counted).get().copied().unwrap_or_default()));
        let tags = policy.keep_tags.get().into_iter().flatten();
        Self::new(counts, tags.map(|tags| TagList::parse(tags)))
    }
}

/// An hour, a day, a week, ...: neighbours in the same one count once.
type Bucket = [i16; 4];

impl Counted {
    /// By the clock of the machine that was backed up; `None` if each snapshot counts.
    fn bucket(self, snapshot: &Snapshot) -> Option<Bucket> {
        let time = &snapshot.time;
        let (year, month, day) = (time.year(), i16::from(time.month()), i16::from(time.day()));
        match self {
            Counted::Last => None,
            Counted::Hourly => Some([year, month, day, i16::from(time.hour())]),
            Counted::Daily => Some([year, month, day, 0]),
            Counted::Weekly => {
                let week = time.date().iso_week_date();
                Some([week.year(), i16::from(week.week()), 0, 0])
            }
            Counted::Monthly => Some([year, month, 0, 0]),
            Counted::Yearly => Some([year, 0, 0, 0]),
        }
    }
}
