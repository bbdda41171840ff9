//! Factory: the engine that a plan names, as one type.

use super::kubernetes::KubernetesEngine;
use super::local::LocalEngine;
use super::podman::PodmanEngine;
use super::simulated::SimulatedEngine;
use super::{Applied, Engine, EngineSpec, Events, Failure, GroupId};
use ramp_format::plan::EngineKind;
use ramp_format::preflight::Preflight;

/// An engine of any kind. ([`Engine`] has async functions, so that it cannot be a trait object.)
#[allow(missing_debug_implementations, reason = "clients of servers have none")]
pub enum AnyEngine {
    /// [`EngineKind::Local`]
    Local(Box<LocalEngine>),
    /// [`EngineKind::Podman`]
    Podman(Box<PodmanEngine>),
    /// [`EngineKind::Kubernetes`]
    Kubernetes(Box<KubernetesEngine>),
    /// [`EngineKind::Simulated`]
    Simulated(Box<SimulatedEngine>),
}

impl AnyEngine {
    /// Builds the engine of this kind. Asks no server anything.
    ///
    /// # Errors
    /// Those of the engine's own constructor.
    pub async fn new(kind: EngineKind, spec: EngineSpec) -> Result<Self, Failure> {
        Ok(match kind {
            EngineKind::Local => Self::Local(Box::new(LocalEngine::new(spec)?)),
            EngineKind::Podman => Self::Podman(Box::new(PodmanEngine::new(spec)?)),
            EngineKind::Kubernetes => Self::Kubernetes(Box::new(KubernetesEngine::new(spec).await?)),
            EngineKind::Simulated => Self::Simulated(Box::new(SimulatedEngine::new(spec)?)),
        })
    }
}

/// Calls the engine, of whatever kind.
macro_rules! delegate {
    ($any:expr, $engine:ident => $result:expr) => {
        match $any {
            AnyEngine::Local($engine) => $result,
            AnyEngine::Podman($engine) => $result,
            AnyEngine::Kubernetes($engine) => $result,
            AnyEngine::Simulated($engine) => $result,
        }
    };
}

impl Engine for AnyEngine {
    fn name(&self) -> &'static str {
        delegate!(self, engine => engine.name())
    }

    fn place(&self) -> String {
        delegate!(self, engine => engine.place())
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        delegate!(self, engine => engine.preflight().await)
    }

    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure> {
        delegate!(self, engine => engine.begin(events, adopt).await)
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        delegate!(self, engine => engine.scale(group, instances).await)
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        delegate!(self, engine => engine.remove().await)
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        delegate!(self, engine => engine.left().await)
    }
}
