//! CloudWatch in process, as its clients talk to it (Smithy RPC v2 over CBOR): keeps what `PutMetricData` brings.

use crate::fake_aws::{self, CallFate, CallResult, Fates, Shared};
use aws_sdk_cloudwatch::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use ciborium::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Metrics that were put, and what it knows of a queue; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct FakeCloudWatch {
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    fates: Fates,
    calls: Vec<String>,
    put: BTreeMap<String, (f64, String)>,
    namespaces: Vec<String>,
    ages: Vec<(f64, f64)>,
    stuck: Vec<(f64, f64)>,
}

impl FakeCloudWatch {
    /// The next calls have these fates; after them all is well.
    pub fn with(fates: impl IntoIterator<Item = CallFate>) -> Self {
        Self::of(Fates::of(fates))
    }

    /// Every call has this fate.
    pub fn always(fate: CallFate) -> Self {
        Self::of(Fates::always(fate))
    }

    fn of(fates: Fates) -> Self {
        Self { state: Arc::new(Mutex::new(State { fates, ..State::default() })) }
    }

    /// What SQS has reported as the age of its oldest message: seconds since 1970, and the age.
    pub fn has_ages(&self, ages: &[(f64, f64)]) {
        self.state.lock().unwrap().ages = ages.to_vec();
    }

    /// What the consumer has reported as the age of messages that always fail: seconds since 1970, and the age.
    pub fn has_stuck(&self, ages: &[(f64, f64)]) {
        self.state.lock().unwrap().stuck = ages.to_vec();
    }

    /// What a client of it is made of.
    pub fn config(&self) -> Builder {
        let state = Arc::clone(&self.state);
        Builder::default()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(fake_aws::http_client(move |request| state.lock().unwrap().answer(request)))
    }

    /// Value and unit of each metric that was put last.
    pub fn put(&self) -> BTreeMap<String, (f64, String)> {
        self.state.lock().unwrap().put.clone()
    }

    /// The namespaces that were put into.
    pub fn namespaces(&self) -> Vec<String> {
        self.state.lock().unwrap().namespaces.clone()
    }

    /// The operations that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let fields = value.as_map().unwrap().iter();
    fields.filter(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value).next().unwrap()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

impl State {
    fn answer(&mut self, request: &HttpRequest) -> CallResult {
        let operation = request.uri().rsplit('/').next().unwrap().to_owned();
        self.calls.push(operation.clone());
        let body: Value = ciborium::from_reader(request.body().bytes().unwrap()).unwrap();
        match self.fates.of_next_call() {
            Some(CallFate::Unreachable) => fake_aws::unreachable(),
            Some(CallFate::Hangs) => Ok(None),
            Some(CallFate::Fails(status, code)) => {
                let fault = vec![(text("__type"), text(code)), (text("message"), text("no"))];
                Ok(Some(response(status, &Value::Map(fault))))
            }
            Some(CallFate::Halves { .. } | CallFate::Silent) => panic!("CloudWatch does no such thing"),
            None if operation == "PutMetricData" => {
                self.namespaces.push(field(&body, "Namespace").as_text().unwrap().to_owned());
                for datum in field(&body, "MetricData").as_array().unwrap() {
                    let name = field(datum, "MetricName").as_text().unwrap().to_owned();
                    let unit = field(datum, "Unit").as_text().unwrap().to_owned();
                    self.put.insert(name, (field(datum, "Value").as_float().unwrap(), unit));
                }
                Ok(Some(response(200, &Value::Map(Vec::new()))))
            }
            None => Ok(Some(self.statistics(&body))),
        }
    }

    fn statistics(&self, body: &Value) -> HttpResponse {
        let metric = ["Namespace", "MetricName"].map(|name| field(body, name).as_text().unwrap());
        let dimensions = body.as_map().unwrap().iter().any(|(key, _)| key.as_text() == Some("Dimensions"));
        let ages = match (metric, dimensions) {
            (["AWS/SQS", "ApproximateAgeOfOldestMessage"], true) => {
                let queue = &field(body, "Dimensions").as_array().unwrap()[0];
                assert_eq!(field(queue, "Value").as_text(), Some("torale-events"));
                &self.ages
            }
            (["Torale/Consumer", "StuckAge"], false) => &self.stuck,
            other => panic!("no such metric: {other:?}"),
        };
        // Only what lies between the two times, both included.
        let time = |name| match field(body, name) {
            Value::Tag(1, seconds) => {
                seconds.as_float().or(seconds.as_integer().map(i128::from).map(|s| s as f64))
            }
            _ => None,
        };
        let (from, to) = (time("StartTime").unwrap(), time("EndTime").unwrap());
        let point = |(at, age): &(f64, f64)| {
            let at = Value::Tag(1, Box::new(Value::Float(*at)));
            Value::Map(vec![(text("Timestamp"), at), (text("Maximum"), Value::Float(*age))])
        };
        let points =
            Value::Array(ages.iter().filter(|(at, _)| (from..=to).contains(at)).map(point).collect());
        response(200, &Value::Map(vec![(text("Datapoints"), points)]))
    }
}

fn response(status: u16, body: &Value) -> HttpResponse {
    let mut bytes = Vec::new();
    ciborium::into_writer(body, &mut bytes).unwrap();
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(bytes));
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response.headers_mut().insert("content-type", "application/cbor");
    response
}
