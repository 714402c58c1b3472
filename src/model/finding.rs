//! Codes of everything that a plan or a step of a Job can say: closed lists, documented in `docs/reference/codes.md`.

/// Declares an enum of codes with its documentation, so that the reference is generated from the same words.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($code:ident => $meaning:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum $name { $(#[doc = $meaning] $code,)+ }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$code,)+];
            pub fn as_str(self) -> &'static str {
                match self { $($name::$code => stringify!($code),)+ }
            }
            /// One sentence for the reference.
            pub fn meaning(self) -> &'static str {
                match self { $($name::$code => $meaning,)+ }
            }
        }
    };
}

codes! {
    /// Why a step is in a plan.
    ReasonCode {
        TargetAnnotated => "a target asks for a blueprint by annotation",
        InGit => "a document in Git says so",
        Adopted => "an object that somebody else made is taken over",
        Drift => "somebody changed a field that Holdfast owns, and it is set back",
        CauseMissing => "the cause of the object is gone; the delay before its removal starts",
        CauseBack => "the cause of the object is back before the delay ended",
        AnnotationRemoved => "the target no longer names the blueprint",
        TargetGone => "the target no longer exists",
        BlueprintGone => "the blueprint is no longer in Git or in the cluster",
        DocumentGone => "the document is no longer in Git",
    }
}

codes! {
    /// Why something that was asked for is not in the plan.
    RefusalCode {
        AddressInUse => "the repository address equals or nests in that of another identity",
        BackendMoved => "the change would point a Repository at another place and orphan its snapshots",
        BadAnnotation => "an annotation of the target has a value that cannot be used",
        BadVariable => "a variable of the target has a value or a use that is not allowed",
        BlueprintHeld => "the blueprint is held back by an error, so no new target can use it",
        BlueprintInBothPlaces => "the same blueprint name is in Git and in the cluster",
        BlueprintMissing => "no blueprint of that name is in Git or in the cluster",
        BlueprintRenamed => "the target moved to another blueprint, which would orphan its snapshots",
        DeniedByPolicy => "a policy forbids it",
        DriftContested => "another manager keeps changing what Holdfast sets",
        ForeignObject => "an object of that name exists and was not made by Holdfast",
        IncompleteAnnotations => "a workload must name its paths and its volume mounts",
        InvalidResult => "the resolved object does not fit the schema",
        KindNotServed => "the cluster does not serve the kind",
        NamespaceMissing => "the namespace does not exist or is being deleted",
        NamespaceMoved => "the blueprint would move objects that exist to another namespace",
        NeedsReview => "a policy lets it through only after a review, which this version cannot take yet",
        NoSchedule => "neither the blueprint nor the target gives a schedule",
        RetentionWeakened => "the change would keep fewer snapshots than now",
        TargetTaken => "another BackupConfiguration already backs the target up",
        TooManyDeletes => "more deletes than are safe without a person's word",
        UnresolvedVariable => "a variable of the blueprint has no value for this target",
    }
}

codes! {
    /// Why a document from Git is held back.
    HeldCode {
        Alias => "aliases, anchors and merge keys are not accepted",
        BadName => "a name is not one that Kubernetes accepts",
        BadPolicy => "a policy cannot be used; while it is held, no restore starts and nothing is deleted",
        BadSchedule => "a schedule is not a cron expression",
        BadTemplate => "a variable expression is malformed",
        DuplicateKey => "a key occurs twice in a mapping",
        DuplicateObject => "the same object is described twice",
        Encoding => "the file is not UTF-8 text",
        Limit => "the file or document is over a limit",
        MissingName => "a document has no metadata.name",
        NamespaceNotAllowed => "a cluster-scoped kind has a namespace",
        NamespaceRequired => "a namespaced kind has no namespace",
        Schema => "a field does not fit the schema of its kind",
        Syntax => "the file is not YAML",
        UnknownKind => "a kind or version of our groups that does not exist",
    }
}

codes! {
    /// What is worth a person's look but stops nothing.
    WarningCode {
        FieldNotSent => "a field of the document is not for users to set and is not sent",
        IgnoredPath => "a path in the source is not read",
        NotEnforcedYet => "a document of a kind that this version reads but does not act on",
        PolicyWarning => "a policy advises against it",
        RepositoryUnused => "no configuration uses the Repository any more; its data stays",
        UnknownField => "the schema lacks the field, so it is not sent",
    }
}

codes! {
    /// What is wrong with the protection of something that a policy wants protected.
    CoverageCode {
        OverRpo => "the last success is longer ago than the policy allows, or not known",
        TooFewCopies => "fewer repositories at different places than the policy wants",
        Unprotected => "no backup, or one that is paused or about to be removed",
    }
}

codes! {
    /// What `holdfast check` finds beside held documents, refusals, warnings and gaps in coverage.
    CheckCode {
        CaseFailed => "a policy does not say of a case what the case expects",
    }
}

codes! {
    /// Why a step of a Job failed.
    #[derive(serde::Deserialize)]
    #[serde(from = "String")]
    StepReason {
        AddonFailed => "an addon says that it failed",
        AmbiguousSnapshot => "several snapshots may be meant, and which is for a person to say",
        BackupIncomplete => "a snapshot was made, and what could not be read is not in it",
        Cancelled => "the pod was told to end",
        Internal => "a mistake in the program",
        InvalidInput => "what the step was told cannot be done by anybody",
        LockLost => "the lock could not be kept, so nothing more was written",
        NoOutput => "an addon has left no result that can be read",
        NoSource => "a path that is to be backed up cannot be read",
        NothingStored => "the repository has no snapshot of this session and host",
        PlaceTaken => "something that is no repository lies where one is to be made",
        RepositoryDamaged => "something in the repository is lost or not as it was written",
        RepositoryLocked => "somebody else holds a lock on the repository",
        RepositoryMissing => "there is no repository at the address",
        RestoreFailed => "the place that is restored to cannot be written",
        RestoreIncomplete => "not everything in the snapshot could be restored",
        SnapshotNotFound => "no snapshot is as asked for",
        StorageIncomplete => "the storage Secret lacks something, or holds what cannot be used",
        StoreDenied => "the store denies access",
        StoreFailed => "the store gives an answer that makes no sense",
        StoreFull => "the store has no space left",
        StoreUnavailable => "the store does not answer",
        TargetNotEmpty => "the place that is restored to holds something, and nobody said what becomes of it",
        TooLittleMemory => "the repository needs more memory than the container may take",
        Unknown => "a reason that this version does not know",
        WrongPassword => "the password opens none of the keys",
    }
}

/// Another version may have reasons of its own.
impl From<String> for StepReason {
    fn from(word: String) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word).unwrap_or(Self::Unknown)
    }
}

impl StepReason {
    /// Whether the same step may succeed later though nobody changes anything.
    pub fn is_passing(self) -> bool {
        match self {
            Self::Cancelled | Self::LockLost | Self::RepositoryLocked | Self::StoreUnavailable => true,
            Self::AddonFailed
            | Self::AmbiguousSnapshot
            | Self::BackupIncomplete
            | Self::Internal
            | Self::InvalidInput
            | Self::NoOutput
            | Self::NoSource
            | Self::NothingStored
            | Self::PlaceTaken
            | Self::RepositoryDamaged
            | Self::RepositoryMissing
            | Self::RestoreFailed
            | Self::RestoreIncomplete
            | Self::SnapshotNotFound
            | Self::StorageIncomplete
            | Self::StoreDenied
            | Self::StoreFailed
            | Self::StoreFull
            | Self::TargetNotEmpty
            | Self::TooLittleMemory
            | Self::Unknown
            | Self::WrongPassword => false,
        }
    }
}
