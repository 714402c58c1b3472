//! What a report is made from, with fixed answers to what a plan does not say.

use holdfast::model::applied::Applied;
use holdfast::model::facts::Facts;
use holdfast::model::observed::Observed;
use holdfast::model::plan::Plan;
use holdfast::model::withheld::Withheld;
use holdfast::report::{History, Input, Runs};
use jiff::Timestamp;

static NOTHING_TRIED: std::sync::LazyLock<Applied> = std::sync::LazyLock::new(Applied::default);
static NOTHING_WITHHELD: std::sync::LazyLock<Withheld> = std::sync::LazyLock::new(Withheld::default);

static NO_FACTS: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(Facts::default);
static NO_RUNS: std::sync::LazyLock<Runs> = std::sync::LazyLock::new(Runs::default);

static HISTORY: std::sync::LazyLock<History> = std::sync::LazyLock::new(|| History::begin(None, Timestamp::UNIX_EPOCH));

pub(crate) fn input<'a>(plan: &'a Plan, observed: &'a Observed) -> Input<'a> {
    Input {
        cluster_name: "lab",
        cluster_uid: "uid",
        writer: "test",
        source_url: "https://git.example.com/acme/platform",
        source_reference: "main",
        source_paths: &[],
        time_zone: "Etc/UTC",
        plan,
        applied: &NOTHING_TRIED,
        withheld: &NOTHING_WITHHELD,
        observed,
        facts: &NO_FACTS,
        runs: &NO_RUNS,
        history: &HISTORY,
        unrotated: None,
        now: plan.now,
    }
}
