//! A key that stays in KMS, against a KMS over HTTP: good, slow, failing, and of the wrong kind.

use audit_seal::SealingKey;
use audit_seal::kms::KmsKey;
use aws_sdk_kms::config::{BehaviorVersion, Builder, Credentials, Region};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use stats::Stats;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use torale_domain::audit::verify::{HourSpan, TrailVerifier};
use torale_platform::audit::seal::{SealError, Sealer, Signer};
use torale_platform::config::AuditKey;
use torale_platform::store::Usage;
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given_an_admin};
use torale_testkit::stack::{self, NOW};

/// The requests to KMS, and how many of its next answers are failures.
#[derive(Default)]
struct Kms {
    requests: Vec<(String, Value)>,
    failures: usize,
    key: Option<Vec<u8>>,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

async fn answer(
    State(kms): State<Arc<Mutex<Kms>>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut kms = kms.lock().unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    kms.requests.push((operation.clone(), body.clone()));
    if kms.failures > 0 {
        kms.failures -= 1;
        return (StatusCode::INTERNAL_SERVER_ERROR, json!({ "__type": "KMSInternalException" }).to_string());
    }
    let answer = if operation == "GetPublicKey" {
        let der = key().verifying_key().to_public_key_der().unwrap().into_vec();
        json!({ "PublicKey": STANDARD.encode(kms.key.clone().unwrap_or(der)) })
    } else {
        let message = STANDARD.decode(body["Message"].as_str().unwrap()).unwrap();
        json!({ "Signature": STANDARD.encode(key().sign(&message).to_bytes()) })
    };
    (StatusCode::OK, answer.to_string())
}

async fn start(kms: Kms) -> (Arc<Mutex<Kms>>, Result<KmsKey, SealError>) {
    let kms = Arc::new(Mutex::new(kms));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(answer)).with_state(kms.clone());
    tokio::spawn(async { axum::serve(listener, router).await });
    let config = Builder::default()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    let connected = KmsKey::new(config, "alias/audit".to_owned()).await;
    (kms, connected)
}

#[tokio::test]
async fn trail_sealed_with_a_key_in_kms_is_intact_even_if_two_answers_fail() {
    let (kms, key) = start(Kms::default()).await;
    let (scenario, key) = (with_one_record().await, SealingKey::Kms(key.unwrap()));
    kms.lock().unwrap().failures = 2;

    let (store, usage) = (scenario.store(), Usage::default());
    let report = stack::sealed(&Sealer::new(&store, &key, || NOW, &usage)).await.unwrap();

    assert_eq!((report.seals, report.records), (1, 1));

    let mut verifier = TrailVerifier::new(HourSpan::default());
    scenario.audit_items().await.iter().for_each(|item| verifier.add(item));

    assert_eq!(verifier.finish(&[*key.key()], None, None).faults, []);

    let requests = kms.lock().unwrap().requests.clone();
    let operations: Vec<_> = requests.iter().map(|(operation, _)| operation.as_str()).collect();

    assert_eq!(operations, ["GetPublicKey", "Sign", "Sign", "Sign"]);
    assert_eq!(requests[1].1["KeyId"], "alias/audit");
    assert_eq!(requests[1].1["MessageType"], "RAW");
    assert_eq!(requests[1].1["SigningAlgorithm"], "ED25519_SHA_512");
}

/// One request was recorded, and nothing is sealed.
async fn with_one_record() -> Scenario {
    let scenario = given_an_admin().start().await;
    assert_eq!(scenario.when(get::<Stats>("")).await.status, 200);
    scenario
}

#[tokio::test]
async fn seal_without_its_key_is_an_error_and_the_next_run_seals_everything() {
    let (kms, key) = start(Kms::default()).await;
    let (scenario, key) = (with_one_record().await, key.unwrap());
    let run = async || stack::sealed(&Sealer::new(&scenario.store(), &key, || NOW, &Usage::default())).await;

    kms.lock().unwrap().failures = 3;

    assert!(matches!(run().await, Err(SealError::Signing(_))));

    assert_eq!(run().await.unwrap().records, 1);
}

/// The last seal is of another key, and this key fails: the one must not hide the other.
#[tokio::test]
async fn seal_of_another_key_is_reported_even_if_the_own_key_fails() {
    let (kms, key) = start(Kms::default()).await;
    let (scenario, key) = (with_one_record().await, key.unwrap());
    scenario.seal().await;

    assert_eq!(scenario.when(get::<Stats>("")).await.status, 200);

    kms.lock().unwrap().failures = 3;

    let (store, usage) = (scenario.store(), Usage::default());
    let (report, run) = Sealer::new(&store, &key, || NOW, &usage).run(Instant::now() + stack::LONG).await;

    assert!(matches!(run, Err(SealError::Signing(_))), "{run:?}");
    assert_eq!(audit_seal::alarm_metrics(&report).metrics, [("ForeignSeals", "Count", 1)]);
}

#[tokio::test]
async fn sealing_key_that_cannot_seal_is_refused_at_the_start() {
    let failing = start(Kms { failures: 3, ..Kms::default() }).await.1;
    let other_kind = start(Kms { key: Some(vec![0x30, 0x00]), ..Kms::default() }).await.1;

    assert!(matches!(failing, Err(SealError::Signing(_))));
    assert!(matches!(other_kind, Err(SealError::Signing(_))));
}

#[tokio::test]
async fn sealing_key_that_is_not_configured_is_an_error_with_the_reason() {
    for (setting, reason) in [
        (AuditKey::Missing, "no key is set"),
        (AuditKey::File("no/such/file.pem".to_owned()), "the key's file"),
    ] {
        let refused = SealingKey::load(setting).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}
