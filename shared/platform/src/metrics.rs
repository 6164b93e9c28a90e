//! Metrics as log lines: CloudWatch extracts them from a function's output (embedded metric format).

use serde_json::{Map, Value, json};
use std::io::Write;
use torale_domain::values::time::Timestamp;

/// Metrics of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSet {
    /// The namespace in CloudWatch.
    pub namespace: &'static str,
    /// Name, unit (as CloudWatch calls it) and value. A name may occur in only one set of a line.
    pub metrics: Vec<(&'static str, &'static str, u64)>,
}

/// The log line of some metrics; sets without metrics are left out.
pub fn line(sets: &[MetricSet], now: Timestamp) -> String {
    let directive = |set: &MetricSet| {
        let name = |(name, unit, _): &(&str, &str, u64)| json!({ "Name": name, "Unit": unit });
        let names: Vec<Value> = set.metrics.iter().map(name).collect();
        json!({ "Namespace": set.namespace, "Dimensions": [[]], "Metrics": names })
    };
    let with_metrics = sets.iter().filter(|set| !set.metrics.is_empty());
    let directives: Vec<Value> = with_metrics.map(directive).collect();
    let values = sets.iter().flat_map(|set| &set.metrics);
    let mut root: Map<String, Value> =
        values.map(|(name, _, value)| ((*name).to_owned(), json!(value))).collect();
    root.insert("_aws".to_owned(), json!({ "Timestamp": now.millis(), "CloudWatchMetrics": directives }));
    Value::Object(root).to_string()
}

/// Writes the log line of some metrics to standard output.
pub fn emit(sets: &[MetricSet], now: Timestamp) {
    // An error could only be reported on the same output.
    drop(writeln!(std::io::stdout(), "{}", line(sets, now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_in_embedded_metric_format() {
        let sets = [
            MetricSet { namespace: "Torale/Consumer", metrics: vec![("BatchTime", "Milliseconds", 5)] },
            MetricSet { namespace: "Torale/Events", metrics: vec![] },
        ];
        let expected = concat!(
            r#"{"BatchTime":5,"_aws":{"CloudWatchMetrics":[{"Dimensions":[[]],"Metrics":[{"Name":"BatchTime","#,
            r#""Unit":"Milliseconds"}],"Namespace":"Torale/Consumer"}],"Timestamp":1774953030500}}"#
        );
        assert_eq!(line(&sets, Timestamp::from_millis(1_774_953_030_500)), expected);
    }
}
