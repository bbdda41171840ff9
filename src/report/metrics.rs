//! OpenMetrics format: the same fields as metrics, for Prometheus and other scrapers.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as MetricUnit};
use tracing::error;

use super::field::{Field, Kind, Record, Unit};
use super::value::Value;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All fields of a snapshot that are numbers or words, in OpenMetrics text. Names begin with `prefix`; what is missing
/// has no sample, what is unlimited is `+Inf`, and words are the label of an info.
/// Nothing but a log line where they cannot be put into words, which writing to memory does not do.
pub fn render<'a, K: Kind>(prefix: &str, snapshot: &'a K::Snapshot<'a>) -> String {
    let metrics = K::FIELDS.iter().filter_map(|field| metric::<K>(field, snapshot)).collect();
    let mut registry = Registry::with_prefix(prefix);
    registry.register_collector(Box::new(Scrape(metrics)));
    let mut text = String::with_capacity(TEXT_BYTES);
    if let Err(error) = encode(&mut text, &registry) {
        error!("cannot encode metrics: {error}");
        text.clear();
    }
    text
}

/// Longer than the text of any kind of report.
const TEXT_BYTES: usize = 24 << 10;

/// One metric of a scrape.
#[derive(Debug)]
struct Metric {
    /// With neither the unit nor `_total`: the encoder puts them behind it.
    name: &'static str,
    help: &'static str,
    unit: Option<MetricUnit>,
    number: MetricValue,
}

#[derive(Debug)]
enum MetricValue {
    Counter(u64),
    CounterSeconds(f64),
    Gauge(u64),
    GaugeDecimal(f64),
    Info(&'static str, String),
}

/// Everything of one moment.
#[derive(Debug)]
struct Scrape(Vec<Metric>);

fn metric<'a, K: Kind>(field: &'static Field<K>, snapshot: &'a K::Snapshot<'a>) -> Option<Metric> {
    // The end of the run has nobody to tell; what belongs to the start stays true. A scrape is no record.
    let of_interest = field.is_in(Record::Start) && field.name != "record";
    let value = of_interest.then(|| (field.value)(snapshot))?;
    let (bare, counter) = field.name.strip_suffix("_total").map_or((field.name, false), |name| (name, true));
    let number = match value {
        Value::Missing | Value::Time(_) | Value::Settings(_) => return None,
        Value::Whole(number) if counter => MetricValue::Counter(number),
        Value::Whole(number) => MetricValue::Gauge(number),
        Value::Decimal(number, decimals) if counter => {
            MetricValue::CounterSeconds(Value::rounded(number, decimals))
        }
        Value::Decimal(number, decimals) => MetricValue::GaugeDecimal(Value::rounded(number, decimals)),
        Value::Unlimited => MetricValue::GaugeDecimal(f64::INFINITY),
        Value::Text(text) => MetricValue::Info(field.name, text.to_owned()),
    };
    // The encoder puts unit and `_total` behind the name.
    let (name, unit) = match field.unit {
        Unit::Bytes => (bare.strip_suffix("_bytes")?, Some(MetricUnit::Bytes)),
        Unit::Seconds => (bare.strip_suffix("_seconds")?, Some(MetricUnit::Seconds)),
        _ => (bare, None),
    };
    Some(Metric { name, help: field.help, unit, number })
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Metric { name, help, unit, number } in &self.0 {
            let kind = match number {
                MetricValue::Counter(_) | MetricValue::CounterSeconds(_) => MetricType::Counter,
                MetricValue::Gauge(_) | MetricValue::GaugeDecimal(_) => MetricType::Gauge,
                MetricValue::Info(..) => MetricType::Info,
            };
            let mut encoded = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            match number {
                MetricValue::Counter(number) => encoded.encode_counter::<NoLabelSet, _, u64>(number, None)?,
                MetricValue::CounterSeconds(number) => {
                    encoded.encode_counter::<NoLabelSet, _, u64>(number, None)?;
                }
                MetricValue::Gauge(number) => encoded.encode_gauge(number)?,
                MetricValue::GaugeDecimal(number) => encoded.encode_gauge(number)?,
                MetricValue::Info(label, text) => encoded.encode_info(&[(*label, text.as_str())])?,
            }
        }
        Ok(())
    }
}
