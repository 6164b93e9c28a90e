//! Metrics as log lines: CloudWatch reads them from a function's output (embedded metric format).

use serde_json::{Map, Value, json};
use std::io::Write;
use torale_domain::values::time::Timestamp;

/// Metrics of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSet {
    /// As CloudWatch lists it.
    pub namespace: &'static str,
    /// Name, unit as CloudWatch names it, and value. No name may stand in two sets of a line.
    pub metrics: Vec<(&'static str, &'static str, u64)>,
}

/// The line that tells some metrics; it has a size of a few KB at most.
pub fn line(sets: &[MetricSet], now: Timestamp) -> String {
    let directive = |set: &MetricSet| {
        let name = |(name, unit, _): &(&str, &str, u64)| json!({ "Name": name, "Unit": unit });
        let names: Vec<Value> = set.metrics.iter().map(name).collect();
        json!({ "Namespace": set.namespace, "Dimensions": [[]], "Metrics": names })
    };
    let told = sets.iter().filter(|set| !set.metrics.is_empty());
    let directives: Vec<Value> = told.map(directive).collect();
    let values = sets.iter().flat_map(|set| &set.metrics);
    let mut root: Map<String, Value> =
        values.map(|(name, _, value)| ((*name).to_owned(), json!(value))).collect();
    root.insert("_aws".to_owned(), json!({ "Timestamp": now.millis(), "CloudWatchMetrics": directives }));
    Value::Object(root).to_string()
}

/// Tells some metrics.
pub fn emit(sets: &[MetricSet], now: Timestamp) {
    // Whoever can't write to its own output has nobody to tell.
    drop(writeln!(std::io::stdout(), "{}", line(sets, now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_cloudwatch_reads_it() {
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
