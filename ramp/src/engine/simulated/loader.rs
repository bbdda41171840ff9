//! Loader of worlds: a YAML file, read and checked.

use std::path::Path;

use super::validation::check;
use super::world::World;
use ramp_format::text::yaml_error;

impl World {
    /// Reads a world from a file.
    ///
    /// # Errors
    /// Where it cannot be read, is not YAML, or describes an impossible world: the file, and what was expected.
    pub fn read(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{at}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{at}: {error}"))
    }

    /// Parses the text of a world.
    ///
    /// # Errors
    /// Those of [`Self::read`], without the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        // An empty file is the default world.
        let world: Option<Self> = serde_saphyr::from_str(text).map_err(|error| yaml_error(&error))?;
        let world = world.unwrap_or_default();
        check(&world)?;
        Ok(world)
    }
}

#[cfg(test)]
mod tests {
    use workload::quantity::Bytes;

    use super::super::quantities::SignedQuantity;
    use super::*;

    #[test]
    fn what_a_world_does_not_say_is_usual_and_it_reads_as_it_is_written() {
        assert_eq!(World::parse("").unwrap(), World::default());
        let world = World::parse(
            "seed: 7\nnodes: [{name: big, count: 1, memory: 64Gi}]\nload: {memory: 100M, growth_rate: instant}\n\
             machine: {drift: -20k, late: 300ms}\nphases: {create: 2s, stop: {median: 1s, spread: 0.5}}\n\
             events: [{what: kill, at: 20s}]",
        )
        .unwrap();
        let drift = SignedQuantity { is_negative: true, size: Bytes(20_000) };
        assert_eq!((world.machine.drift, world.phases.create.spread), (drift, 0.0));
        let text = serde_json::to_string(&world).unwrap();
        assert_eq!(serde_json::from_str::<World>(&text).unwrap(), world, "{text}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let refused = |text: &str| World::parse(text).unwrap_err();
        assert!(refused("noodles: 3").contains("noodles"));
        assert!(refused("nodes: []").starts_with("nodes: "));
        assert!(refused("machine: {lost: 2}").starts_with("machine.lost: 2"));
        assert!(refused("events: [{what: kill}]").starts_with("events[0]: neither at"));
        assert!(refused("events: [{what: scale, at: 3s}]").contains("without to"));
        let error = refused("events: [{what: drain, at: 3s, node: c}]");
        assert!(error.contains("\"c\" (there are node-0, node-1)"), "{error}");
        assert!(refused("load: {memory: 5 apples}").contains("apples"));
        for (text, at) in [
            ("begin: 9999-12-31T23:59:59Z", "begin: "),
            ("nodes: [{count: 4000000000}]", "nodes: 4000000000 of them"),
            ("nodes: [{count: 2}, {count: 2}]", "nodes[1].name: "),
            ("nodes: [{memory: 1Gi, idle: 2Gi}]", "nodes[0]: memory 1"),
            ("nodes: [{cores: .nan}]", "nodes[0].cores: NaN"),
            ("nodes: [{name: a, kernel: k, memory: 8Gi}, {name: b, kernel: k}]", "nodes[1]: kernel \"k\""),
            ("machine: {sample_every: 1ns}", "machine.sample_every: 1ns"),
            ("machine: {others: [{memory: 1G, every: 1s, lasts: 1h}]}", "machine.others[0]: 3600 at once"),
            ("machine: {drift: 1E}", "machine.drift: "),
            ("phases: {create: {median: 1s, spread: -1}}", "phases.create: spread: -1"),
            ("events: [{what: scale, at: 11s, to: 4000000000}]", "events[0]: to: 4000000000"),
            ("events: [{what: kill, at: 11s, count: 0}]", "events[0]: count: 0"),
            ("events: [{what: preempt, at: 11s, lasts: 3s}]", "events[0]: lasts is given"),
            (
                "events: [{what: recorder-suspended, at: 11s, lasts: 100d}]",
                "events[0]: recorder-suspended lasts 3months 8days 16h 19m 12s (expected at most 1day)",
            ),
        ] {
            assert!(refused(text).starts_with(at), "{text}: {}", refused(text));
        }
        assert!(refused("phases: {create: 5}").contains("expected a time, such as 1s"));
    }
}
