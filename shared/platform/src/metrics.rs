//! Metrics as log lines: CloudWatch reads them from a function's output (embedded metric format).

use serde_json::json;
use std::io::Write;
use torale_domain::time::Timestamp;

/// The namespace of all metrics.
const NAMESPACE: &str = "Torale";

/// The line that tells one value; `unit` as CloudWatch names it.
fn line(name: &str, unit: &str, value: u64, now: Timestamp) -> String {
    let metric =
        json!({ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": [{ "Name": name, "Unit": unit }] });
    json!({ "_aws": { "Timestamp": now.millis(), "CloudWatchMetrics": [metric] }, name: value }).to_string()
}

/// Tells one value.
pub fn emit(name: &str, unit: &str, value: u64, now: Timestamp) {
    // Whoever can't write to its own output has nobody to tell.
    drop(writeln!(std::io::stdout(), "{}", line(name, unit, value, now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_cloudwatch_reads_it() {
        let expected = concat!(
            r#"{"OutboxLag":5,"_aws":{"CloudWatchMetrics":[{"Dimensions":[[]],"Metrics":[{"Name":"OutboxLag","#,
            r#""Unit":"Milliseconds"}],"Namespace":"Torale"}],"Timestamp":1774953030500}}"#
        );
        let now = Timestamp::from_millis(1_774_953_030_500);
        assert_eq!(line("OutboxLag", "Milliseconds", 5, now), expected);
    }
}
