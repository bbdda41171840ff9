//! Quantities by name, as a world file has them: serde of each as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::quantities::Quantity;

pub(super) fn serialize<S: Serializer, Q: Quantity>(
    values: &BTreeMap<String, Q>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let texts = values.iter().map(|(name, value)| (name, value.text()));
    texts.collect::<BTreeMap<_, _>>().serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, Q: Quantity>(
    deserializer: D,
) -> Result<BTreeMap<String, Q>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    let value = |(name, text): (String, String)| {
        Q::of_text(&text)
            .map(|value| (name.clone(), value))
            .map_err(|error| de::Error::custom(format!("{name}: {error}")))
    };
    texts.into_iter().map(value).collect()
}
