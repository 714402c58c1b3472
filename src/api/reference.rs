//! References to other objects.

wire! {
    /// An object of a known kind; without namespace in that of the referrer.
    ObjectReference {
        name: String,
        namespace: String,
    }

    /// An object of any kind.
    TypedObjectReference {
        api_group: String,
        kind: String,
        namespace: String,
        name: String,
    }

    /// An object of any kind in the same namespace.
    TypedLocalObjectReference {
        api_group: String,
        kind: String,
        name: String,
    }
}
