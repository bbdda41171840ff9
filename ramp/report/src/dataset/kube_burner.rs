//! Pod latencies of kube-burner (`podLatencyMeasurement-JOB.json`): one document for each pod that became ready.
//!
//! | field | is |
//! |---|---|
//! | `timestamp` | creation of the pod; the API server's, in whole seconds |
//! | `schedulingLatency` | from then until `PodScheduled`, in ms; since v2.0 by the scheduler's event, before in whole seconds |
//! | `readyToStartContainersLatency` | until `PodReadyToStartContainers`: the sandbox is ready; since v1.11 |
//! | `containersStartedLatency` | until the last `Started` event of the kubelet; since v2.0 |
//! | `initializedLatency`, `containersReadyLatency`, `podReadyLatency` | until the condition of the pod, in whole seconds |
//!
//! A time that is not known is 0 there, as is one that lies before the creation in whole seconds: of the sandbox and the containers 0 is
//! read as not known. All other fields, and all other documents of kube-burner, are left alone (`pkg/measurements/pod_latency.go`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::table_reader::quoted;
use super::{Dataset, Malformed, PodLatency, Source, Unreadable, name_of};
use crate::progress::Observer;
use ramp_format::run_file::ensure_is_regular;

/// `metricName` of the documents that are read.
const METRIC: &str = "podLatencyMeasurement";
/// That of their summaries.
const QUANTILES: &str = "podLatencyQuantilesMeasurement";

/// Whether a file is one of JSON: by its name, or by what it begins with.
pub(super) fn is_json(file: &Path) -> bool {
    // What is no regular file may be read only once.
    let begins_so = || {
        ensure_is_regular(file).ok()?;
        let mut begin = [0; 64];
        let count = File::open(file).ok()?.read(&mut begin).ok()?;
        let first = begin.get(..count)?.iter().find(|byte| !byte.is_ascii_whitespace())?;
        Some(matches!(first, b'[' | b'{'))
    };
    file.extension().is_some_and(|extension| extension == "json") || begins_so().unwrap_or(false)
}

/// Reads a file of kube-burner: an array of documents, or one document a line.
pub(super) fn read(file: &Path, observer: &Observer) -> Result<Dataset, Unreadable> {
    let io = |error| Unreadable::Io { file: file.to_owned(), error };
    let mut text = Vec::new();
    observer.counted(File::open(file).map_err(io)?).read_to_end(&mut text).map_err(io)?;
    dataset(file, &text)
}

fn dataset(file: &Path, text: &[u8]) -> Result<Dataset, Unreadable> {
    let pods = pods(file, text)?;
    let notes = vec![format!(
        "pod latencies of kube-burner, of {} pods: those that never became ready are not among them, so that what is slowest may be \
         missing; times are in whole seconds but for those by events",
        pods.len()
    )];
    Ok(Dataset {
        name: name_of(file),
        rows: 0,
        source: Source::KubeBurner(pods),
        notes,
        steps: Vec::new(),
        nodes: Vec::new(),
    })
}

/// The documents of an array, or of each line.
fn pods(file: &Path, text: &[u8]) -> Result<Vec<PodLatency>, Malformed> {
    let malformed = |line: usize, found: String, expected: &str| Malformed {
        file: file.to_owned(),
        line: line as u64,
        column: None,
        found,
        expected: expected.into(),
    };
    let mut pods = Vec::new();
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        let value = value.map_err(|error| {
            malformed(error.line(), format!("no JSON ({error})"), "a whole file of kube-burner")
        })?;
        let documents = match value {
            Value::Array(documents) => documents,
            document => vec![document],
        };
        for document in documents {
            let number = pods.len() + 1;
            let pod = pod(&document).map_err(|WrongDocument { field, found, expected }| {
                let of = field.map_or_else(String::new, |field| format!(", field {field:?}"));
                malformed(1, format!("{found} in document {number}{of}"), &expected)
            })?;
            pods.push(pod);
        }
    }
    if pods.is_empty() {
        let expected = format!("documents with metricName {METRIC:?}");
        return Err(malformed(1, "no document".into(), &expected));
    }
    Ok(pods)
}

/// What is wrong with a document.
struct WrongDocument {
    field: Option<&'static str>,
    found: String,
    expected: String,
}

fn pod(document: &Value) -> Result<PodLatency, WrongDocument> {
    let Value::Object(fields) = document else {
        let expected = "a document of kube-burner: an object".into();
        return Err(WrongDocument { field: None, found: quoted(&document.to_string()), expected });
    };
    check_metric(fields)?;
    let required = |field| {
        let none =
            || WrongDocument { field: Some(field), found: "nothing".into(), expected: MILLISECONDS.into() };
        seconds(fields, field)?.ok_or_else(none)
    };
    let seen = |field| Ok(seconds(fields, field)?.filter(|seconds| *seconds > 0.0));
    Ok(PodLatency {
        created_seconds: created(fields)?,
        scheduled_after: required("schedulingLatency")?,
        sandbox_after: seen("readyToStartContainersLatency")?,
        started_after: seen("containersStartedLatency")?,
        ready_after: required("podReadyLatency")?,
        name: text(fields, "podName"),
        node: text(fields, "nodeName"),
    })
}

/// Refuses what is no latency of a pod, with the way out.
fn check_metric(fields: &Map<String, Value>) -> Result<(), WrongDocument> {
    let (field, found, expected) = match fields.get("metricName").and_then(Value::as_str) {
        Some(METRIC) => return Ok(()),
        Some(QUANTILES) => (
            Some("metricName"),
            quoted(QUANTILES),
            "the latencies of each pod: a summary has only quantiles of each condition, of which no distribution, phase or interval can \
             be made. Give the file podLatencyMeasurement-JOB.json beside it"
                .to_owned(),
        ),
        Some(other) => {
            let expected = format!("{METRIC:?}: ramp reads no other measurement of kube-burner");
            (Some("metricName"), quoted(other), expected)
        }
        None if fields.contains_key("format_version") => {
            let expected = "a document of kube-burner; give the directory that the file is in";
            (None, "a file of a run or a study of ramp".into(), expected.to_owned())
        }
        None if fields.contains_key("ramp_version") => {
            let expected = "a run directory, or a file of kube-burner; reports are compared by --against FILE and read by ramp history";
            (None, "a report that --json printed".into(), expected.to_owned())
        }
        None => {
            let expected = format!("a document of kube-burner, with metricName {METRIC:?}");
            (None, "no metricName".into(), expected)
        }
    };
    Err(WrongDocument { field, found, expected })
}

const MILLISECONDS: &str = "a number of milliseconds, 0 or more";

/// Milliseconds of a field, in seconds; none where it is missing.
fn seconds(fields: &Map<String, Value>, field: &'static str) -> Result<Option<f64>, WrongDocument> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| *number >= 0.0) {
            Some(milliseconds) => Ok(Some(milliseconds / 1000.0)),
            None => Err(WrongDocument {
                field: Some(field),
                found: quoted(&value.to_string()),
                expected: MILLISECONDS.into(),
            }),
        },
    }
}

fn text(fields: &Map<String, Value>, field: &str) -> String {
    fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn created(fields: &Map<String, Value>) -> Result<f64, WrongDocument> {
    let text = fields.get("timestamp").and_then(Value::as_str).unwrap_or_default();
    seconds_since_1970(text).ok_or_else(|| WrongDocument {
        field: Some("timestamp"),
        found: quoted(text),
        expected: "a time as in 2026-11-27T06:30:00Z".into(),
    })
}

/// Reads a time that may be that of a zone, as Go writes it: `2020-11-15T22:26:51.55+01:00`.
fn seconds_since_1970(text: &str) -> Option<f64> {
    let utc = |text: &str| {
        let time = humantime::parse_rfc3339(text).ok()?;
        Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64())
    };
    if text.ends_with('Z') {
        return utc(text);
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub("+01:00".len())?)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let ahead = hours.parse::<f64>().ok()? * 3600.0 + minutes.parse::<f64>().ok()? * 60.0;
    match zone.get(..1)? {
        "+" => Some(utc(&format!("{local}Z"))? - ahead),
        "-" => Some(utc(&format!("{local}Z"))? + ahead),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dataset, String> {
        dataset(Path::new("pods.json"), text.as_bytes()).map_err(|error| error.to_string())
    }

    /// As its documentation has it.
    const OLDER: &str = r#"{"timestamp": "2020-11-15T20:28:59.598727718Z", "schedulingLatency": 4, "initializedLatency": 20,
        "containersReadyLatency": 2997, "podReadyLatency": 2997, "metricName": "podLatencyMeasurement",
        "uuid": "c40b4346-7af7-4c63-9ab4-aae7ccdd0616", "namespace": "kubelet-density", "podName": "kubelet-density-13",
        "nodeName": "worker-001", "jobName": "create-pods", "jobIteration": "2", "replica": "3"}"#;
    const NEWER: &str = r#"{"timestamp": "2026-07-01T10:00:00Z", "schedulingLatency": 12, "initializedLatency": 0,
        "containersReadyLatency": 3000, "podReadyLatency": 3000, "containersStartedLatency": 2417,
        "readyToStartContainersLatency": 2000, "metricName": "podLatencyMeasurement", "uuid": "u", "jobName": "j",
        "jobIteration": 0, "replica": 1, "namespace": "n", "podName": "p", "nodeName": "w"}"#;

    fn latencies(data: &Dataset) -> &[PodLatency] {
        match &data.source {
            Source::KubeBurner(pods) => pods,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn documents_of_old_and_new_versions_are_read_as_an_array_or_one_a_line() {
        let data = read(&format!("[{OLDER},{NEWER}]")).unwrap();
        let [older, newer] = latencies(&data) else { panic!("{data:?}") };
        assert_eq!((older.scheduled_after, older.ready_after), (0.004, 2.997));
        assert_eq!((older.sandbox_after, older.started_after), (None, None), "what is not told is not 0");
        assert_eq!((newer.sandbox_after, newer.started_after), (Some(2.0), Some(2.417)));
        assert!(data.notes[0].contains("never became ready"), "{:?}", data.notes);
        let lines = read(&format!("{OLDER}\n{NEWER}\n")).unwrap();
        assert_eq!(latencies(&lines), latencies(&data));
        let zoned = OLDER.replace("59.598727718Z", "59.598727718+01:00");
        let zoned = read(&zoned).unwrap();
        assert_eq!(latencies(&zoned)[0].created_seconds, older.created_seconds - 3600.0);
    }

    #[test]
    fn what_is_no_pod_latency_is_refused_with_what_was_found_where_and_what_to_do() {
        let quantiles = OLDER.replace("podLatencyMeasurement", QUANTILES);
        let mixed = format!("[{NEWER}, {}]", OLDER.replace("podLatencyMeasurement", "svcLatencyMeasurement"));
        let cases = [
            (
                quantiles.as_str(),
                "found \"podLatencyQuantilesMeasurement\" in document 1, field \"metricName\"",
            ),
            (quantiles.as_str(), "Give the file podLatencyMeasurement-JOB.json"),
            (&mixed, "found \"svcLatencyMeasurement\" in document 2"),
            ("[]", "found no document, expected documents with metricName"),
            ("[1]", "found \"1\" in document 1, expected a document of kube-burner"),
            ("[{\"a\": 1}]", "found no metricName in document 1"),
            ("{\"format_version\": 1}", "give the directory that the file is in"),
            ("{\"ramp_version\": \"1\"}", "reports are compared by --against FILE and read by ramp history"),
            ("[{", "pods.json:1: found no JSON (EOF"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (from, to, expected) in [
            (
                "\"podReadyLatency\": 2997",
                "\"podReadyLatency\": -1",
                "found \"-1\" in document 1, field \"podReadyLatency\"",
            ),
            (
                "\"podReadyLatency\": 2997,",
                "",
                "found nothing in document 1, field \"podReadyLatency\", expected a number of ms",
            ),
            ("2020-11-15T20", "yesterday", "field \"timestamp\", expected a time as in"),
        ] {
            assert!(OLDER.contains(from), "{from}");
            let error = read(&OLDER.replace(from, to)).unwrap_err();
            assert!(error.contains(expected.trim_end_matches("ms")), "{error}");
        }
    }
}
