//! Reads of the store without the SDK's orchestration (docs/adr/0028-reads-without-orchestration.md).

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use torale_domain::projections::generation::GenerationPointer;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::Range;
use torale_domain::values::digest::{sha256, sha256_hex};
use torale_platform::store::calls::{BatchRead, ForeignAttributes, RangeQuery};
use torale_platform::store::{Store, Usage};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::stack::{Stack, config};

/// A request as it leaves.
#[derive(Debug, Clone)]
struct Sent {
    headers: BTreeMap<String, String>,
    uri: String,
    body: Vec<u8>,
}

/// Keeps the requests of a client.
#[derive(Debug, Clone, Default)]
struct KeepSent(Arc<Mutex<Vec<Sent>>>);

impl Intercept for KeepSent {
    fn name(&self) -> &'static str {
        "keep requests"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (headers, uri) = (headers.collect(), request.uri().to_owned());
        let body = request.body().bytes().unwrap().to_vec();
        self.0.lock().unwrap().push(Sent { headers, uri, body });
        Ok(())
    }
}

/// Whether a request is one of the SDK's own.
fn is_orchestrated(sent: &Sent) -> bool {
    sent.headers.contains_key("amz-sdk-invocation-id")
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = sha256(&[&[&pad(0x36), message].concat()]);
    sha256(&[&[pad(0x5c).as_slice(), &inner].concat()])
}

/// The signature of a request to `/`, by Amazon's description of Signature Version 4.
fn signature(sent: &Sent, secret: &str, signed: &str) -> String {
    let host = sent.uri.trim_start_matches("http://").trim_end_matches('/');
    let header = |name: &str| match name {
        "host" => format!("host:{host}\n"),
        name => format!("{name}:{}\n", sent.headers[name].trim()),
    };
    let headers: String = signed.split(';').map(header).collect();
    let request = format!("POST\n/\n\n{headers}\n{signed}\n{}", sha256_hex(&[&sent.body]));
    let at = &sent.headers["x-amz-date"];
    let scope = format!("{}/us-east-1/dynamodb/aws4_request", &at[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", sha256_hex(&[request.as_bytes()]));
    let secret = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(secret, |key, part| hmac(&key, part.as_bytes()).into());
    hmac(&key, text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The embedded store does not look at signatures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_reads_leave_without_the_sdks_orchestration_and_with_a_valid_signature() {
    let (stack, sent) = (Stack::start().await, KeepSent::default());
    let credentials = Credentials::new("test", "a secret", Some("a token".to_owned()), None, "test");
    let store = Store::new(config(stack.port).credentials_provider(credentials).interceptor(sent.clone()));

    for _ in 0..3 {
        store.control(&keys::live_generation(), &Usage::default()).await.unwrap();
    }

    let sent = sent.0.lock().unwrap().clone();
    assert_eq!(sent.iter().map(is_orchestrated).collect::<Vec<_>>(), [true, false, false]);
    for request in &sent {
        let authorization = &request.headers["authorization"];
        let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        for name in ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"] {
            assert!(signed.split(';').any(|header| header == name), "{name} is not signed: {authorization}");
        }
        assert_eq!(request.headers["x-amz-security-token"], "a token");
        let expected = format!("Signature={}", signature(request, "a secret", signed));
        assert!(authorization.ends_with(&expected), "{authorization} does not end with {expected}");
    }
}

/// The requests that the SDK and a direct read make for the same call.
async fn both_requests(stack: &Stack, read: impl AsyncFn(&Store)) -> [Sent; 2] {
    let sent = KeepSent::default();
    let store = Store::new(config(stack.port).interceptor(sent.clone()));
    read(&store).await;
    read(&store).await;
    let sent: [Sent; 2] = sent.0.lock().unwrap().clone().try_into().unwrap();
    assert_eq!(sent.each_ref().map(is_orchestrated), [true, false]);
    sent
}

/// A field that only one of them sent would be lost from an instance's second call on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_reads_send_what_the_sdk_sends() {
    let (stack, usage) = (Stack::start().await, Usage::default());
    let key = keys::live_generation();
    let range = Range {
        pk: key.pk.clone(),
        from: Some("a".to_owned()),
        to: Some("z".to_owned()),
        descending: true,
        limit: Some(7),
        attributes: Some(&["generation", "lanes"]),
    };
    let get = async |store: &Store| drop(store.calls().get(CONTROL_TABLE, &key, &usage).await.unwrap());
    let batch = async |store: &Store, attributes| {
        let keys = vec![key.clone(), keys::last_generation()];
        let foreign = ForeignAttributes::Refuse;
        let batch = BatchRead { table: CONTROL_TABLE, keys, attributes, consistent: false, foreign };
        store.calls().get_batch(batch, &usage).await.unwrap();
    };
    let query = async |store: &Store| {
        let (after, foreign) = (Some(key.clone()), ForeignAttributes::Refuse);
        let query =
            RangeQuery { table: CONTROL_TABLE, range: range.clone(), after, consistent: true, foreign };
        store.calls().query(query, &usage).await.unwrap();
    };

    for [sdk, direct] in [
        both_requests(&stack, get).await,
        both_requests(&stack, async |store| batch(store, None).await).await,
        both_requests(&stack, async |store| batch(store, Some(&["generation", "lanes"])).await).await,
        both_requests(&stack, query).await,
    ] {
        let json = |sent: &Sent| serde_json::from_slice::<serde_json::Value>(&sent.body).unwrap();
        assert_eq!(json(&direct), json(&sdk));
        assert_eq!(direct.uri, sdk.uri);
        for name in ["content-type", "x-amz-target", "user-agent"] {
            assert_eq!(direct.headers[name], sdk.headers[name], "{name}");
        }
    }
}

/// Once refused for want of capacity, a read succeeds by the SDK, which counts as one read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_that_fails_is_made_again_by_the_sdk() {
    let (stack, sent, fails) = (Stack::start().await, KeepSent::default(), Arc::new(AtomicBool::new(false)));
    let throttled = fails.clone();
    let throttling = Interceptor::before(|_| Ok(())).after(move |_| {
        let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slower"}"#;
        Ok(throttled.swap(false, Ordering::SeqCst).then(|| body.to_owned()))
    });
    let store = Store::new(config(stack.port).interceptor(throttling).interceptor(sent.clone()));
    let read = async |usage: &Usage| {
        let item = store.control(&keys::live_generation(), usage).await.unwrap();
        GenerationPointer::load(item.as_ref()).unwrap()
    };
    let before = read(&Usage::default()).await;
    fails.store(true, Ordering::SeqCst);
    let usage = Usage::default();

    let after = read(&usage).await;

    assert_eq!(before, after);
    assert_eq!(usage.read_units(), 1.0);
    let sent = sent.0.lock().unwrap().iter().map(is_orchestrated).collect::<Vec<_>>();
    assert_eq!(sent, [true, false, true]);
}
