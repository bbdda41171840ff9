//! x
use super::*;
/// x
#[derive(Debug)]
pub struct PodmanEngine;
impl PodmanEngine {
    /// x
    pub fn new(_o: Order) -> Result<Self, Failure> {
        Err(Failure::permanent("not yet"))
    }
}
/// x
pub async fn runs(_o: &EngineOptions) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    Err(Failure::permanent("not yet"))
}
/// x
pub async fn remove_run(_o: &EngineOptions, _r: &str) -> Result<(), Failure> {
    Err(Failure::permanent("not yet"))
}
impl Engine for PodmanEngine {
    fn name(&self) -> &'static str {
        "podman"
    }
    async fn survey(&mut self) -> Result<Survey, Failure> {
        Err(Failure::permanent("not yet"))
    }
    async fn begin(&mut self, _e: Events, _a: bool) -> Result<Applied, Failure> {
        Err(Failure::permanent("not yet"))
    }
    async fn scale(&mut self, _i: u32) -> Result<(), Failure> {
        Err(Failure::permanent("not yet"))
    }
    async fn remove(&mut self) -> Result<(), Failure> {
        Err(Failure::permanent("not yet"))
    }
    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        Err(Failure::permanent("not yet"))
    }
}
