//! Mistakes that a shell could make, planted one at a time: each must be found, or the simulation looks at the wrong things.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Create without proof that the name is free, and by force.
    SkipsGet,
    /// Apply without the UID that the plan saw.
    ForgetsUid,
    /// Delete without the delay.
    IgnoresDelay,
    /// Take a push without an answer for done.
    TrustsUnclearPush,
    /// Push whatever is on the branch.
    ForcesPush,
    /// Put the own commit in the place of those that others pushed.
    DropsForeignCommits,
    /// Report steps as done before their answer.
    RecordsBeforeApply,
    /// Take a kind that cannot be listed for empty.
    TakesUnlistedForEmpty,
    /// Go on writing when the right to write has ended.
    WritesWithoutRight,
    /// Take a rejected push for done.
    LosesBatch,
    /// Delete without writing down that it does.
    ForgetsDeletes,
    /// Begin the branch anew without keeping its history.
    DropsHistory,
    /// Put another history in the place of one that is kept.
    OverwritesArchive,
}

impl Bug {
    pub(crate) const ALL: [Bug; 13] = [
        Bug::SkipsGet,
        Bug::ForgetsUid,
        Bug::IgnoresDelay,
        Bug::TrustsUnclearPush,
        Bug::ForcesPush,
        Bug::DropsForeignCommits,
        Bug::RecordsBeforeApply,
        Bug::TakesUnlistedForEmpty,
        Bug::WritesWithoutRight,
        Bug::LosesBatch,
        Bug::ForgetsDeletes,
        Bug::DropsHistory,
        Bug::OverwritesArchive,
    ];
}
