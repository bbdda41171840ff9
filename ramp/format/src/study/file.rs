//! Study file: what `study.yaml` says. Its JSON schema is made from these types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use workload::quantity::{Bytes, Cores, CpuTarget, MemoryTarget};

use super::tolerance::Tolerance;
use crate::plan::{EngineKind, Pace, SearchSettings};
use crate::stop_rule::StopRule;
use crate::text::{scalar, yaml_error};
use crate::time::parse_time;

/// More than any study of months has; what is computed for each block stays small.
const MOST_BLOCKS: u32 = 1000;

/// No stop rule.
const NEVER: &str = "never";

/// A study: repeated runs of the same scenarios under several runtimes and sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "study of ramp")]
pub struct StudyFile {
    /// Name of the study, in its report. By default that of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What runs the instances. By default kubernetes where a scenario has a manifest, else local.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EngineName>")]
    pub engine: Option<EngineKind>,
    /// What is run. By default the built-in scenario.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<StudyScenario>,
    /// Under which runtimes: a list of names, or `all` RuntimeClasses of the cluster. The first one is the base of the comparisons. By
    /// default that of the scenarios.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Runtimes::is_default")]
    pub runtimes: Runtimes,
    /// Sizes of an instance. By default the one that the scenarios have.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<Size>,
    /// How each run scales up: the options of `ramp run`.
    #[serde(deserialize_with = "or_default")]
    pub ramp: RampSettings,
    /// Whether the runtimes share each run, in alternation, instead of having a run each.
    #[serde(skip_serializing_if = "is_false")]
    pub mix: bool,
    /// How many blocks: a number, or the least and the most where a precision is asked for.
    #[serde(deserialize_with = "or_default")]
    pub blocks: Blocks,
    /// Half of the width of the 95 % interval at which no more blocks are needed, by figure.
    #[serde(skip_serializing_if = "Tolerances::is_empty")]
    pub precision: Tolerances,
    /// The largest difference from the base that is of no consequence, by figure. By default 5 % of the base.
    #[serde(skip_serializing_if = "Tolerances::is_empty")]
    pub margin: Tolerances,
    /// The order of the runs of a block.
    pub order: Order,
    /// Seed of the order. By default drawn, and recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whether each runtime first starts one instance on each node, in a run that is discarded: images, caches and what is loaded once.
    #[serde(default = "yes")]
    pub warmup: bool,
    /// Time for the whole study: no run begins that would probably end later.
    #[serde(with = "duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeText>")]
    pub budget: Option<Duration>,
    /// What must be so before the next run begins.
    #[serde(deserialize_with = "or_default")]
    pub cooldown: Cooldown,
    /// Labels that are stored in each run.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// kubernetes: namespace, in place of the manifests'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// kubernetes: kubeconfig context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// podman: API socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// podman: API sockets by runtime, as a service of Podman runs all containers under one.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub sockets: BTreeMap<String, PathBuf>,
    /// local: memory limit of all instances together.
    #[serde(with = "text_form", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuantityText>")]
    pub memory_budget: Option<Bytes>,
    /// simulated: description of the cluster, relative to this file (docs/worlds.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<PathBuf>,
    /// simulated: what is true under each runtime, in place of what the world says; by its name.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub worlds: BTreeMap<String, Value>,
}

/// A scenario of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudyScenario {
    /// Its name in the report. By default that of its Deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A Deployment manifest, relative to this file. By default the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
}

/// Runtimes of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of runtimes, or: all")]
pub enum Runtimes {
    /// Every RuntimeClass of the cluster, and none.
    All(AllRuntimes),
    /// These. `default` is a pod without a RuntimeClass.
    Named(Vec<String>),
}

/// The word for every RuntimeClass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllRuntimes {
    /// Every RuntimeClass of the cluster, and none.
    All,
}

/// A size of an instance. What it does not say is as the scenario has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Size {
    /// Its name in the report. By default what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Memory that the load takes: `100M`, or a share of the limit such as `80%`.
    #[serde(with = "text_form", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuantityText>")]
    pub memory: Option<MemoryTarget>,
    /// CPU that the load takes, in cores: `0.2`, `200m`.
    #[serde(with = "text_form", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuantityText>")]
    pub cpu: Option<CpuTarget>,
    /// Limits of its container. A request that is larger than its limit becomes the limit.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// Limits of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory.
    #[serde(with = "text_form", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuantityText>")]
    pub memory: Option<Bytes>,
    /// CPU, in cores.
    #[serde(with = "text_form", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QuantityText>")]
    pub cpu: Option<Cores>,
}

/// How each run of a study scales up: the options of `ramp run` of the same names, with the same defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RampSettings {
    /// Instances in the first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// Instances in the last step, unless a stop rule ends the ramp earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub to: Option<u32>,
    /// Instances added by each step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub step: Option<u32>,
    /// When the next step begins: `ready`, `none`, or an interval such as `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pace: Option<Pace>,
    /// Timeout of a step.
    #[serde(with = "duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeText>")]
    pub step_timeout: Option<Duration>,
    /// Idle time before the first step.
    #[serde(with = "duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeText>")]
    pub settle: Option<Duration>,
    /// How long all instances are kept after the last step; with `search`, how long each level is.
    #[serde(with = "duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeText>")]
    pub hold: Option<Duration>,
    /// Stop rules, or `never`.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<StopTexts>")]
    pub stop: Option<Vec<String>>,
    /// Rules that are only recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub note: Vec<StopRule>,
    /// Steps to go on after the first rule of saturation fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond: Option<u32>,
    /// Searches for how many hold, instead of scaling up in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSettings>,
}

/// Blocks of a study: a number, or bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields, expecting = "expected a number of blocks, or: {least: 4, most: 20}")]
pub enum Blocks {
    /// So many.
    Fixed(u32),
    /// As many as the precision needs, within these bounds.
    Bounds {
        /// At least.
        least: u32,
        /// At most.
        most: u32,
    },
}

/// Tolerances by figure. One for all is a plain text, such as `2%`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Tolerances {
    /// The same for all figures.
    All(#[schemars(with = "ToleranceText")] Tolerance),
    /// By the name of the figure, as in docs/report.md.
    ByFigure(#[schemars(with = "BTreeMap<String, ToleranceText>")] BTreeMap<String, Tolerance>),
}

/// The order of the runs of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Drawn anew for each block: a drift of the cluster is part of the intervals.
    #[default]
    Random,
    /// Each block in the reverse order of the one before (A B, B A): a steady drift cancels.
    Balanced,
}

/// What must be so before the next run begins: the last instance is gone, and memory is steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cooldown {
    /// Time that passes in any case.
    #[serde(with = "required_duration_text")]
    #[schemars(with = "TimeText")]
    pub least: Duration,
    /// Time after which the next run begins all the same.
    #[serde(with = "required_duration_text")]
    #[schemars(with = "TimeText")]
    pub most: Duration,
}

impl Default for Runtimes {
    /// That of the scenarios.
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::Fixed(4)
    }
}

impl Default for Tolerances {
    fn default() -> Self {
        Self::ByFigure(BTreeMap::new())
    }
}

impl Default for Cooldown {
    fn default() -> Self {
        Self { least: Duration::ZERO, most: Duration::from_secs(120) }
    }
}

impl Runtimes {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'de> Deserialize<'de> for Tolerances {
    /// Errors are those of the amount that is wrong, with its figure.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = |value: &Value| match scalar(value) {
            Some(text) => text.parse::<Tolerance>(),
            None => Err("expected an amount such as 2% or 5Mi".into()),
        };
        let read = match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::Object(all) => {
                let each = all.iter().map(|(figure, value)| match amount(value) {
                    Ok(amount) => Ok((figure.clone(), amount)),
                    Err(error) => Err(format!("{figure}: {error}")),
                });
                each.collect::<Result<_, _>>().map(Self::ByFigure)
            }
            Value::Array(_) => Err("expected an amount such as 2%, or amounts by figure, such as \
                                    {memory_per_instance: 2%}"
                .into()),
            value => amount(&value).map(Self::All),
        };
        read.map_err(de::Error::custom)
    }
}

impl Tolerances {
    /// Whether there is none for any figure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::ByFigure(all) if all.is_empty())
    }

    /// The amount for a figure.
    #[must_use]
    pub fn of(&self, figure: &str) -> Option<Tolerance> {
        match self {
            Self::All(amount) => Some(*amount),
            Self::ByFigure(all) => all.get(figure).copied(),
        }
    }
}

impl Blocks {
    /// The least and the most.
    #[must_use]
    pub fn bounds(self) -> (u32, u32) {
        match self {
            Self::Fixed(blocks) => (blocks, blocks),
            Self::Bounds { least, most } => (least, most),
        }
    }
}

impl Size {
    /// Its name: given, or what it says.
    #[must_use]
    pub fn label(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let limit = |text: String| format!("limit {text}");
        let parts = [
            self.memory.map(|memory| memory.to_string()),
            self.cpu.map(|cpu| format!("{cpu} CPU")),
            self.limits.memory.map(|memory| limit(memory.to_string())),
            self.limits.cpu.map(|cpu| limit(format!("{cpu} CPU"))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl StudyFile {
    /// Reads a study file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a study; with the line and what is allowed there.
    pub fn read(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let text = crate::run_file::ensure_is_regular(path)
            .and_then(|()| std::fs::read_to_string(path))
            .map_err(|error| format!("{at}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{at}: {error}"))
    }

    /// Parses a study file.
    ///
    /// # Errors
    /// If it is not a study, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let read = |text: &str| serde_saphyr::from_str::<Option<Self>>(text);
        // A file of comments alone is the default study.
        let parsed = read(text).and_then(|study| study.map_or_else(|| read("{}"), |study| Ok(Some(study))));
        let study = parsed.map_err(|error| yaml_error(&error))?.unwrap_or_default();
        study.check()?;
        Ok(study)
    }

    fn check(&self) -> Result<(), String> {
        self.check_blocks()?;
        self.check_names()?;
        self.ramp.check()?;
        if self.cooldown.least > self.cooldown.most {
            return Err("cooldown: least is longer than most".into());
        }
        if self.mix && self.ramp.search.is_some() {
            return Err("mix and ramp.search: a search is of one runtime; remove one of them".into());
        }
        match &self.runtimes {
            Runtimes::Named(names) if self.mix && names.len() < 2 => {
                Err("mix: expected at least two runtimes, such as runtimes: [default, kata]".into())
            }
            _ => Ok(()),
        }
    }

    fn check_blocks(&self) -> Result<(), String> {
        let (least, most) = self.blocks.bounds();
        if least == 0 {
            return Err("blocks: 0; expected at least 1".into());
        }
        if least > most {
            return Err(format!(
                "blocks: least is {least} and most is {most}; expected least to be no more than most"
            ));
        }
        if most > MOST_BLOCKS {
            return Err(format!("blocks: {most}; expected at most {MOST_BLOCKS}"));
        }
        if let Blocks::Bounds { .. } = self.blocks
            && self.precision.is_empty()
            && self.budget.is_none()
        {
            return Err("blocks has bounds, and neither precision nor budget says when it is enough: set one of them, or \
                        a number of blocks"
                .into());
        }
        Ok(())
    }

    /// Names are shown in one line each, and are told apart.
    fn check_names(&self) -> Result<(), String> {
        let runtimes = match &self.runtimes {
            Runtimes::Named(names) => names.as_slice(),
            Runtimes::All(_) => &[],
        };
        let given = [("name", &self.name)]
            .into_iter()
            .chain(self.scenarios.iter().map(|scenario| ("scenarios: name", &scenario.name)))
            .chain(self.sizes.iter().map(|size| ("sizes: name", &size.name)))
            .filter_map(|(key, name)| Some((key, name.as_ref()?)))
            .chain(runtimes.iter().map(|name| ("runtimes", name)));
        for (key, name) in given {
            if name.trim().is_empty() {
                return Err(format!("{key}: {name:?}; expected a name"));
            }
            if name.chars().any(char::is_control) {
                return Err(format!("{key}: {name:?}; expected a name without control characters"));
            }
        }
        if let Some(name) = repeated(runtimes) {
            return Err(format!("runtimes: {name} is there twice"));
        }
        let labels: Vec<String> = self.sizes.iter().map(Size::label).collect();
        if labels.len() > 1 && labels.iter().any(String::is_empty) {
            return Err("sizes: one says nothing; expected memory, cpu, limits or a name".into());
        }
        match repeated(&labels) {
            Some(name) => Err(format!("sizes: {name:?} is there twice; give each a name of its own")),
            None => Ok(()),
        }
    }

    /// The JSON schema of a study file.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl RampSettings {
    /// The bounds of the options of `ramp run`, and what does not go together.
    fn check(&self) -> Result<(), String> {
        for (key, number) in
            [("to", self.to), ("step", self.step), ("search.climbs", self.search.map(|search| search.climbs))]
        {
            if number == Some(0) {
                return Err(format!("ramp.{key}: 0; expected at least 1"));
            }
        }
        if let Some(search) = self.search {
            if let Some(precision) = search.precision {
                SearchSettings::check_precision(precision)
                    .map_err(|expected| format!("ramp.search.precision: {precision}; {expected}"))?;
            }
            for (key, is_given) in [("step", self.step.is_some()), ("beyond", self.beyond.is_some())] {
                if is_given {
                    return Err(format!("ramp.{key} does not apply to ramp.search: remove one of them"));
                }
            }
        }
        let Some(rules) = &self.stop else { return Ok(()) };
        if rules.is_empty() {
            return Err("ramp.stop: an empty list; expected stop rules, or: stop: never".into());
        }
        if *rules == [NEVER] {
            return Ok(());
        }
        if rules.iter().any(|rule| rule == NEVER) {
            return Err("ramp.stop: never contradicts the other rules: remove it, or them".into());
        }
        match rules.iter().find_map(|rule| StopRule::requested(rule).err()) {
            Some(error) => Err(format!("ramp.stop: {error}")),
            None => Ok(()),
        }
    }
}

/// A key without a value, whose lines are commented out, is one that is left out.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One text, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let texts = Option::<StopTexts>::deserialize(deserializer)?;
    Ok(texts.map(|texts| match texts {
        StopTexts::One(text) => vec![text],
        StopTexts::More(texts) => texts,
    }))
}

/// Stop rules as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of stop rules, or: never")]
enum StopTexts {
    /// One, such as `never`.
    One(String),
    /// Several.
    More(Vec<String>),
}

fn repeated(names: &[String]) -> Option<&String> {
    names
        .iter()
        .enumerate()
        .find(|(at, name)| names.iter().take(*at).any(|other| other == *name))
        .map(|(_, name)| name)
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// For the schema: the name of an engine.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
enum EngineName {
    Local,
    Podman,
    Kubernetes,
    Simulated,
}

/// For the schema: a time such as `5s`.
struct TimeText;
/// For the schema: a quantity such as `500M` or `0.2`.
struct QuantityText;
/// For the schema: an amount such as `2%` or `5Mi`.
struct ToleranceText;

macro_rules! text_schema {
    ($($type:ident: $types:tt, $pattern:literal, $example:literal;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": $types, "pattern": $pattern, "examples": [$example]})
            }
        }
    )*};
}

text_schema! {
    TimeText: "string", r"^([0-9]+([.][0-9]+)? *[a-z]+ *)+$", "10s";
    QuantityText: ["string", "number"], r"^([+]?[0-9.]+([eE][+-]?[0-9]+)? *(%|[a-zA-Z]*)|max)$", "500M";
    ToleranceText: ["string", "number"], r"^[0-9.]+ *(%|[a-zA-Z]*)$", "2%";
}

/// Values as text, or as the numbers that YAML takes some of them for.
mod text_form {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(None);
        }
        let text = crate::text::scalar(&value).ok_or_else(|| de::Error::custom("expected a quantity"))?;
        text.parse().map(Some).map_err(|error| de::Error::custom(format!("{text:?}: {error}")))
    }
}

/// Durations as people write them.
mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::required_duration_text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse_time(&text).map_err(de::Error::custom)).transpose()
    }
}

mod required_duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_time(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default_study() {
        let study = StudyFile::parse("# nothing\n").unwrap();
        assert_eq!(study.blocks.bounds(), (4, 4));
        assert!(study.scenarios.is_empty() && study.runtimes.is_default() && study.warmup);
    }

    #[test]
    fn quantities_may_be_written_as_numbers_and_sizes_are_named_for_what_they_say() {
        let study = StudyFile::parse(
            "runtimes: [default, kata]\nsizes:\n- {memory: 100M, cpu: 0.2, limits: {memory: 256Mi, cpu: 500m}}\n- {name: L}\n\
             precision: 2%\nmargin: {startup_median: 0.5}\nblocks: {least: 2, most: 9}\nramp: {pace: 5s, hold: 10s}\nbudget: 1h 30m\n",
        )
        .unwrap();
        assert_eq!(study.sizes[0].label(), "100M, 0.2 CPU, limit 256Mi, limit 0.5 CPU");
        assert_eq!(study.sizes[1].label(), "L");
        assert_eq!(study.precision.of("memory_per_instance"), Some(Tolerance::Share(0.02)));
        assert_eq!(study.margin.of("startup_median"), Some(Tolerance::Absolute(0.5)));
        assert_eq!(study.budget, Some(Duration::from_secs(5400)));
    }

    #[test]
    fn a_study_reads_as_it_is_written() {
        let study = StudyFile {
            engine: Some(EngineKind::Simulated),
            runtimes: Runtimes::All(AllRuntimes::All),
            ramp: RampSettings {
                pace: Some(Pace::Ready),
                search: Some(SearchSettings::default()),
                ..RampSettings::default()
            },
            budget: Some(Duration::from_secs(90)),
            warmup: true,
            ..StudyFile::default()
        };
        let text = serde_json::to_string(&study).unwrap();
        assert_eq!(serde_json::from_str::<StudyFile>(&text).unwrap(), study, "{text}");
    }

    #[test]
    fn what_contradicts_itself_or_is_not_known_is_refused_with_what_is_allowed() {
        let error = |text: &str| StudyFile::parse(text).unwrap_err();
        assert!(error("runtime: kata\n").contains("runtimes"), "{}", error("runtime: kata\n"));
        assert!(error("runtimes: kata\n").contains("a list of runtimes"), "{}", error("runtimes: kata\n"));
        assert!(error("runtimes: [a, a]\n").contains("twice"));
        assert!(error("blocks: 0\n").contains("at least 1"));
        assert!(error("blocks: {least: 2, most: 9}\n").contains("neither precision nor budget"));
        assert!(error("blocks: {least: 5, most: 2}\n").contains("least is 5 and most is 2"));
        assert!(error("blocks: {least: 2, most: 9, mean: 5}\n").contains("expected a number of blocks, or"));
        assert!(error("blocks: 1000000000\n").contains("expected at most 1000"));
        assert!(error("ramp: {hold: soon}\n").contains("allowed: times such as 5s"));
        assert!(error("sizes: [{memory: 5Q}]\n").contains("5Q"));
        assert!(
            error("ramp: {stop: [soon]}\n").contains("ramp.stop: "),
            "{}",
            error("ramp: {stop: [soon]}\n")
        );
    }

    #[test]
    fn options_of_a_run_have_the_bounds_that_they_have_on_the_command_line() {
        for (ramp, expected) in [
            ("{to: 0}", "ramp.to: 0; expected at least 1"),
            ("{step: 0}", "ramp.step: 0; expected at least 1"),
            ("{search: {climbs: 0}}", "ramp.search.climbs: 0; expected at least 1"),
            (
                "{search: {precision: -1}}",
                "ramp.search.precision: -1; expected a number of instances above 0, such as 2",
            ),
            ("{search: {}, step: 2}", "ramp.step does not apply to ramp.search: remove one of them"),
            ("{search: {}, beyond: 2}", "ramp.beyond does not apply to ramp.search: remove one of them"),
            ("{stop: []}", "ramp.stop: an empty list; expected stop rules, or: stop: never"),
            (
                "{stop: [never, 'time:1h']}",
                "ramp.stop: never contradicts the other rules: remove it, or them",
            ),
        ] {
            assert_eq!(StudyFile::parse(&format!("ramp: {ramp}\n")).unwrap_err(), expected);
        }
        for never in ["never", "[never]"] {
            let study = StudyFile::parse(&format!("ramp: {{stop: {never}}}\n")).unwrap();
            assert_eq!(study.ramp.stop, Some(vec!["never".to_owned()]));
        }
    }

    #[test]
    fn an_amount_that_is_none_is_refused_with_its_figure_and_the_reason() {
        let error = |text: &str| StudyFile::parse(text).unwrap_err();
        for key in ["precision", "margin"] {
            for (amount, expected) in [
                ("0%", "\"0%\" is not more than 0"),
                ("-1", "\"-1\" is not more than 0"),
                ("true", "\"true\" is neither a percentage such as 2%"),
                ("{startup_median: 5Q}", "startup_median: \"5Q\" is neither a percentage"),
                ("{startup_median: [1]}", "startup_median: expected an amount such as 2%"),
                ("[2%]", "expected an amount such as 2%, or amounts by figure"),
            ] {
                let error = error(&format!("{key}: {amount}\n"));
                assert!(error.starts_with("line 1 column ") && error.contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn a_key_whose_lines_are_commented_out_is_left_out() {
        let keys = [
            "name",
            "scenarios",
            "runtimes",
            "sizes",
            "ramp",
            "blocks",
            "precision",
            "margin",
            "cooldown",
            "labels",
            "sockets",
            "worlds",
        ];
        for key in keys {
            let study = StudyFile::parse(&format!("{key}:\n# - a\n"))
                .unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(study, StudyFile::parse("").unwrap(), "{key}");
        }
    }

    #[test]
    fn a_name_is_a_text_in_one_line() {
        let error = |text: &str| StudyFile::parse(text).unwrap_err();
        assert_eq!(error("runtimes: ['', kata]\n"), "runtimes: \"\"; expected a name");
        assert_eq!(error("sizes: [{name: '  '}]\n"), "sizes: name: \"  \"; expected a name");
        assert_eq!(error("scenarios: [{name: ''}]\n"), "scenarios: name: \"\"; expected a name");
        assert_eq!(error("name: \"a\\nb\"\n"), "name: \"a\\nb\"; expected a name without control characters");
        assert_eq!(
            error("sizes: [{}, {memory: 5M}]\n"),
            "sizes: one says nothing; expected memory, cpu, limits or a name"
        );
        for mix in ["mix: true\n", "mix: true\nruntimes: [kata]\n"] {
            assert!(error(mix).starts_with("mix: expected at least two runtimes"), "{mix}");
        }
    }
}
