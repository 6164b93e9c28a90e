//! CloudWatch in process, as its clients talk to it (Smithy RPC v2 over CBOR): keeps what `PutMetricData` brings.

use crate::sqs::MessageFate;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Builder, Credentials, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use ciborium::Value;
use metrics::cloudwatch::CloudWatch;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// What was put, and what is known of a queue.
#[derive(Debug, Clone, Default)]
pub struct Stub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fates: VecDeque<MessageFate>,
    always: Option<MessageFate>,
    calls: Vec<String>,
    put: BTreeMap<String, (f64, String)>,
    namespaces: Vec<String>,
    ages: Vec<(f64, f64)>,
    stuck: Vec<(f64, f64)>,
}

impl Stub {
    /// The next calls go so; after them all is well.
    pub fn with(fates: impl IntoIterator<Item = MessageFate>) -> Self {
        let state = State { fates: fates.into_iter().collect(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Every call goes so.
    pub fn always(fate: MessageFate) -> Self {
        Self { state: Arc::new(Mutex::new(State { always: Some(fate), ..State::default() })) }
    }

    /// What SQS has told of the age of its oldest message: seconds since 1970, and the age.
    pub fn has_ages(&self, ages: &[(f64, f64)]) {
        self.state.lock().unwrap().ages = ages.to_vec();
    }

    /// What the consumer has told of the age of what it hands back again and again: seconds since 1970, and the age.
    pub fn has_stuck(&self, ages: &[(f64, f64)]) {
        self.state.lock().unwrap().stuck = ages.to_vec();
    }

    /// The function's client.
    pub fn client(&self) -> CloudWatch {
        let config = Builder::default()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(self.clone());
        CloudWatch::new(config)
    }

    /// Value and unit of each metric that was put last.
    pub fn put(&self) -> BTreeMap<String, (f64, String)> {
        self.state.lock().unwrap().put.clone()
    }

    /// The namespaces that were put into.
    pub fn namespaces(&self) -> Vec<String> {
        self.state.lock().unwrap().namespaces.clone()
    }

    /// The operations that were asked for, in order.
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
    fn answer(&mut self, request: &HttpRequest) -> Result<Option<HttpResponse>, ConnectorError> {
        let operation = request.uri().rsplit('/').next().unwrap().to_owned();
        self.calls.push(operation.clone());
        let body: Value = ciborium::from_reader(request.body().bytes().unwrap()).unwrap();
        match self.fates.pop_front().or(self.always) {
            Some(MessageFate::Unreachable) => Err(ConnectorError::io("connection refused".into())),
            Some(MessageFate::Hangs) => Ok(None),
            Some(MessageFate::Fails(status, code)) => {
                let fault = vec![(text("__type"), text(code)), (text("message"), text("no"))];
                Ok(Some(response(status, &Value::Map(fault))))
            }
            Some(MessageFate::Halves { .. } | MessageFate::Silent) => panic!("CloudWatch does no such thing"),
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
        let asked = ["Namespace", "MetricName"].map(|name| field(body, name).as_text().unwrap());
        let dimensions = body.as_map().unwrap().iter().any(|(key, _)| key.as_text() == Some("Dimensions"));
        let ages = match (asked, dimensions) {
            (["AWS/SQS", "ApproximateAgeOfOldestMessage"], true) => {
                let queue = &field(body, "Dimensions").as_array().unwrap()[0];
                assert_eq!(field(queue, "Value").as_text(), Some("torale-events"));
                &self.ages
            }
            (["Torale/Consumer", "StuckAge"], false) => &self.stuck,
            other => panic!("nobody tells {other:?}"),
        };
        // Only what lies in the time that was asked for, as CloudWatch has it.
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

impl HttpConnector for Stub {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.state.lock().unwrap().answer(&request) {
            Ok(Some(answer)) => HttpConnectorFuture::ready(Ok(answer)),
            Ok(None) => HttpConnectorFuture::new(std::future::pending()),
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}

impl HttpClient for Stub {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
