//! Sidecars: containers in the pods of a run beside the load's own, as `events.csv` has them.

/// The reason of the event.
pub const SIDECAR: &str = "Sidecar";

/// The object of the event begins with it; the container's name follows.
const OBJECT: &str = "container/";

/// The message begins with it; the image and `)` follow. Those of the node probe's pods begin otherwise.
const IN_THE_PODS: &str = "pods of the run have a further container (image ";

/// A container beside the load's own. What it uses is in every figure per instance, and cannot be told apart: neither the load nor the
/// node probe sees the cgroups of other containers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sidecar {
    /// Its name.
    pub container: String,
    /// Its image.
    pub image: String,
}

impl Sidecar {
    /// The object of its event.
    #[must_use]
    pub fn object(container: &str) -> String {
        format!("{OBJECT}{container}")
    }

    /// The message of its event.
    #[must_use]
    pub fn message(&self) -> String {
        format!(
            "{IN_THE_PODS}{}): its memory and CPU time are included in each figure per instance and not told apart, and whether it \
             is ready does not count",
            self.image
        )
    }

    /// The one that an event tells of, if it does.
    #[must_use]
    pub fn of(object: &str, reason: &str, message: &str) -> Option<Self> {
        let container = object.strip_prefix(OBJECT).filter(|_| reason == SIDECAR)?;
        let (image, _) = message.strip_prefix(IN_THE_PODS)?.split_once("):")?;
        Some(Self { container: container.to_owned(), image: image.to_owned() })
    }
}

impl std::fmt::Display for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (image {})", self.container, self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_sidecar_of_the_probe_is_none_of_the_run() {
        let proxy = Sidecar { container: "istio-proxy".into(), image: "docker.io/istio/proxyv2:1.24".into() };
        let object = Sidecar::object(&proxy.container);
        assert_eq!(Sidecar::of(&object, SIDECAR, &proxy.message()), Some(proxy.clone()));
        let before = "pods of the run have a further container (image docker.io/istio/proxyv2:1.24): what it uses counts as overhead";
        assert_eq!(Sidecar::of(&object, SIDECAR, before), Some(proxy.clone()), "of an earlier version");
        let probe = proxy.message().replace("the run", "the node probe");
        assert_eq!(Sidecar::of(&object, SIDECAR, &probe), None);
        assert_eq!(Sidecar::of(&object, "Waiting", &proxy.message()), None);
    }
}
