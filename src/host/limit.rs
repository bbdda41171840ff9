//! Limit: a value, its absence (unlimited), or unknown.

/// A limit: its absence and its being unknown are two different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// It cannot be read, or the kernel has no such limit.
    Unknown,
    /// There is none.
    Unlimited,
    /// This much.
    Value(T),
}

impl<T> Limit<T> {
    /// Converts the value; a limit that cannot be converted is unknown.
    #[must_use]
    pub fn and_then<U>(self, convert: impl FnOnce(T) -> Option<U>) -> Limit<U> {
        match self {
            Self::Unknown => Limit::Unknown,
            Self::Unlimited => Limit::Unlimited,
            Self::Value(value) => convert(value).map_or(Limit::Unknown, Limit::Value),
        }
    }

    /// The limit, if there is one that is known.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown | Self::Unlimited => None,
        }
    }
}
