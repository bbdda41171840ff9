//! Managed fields: which client has written a field of an object, and when (Kubernetes, "Server-Side Apply").

use std::fmt;
use std::time::SystemTime;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::deployment::FIELD_MANAGER;
use super::object::time;

/// The client that has made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Author {
    /// The name that it gives itself, such as `kubectl-edit`.
    pub(super) manager: String,
    /// `scale`, where it has changed the object by that. API servers before 1.22 record no manager then.
    pub(super) subresource: Option<String>,
    /// When.
    pub(super) at: Option<SystemTime>,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.manager)?;
        if let Some(subresource) = &self.subresource {
            write!(f, " ({subresource})")?;
        }
        let Some(at) = self.at else { return Ok(()) };
        let text = humantime::format_rfc3339_seconds(at).to_string();
        // 2026-11-25T12:00:03Z
        let of_day = text.split_once('T').map_or(text.as_str(), |(_, of_day)| of_day);
        write!(f, " at {}", of_day.trim_end_matches('Z'))
    }
}

/// Who has changed a field between two observations of an object: whose entry is new or differs, and has the field. Not ramp
/// itself: its entry also differs where another client has removed a field that ramp had set.
pub(super) fn author(
    before: &[ManagedFieldsEntry],
    now: &[ManagedFieldsEntry],
    field: &[&str],
) -> Option<Author> {
    let is_own = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    let changed = now.iter().filter(|entry| !before.contains(entry) && has(entry, field) && !is_own(entry));
    let latest = changed.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    Some(Author {
        manager: latest.manager.clone().filter(|name| !name.is_empty())?,
        subresource: latest.subresource.clone().filter(|name| !name.is_empty()),
        at: latest.time.as_ref().map(time),
    })
}

fn has(entry: &ManagedFieldsEntry, field: &[&str]) -> bool {
    let Some(fields) = &entry.fields_v1 else { return false };
    let mut value = Some(&fields.0);
    for key in field {
        value = value.and_then(|value| value.get(key));
    }
    value.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn the_author_of_a_change_is_who_has_a_new_entry_with_the_field() {
        let entry = |manager: &str, time: &str, subresource: &str, fields| -> ManagedFieldsEntry {
            let entry = json!({"manager": manager, "operation": "Update", "time": time,
                "subresource": subresource, "fieldsV1": fields});
            from_value(entry).unwrap()
        };
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let ramp = entry("ramp", "2026-11-25T12:00:00Z", "", replicas.clone());
        let status =
            entry("kube-controller-manager", "2026-11-25T12:00:09Z", "status", json!({"f:status": {}}));
        let scale = entry("kubectl", "2026-11-25T12:00:03Z", "scale", replicas);
        let field = ["f:spec", "f:replicas"];
        let found =
            author(std::slice::from_ref(&ramp), &[ramp.clone(), status.clone(), scale], &field).unwrap();
        assert_eq!(found.to_string(), "kubectl (scale) at 12:00:03");
        let untold = author(std::slice::from_ref(&ramp), &[ramp.clone(), status], &field);
        assert_eq!(untold, None, "the scale subresource of older API servers records nobody");
        let labels = entry(
            "ramp",
            "2026-11-25T12:00:00Z",
            "",
            json!({"f:metadata": {"f:labels": {"f:ramp/run": {}}}}),
        );
        let removed = entry("ramp", "2026-11-25T12:00:00Z", "", json!({"f:metadata": {"f:labels": {}}}));
        let untold = author(&[labels], &[removed], &["f:metadata", "f:labels"]);
        assert_eq!(untold, None, "who removes a field of ramp's is not ramp");
    }
}
