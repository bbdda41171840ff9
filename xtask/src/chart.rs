//! Templates of the Helm chart: `deploy/chart/templates/*.yaml`, written from `deploy/setup` with values in place of what users change.
//!
//! `deploy/setup` is the one source. A file of it that changes so that a value has no place any more does not get into the chart unnoticed.

use crate::generated::GeneratedFile;
use crate::shell::Outcome;

/// A template: the condition it is rendered under, its sources, and what is replaced in them.
struct Template {
    name: &'static str,
    condition: &'static str,
    /// Each with its path below deploy/setup.
    sources: &'static [(&'static str, &'static str)],
    /// Text of the sources, and what stands in its place, wherever it occurs.
    values: &'static [(&'static str, &'static str)],
}

macro_rules! source {
    ($path:literal) => {
        ($path, include_str!(concat!("../../deploy/setup/", $path)))
    };
}

const NAMESPACE: (&str, &str) =
    ("namespace: workload\n", "namespace: {{ .Values.namespace.name | quote }}\n");
/// Of the kind Namespace, and the one that ramp may read.
const OWN_NAMESPACE: (&str, &str) = ("  name: workload\n", "  name: {{ .Values.namespace.name | quote }}\n");
const COMPONENTS: (&str, &str) =
    ("workload-components\n", "{{ .Values.componentProbe.namespace | quote }}\n");
const IMAGE: (&str, &str) = (
    "image: localhost/workload:0.1.0\n",
    "image: \"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}\"\n",
);
const PULL_SECRETS: (&str, &str) = (
    "      priorityClassName: workload-probe\n",
    "      priorityClassName: workload-probe
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
",
);
const SUBJECTS: (&str, &str) = (
    "  - kind: ServiceAccount
    name: ramp
    namespace: workload
",
    "  - kind: ServiceAccount
    name: ramp
    namespace: {{ .Values.namespace.name | quote }}
  {{- with .Values.rbac.subjects }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
",
);

/// What users change of a probe; `probe` is the name of its values.
macro_rules! probe {
    ($probe:literal) => {
        [
            (
                "      tolerations:\n        - operator: Exists\n",
                concat!(
                    "      {{- with .Values.",
                    $probe,
                    ".tolerations }}\n      tolerations:\n        {{- toYaml . | nindent 8 }}\n",
                    "      {{- end }}\n"
                ),
            ),
            (
                "      nodeSelector:\n        kubernetes.io/os: linux\n        kubernetes.io/arch: amd64\n",
                concat!(
                    "      {{- with .Values.",
                    $probe,
                    ".nodeSelector }}\n      nodeSelector:\n        {{- toYaml . | nindent 8 }}\n",
                    "      {{- end }}\n"
                ),
            ),
            (
                "          resources:
            requests:
              cpu: 50m
              memory: 32Mi
            limits:
              cpu: 50m
              memory: 32Mi
",
                concat!(
                    "          {{- with .Values.",
                    $probe,
                    ".resources }}\n          resources:\n",
                    "            {{- toYaml . | nindent 12 }}\n          {{- end }}\n"
                ),
            ),
        ]
    };
}
const NODE_PROBE: [(&str, &str); 3] = probe!("nodeProbe");
const COMPONENT_PROBE: [(&str, &str); 3] = probe!("componentProbe");

const TEMPLATES: &[Template] = &[
    Template {
        name: "namespace",
        condition: ".Values.namespace.create",
        sources: &[source!("namespace.yaml")],
        values: &[OWN_NAMESPACE],
    },
    Template {
        name: "priority-classes",
        condition: ".Values.priorityClasses.create",
        sources: &[source!("priority-classes.yaml")],
        values: &[],
    },
    Template {
        name: "rbac",
        condition: ".Values.rbac.create",
        sources: &[source!("rbac.yaml")],
        values: &[
            SUBJECTS,
            NAMESPACE,
            ("resourceNames: [workload]", "resourceNames: [{{ .Values.namespace.name | quote }}]"),
        ],
    },
    Template {
        name: "node-probe",
        condition: ".Values.nodeProbe.enabled",
        sources: &[source!("node-probe.yaml")],
        values: &[NAMESPACE, IMAGE, PULL_SECRETS, NODE_PROBE[0], NODE_PROBE[1], NODE_PROBE[2]],
    },
    Template {
        name: "component-probe",
        condition: ".Values.componentProbe.enabled",
        sources: &[
            source!("components/namespace.yaml"),
            source!("components/rbac.yaml"),
            source!("components/component-probe.yaml"),
        ],
        values: &[
            SUBJECTS,
            COMPONENTS,
            IMAGE,
            PULL_SECRETS,
            COMPONENT_PROBE[0],
            COMPONENT_PROBE[1],
            COMPONENT_PROBE[2],
        ],
    },
];

impl Template {
    fn render(&self) -> Outcome<String> {
        let paths: Vec<_> = self.sources.iter().map(|(path, _)| format!("deploy/setup/{path}")).collect();
        let mut text = self.sources.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("---\n");
        for (from, to) in self.values {
            if !text.contains(from) {
                return Err(format!(
                    "{}: expected {from:?}, which xtask/src/chart.rs replaces",
                    paths.join(", ")
                ));
            }
            text = text.replace(from, to);
        }
        let header =
            format!("{{{{- /* Written by `cargo xtask manifests` from:\n{}. */ -}}}}\n", paths.join(",\n"));
        Ok(format!("{header}{{{{- if {} }}}}\n{text}{{{{- end }}}}\n", self.condition))
    }
}

/// Every template, by its path from the root.
///
/// # Errors
/// Where deploy/setup has not what is replaced.
pub(crate) fn files() -> Outcome<Vec<GeneratedFile>> {
    let file = |template: &Template| {
        Ok((format!("deploy/chart/templates/{}.yaml", template.name), template.render()?))
    };
    TEMPLATES.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources that the kustomizations of deploy/setup list.
    fn resources(kustomization: &str, directory: &str) -> Vec<String> {
        let lines = kustomization.lines().filter_map(|line| line.strip_prefix("  - "));
        lines.map(|name| format!("{directory}{name}")).collect()
    }

    #[test]
    fn the_chart_has_every_file_of_the_setup() {
        let mut expected = resources(include_str!("../../deploy/setup/kustomization.yaml"), "");
        let components = include_str!("../../deploy/setup/components/kustomization.yaml");
        expected.extend(resources(components, "components/"));
        let mut found: Vec<_> = TEMPLATES
            .iter()
            .flat_map(|template| template.sources)
            .map(|(path, _)| (*path).to_owned())
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_of_the_setup_that_is_a_value_is_left_in_the_chart() {
        for (path, text) in files().unwrap() {
            for fixed in
                ["localhost/workload", "namespace: workload", "[workload]", "- operator: Exists", "50m"]
            {
                assert!(!text.contains(fixed), "{path}: {fixed}");
            }
        }
    }

    #[test]
    fn a_source_without_what_is_replaced_is_refused() {
        let template = Template {
            values: &[("cpu: 51m", "")],
            name: "",
            condition: "",
            sources: &[("a.yaml", "cpu: 50m")],
        };
        let error = template.render().unwrap_err();
        assert!(error.contains("deploy/setup/a.yaml") && error.contains("cpu: 51m"), "{error}");
    }

    #[test]
    fn the_version_of_the_chart_is_that_of_the_programs() {
        let chart = include_str!("../../deploy/chart/Chart.yaml");
        let workspace = include_str!("../../Cargo.toml").split_once("[workspace.package]\n").unwrap().1;
        let version = workspace.lines().next().unwrap().strip_prefix("version = ").unwrap().trim_matches('"');
        for key in ["version", "appVersion"] {
            assert!(chart.contains(&format!("\n{key}: {version}\n")), "{version}: {chart}");
        }
        let image = format!("image: localhost/workload:{version}\n");
        assert_eq!(IMAGE.0, image);
    }
}
