//! Containers beside the load's own in its pods: what a report says of them.

use ramp::engine::{Event, Notice};
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::sidecar::{SIDECAR, Sidecar};
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, estimate_table, json, narrative};
use serde_json::{Value, json};

use crate::others::Observing;
use crate::support::schemas::assert_valid;
use crate::support::{SECOND, Stage, engine, plan, script};

/// A run under this runtime, whose pods have these containers beside the load's own.
async fn recorded(runtime: &str, sidecar: Option<&str>) -> (Stage, Dataset) {
    let stage = Stage::new();
    let options =
        EngineOptions { world: Some(json!({"runtime": {"name": runtime}})), ..EngineOptions::default() };
    let plan = Plan { engine: EngineKind::Simulated, to: 7, options, settle: 5 * SECOND, ..plan() };
    let notice = match sidecar {
        Some(name) => {
            let sidecar = Sidecar { container: name.into(), image: format!("{name}:1") };
            Notice::note(Sidecar::object(name), SIDECAR, sidecar.message())
        }
        None => Notice::note("test", "Nothing", "beside the load"),
    };
    let event = Event::Notice(notice);
    stage.run(&plan, Observing { engine: engine(&script()), after: SECOND, event }).await;
    let data = Dataset::read(&stage.path()).unwrap();
    (stage, Dataset { name: format!("{runtime}-{}", sidecar.unwrap_or("alone")), ..data })
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_a_sidecar_is_said_to_be_in_each_figure_wherever_that_is_stated() {
    let (_stage, data) = recorded("runc", Some("istio-proxy")).await;
    let report = Report::of(vec![data], None);
    let with = "MB), with the memory of istio-proxy in it";
    assert!(narrative::summary(&report).contains(with), "{}", narrative::summary(&report));
    let table = estimate_table::of_run(&report, 0);
    let cost = table.iter().find(|row| row.name == "marginal cost").unwrap();
    assert!(cost.text().contains(with), "{}", cost.text());
    let json = json::json(&report);
    assert_valid("report", &json);
    assert_eq!(json["runs"][0]["sidecars"], json!([{"container": "istio-proxy", "image": "istio-proxy:1"}]));
    let note = json["runs"][0]["notes"].to_string();
    assert!(note.contains("further containers: istio-proxy (image istio-proxy:1); their memory"), "{note}");
    let said = json["analysis"].to_string();
    assert!(said.contains("MiB, with the memory of istio-proxy in it."), "{said}");
}

#[tokio::test(start_paused = true)]
async fn no_difference_is_the_runtime_s_where_the_pods_have_other_sidecars() {
    let (_one, runc) = recorded("runc", None).await;
    let (_two, kata) = recorded("kata", Some("istio-proxy")).await;
    let compared = json::json(&Report::of(vec![runc.clone(), kata.clone()], None));
    assert_valid("report", &compared);
    let comparison = &compared["comparisons"][0];
    let why = "sidecars of the base: none, of the other: istio-proxy (image istio-proxy:1)";
    for name in ["overhead_by_saturation", "overhead_by_maximum", "overhead_by_usage"] {
        assert_eq!(comparison[name], Value::Null, "{name}");
        assert!(comparison["reason"][name].as_str().unwrap().contains(why), "{comparison:#}");
    }
    assert_eq!(comparison["overhead_per_pod"]["bytes"], Value::Null);
    assert!(comparison["overhead_per_pod"]["reason"].as_str().unwrap().contains(why), "{comparison:#}");
    assert!(
        compared["summary"].as_str().unwrap().contains("; not comparable: the pods differ"),
        "{compared:#}"
    );

    let (_three, with_proxy) = recorded("runc", Some("istio-proxy")).await;
    let alike = json::json(&Report::of(vec![with_proxy.clone(), kata.clone()], None));
    assert_valid("report", &alike);
    assert!(!alike["comparisons"][0].to_string().contains("sidecars"), "{alike:#}");
    let repeats = json::json(&Report::of(vec![runc, with_proxy, kata], None));
    assert_valid("report", &repeats);
    let said = repeats["comparisons"][0].to_string();
    assert!(said.contains("repeats have different sidecars"), "{said}");
}
