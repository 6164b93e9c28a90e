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
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use torale_domain::audit::verify::{HourSpan, TrailVerifier};
use torale_platform::audit::seal::{SealError, Sealer, Signer};
use torale_platform::config::AuditKey;
use torale_platform::store::Usage;
use torale_tests::generate;
use torale_tests::stack::{self, NOW, Stack};

/// What KMS is asked, and how many of its next answers are failures.
#[derive(Default)]
struct Kms {
    asked: Vec<(String, Value)>,
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
    kms.asked.push((operation.clone(), body.clone()));
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
async fn a_trail_sealed_with_a_key_in_kms_is_intact() {
    let (kms, key) = start(Kms::default()).await;
    let (stack, key) = (Stack::start().await, SealingKey::Kms(key.unwrap()));
    stack.consume(&generate::admin()).await;
    assert_eq!(stack.get("/admin/stats", "").await.0, 200);
    // Two of its answers may fail: the client tries again.
    kms.lock().unwrap().failures = 2;
    let done = stack::sealed(&Sealer::new(&stack.store(), &key, || NOW, &Usage::default())).await.unwrap();
    assert_eq!((done.seals, done.records), (1, 1));
    let mut verifier = TrailVerifier::new(HourSpan::default());
    stack.audit_items().await.iter().for_each(|item| verifier.add(item));
    assert_eq!(verifier.finish(&[*key.key()], None, None).faults, []);
    let asked = kms.lock().unwrap().asked.clone();
    let operations: Vec<_> = asked.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["GetPublicKey", "Sign", "Sign", "Sign"]);
    assert_eq!(asked[1].1["KeyId"], "alias/audit");
    assert_eq!(asked[1].1["MessageType"], "RAW");
    assert_eq!(asked[1].1["SigningAlgorithm"], "ED25519_SHA_512");
}

#[tokio::test]
async fn without_its_key_nothing_is_sealed_and_nothing_lost() {
    let (kms, key) = start(Kms::default()).await;
    let (stack, key) = (Stack::start().await, key.unwrap());
    stack.consume(&generate::admin()).await;
    assert_eq!(stack.get("/admin/stats", "").await.0, 200);
    let run = async || stack::sealed(&Sealer::new(&stack.store(), &key, || NOW, &Usage::default())).await;
    kms.lock().unwrap().failures = 3;
    assert!(matches!(run().await, Err(SealError::Signing(_))));
    assert_eq!(run().await.unwrap().records, 1);
}

/// A seal of somebody else's stands there, and the key does nothing: the one must not hide the other.
#[tokio::test]
async fn what_was_found_is_told_even_if_the_key_fails() {
    let (kms, key) = start(Kms::default()).await;
    let (stack, key) = (Stack::start().await, key.unwrap());
    stack.consume(&generate::admin()).await;
    assert_eq!(stack.get("/admin/stats", "").await.0, 200);
    stack.seal().await;
    assert_eq!(stack.get("/admin/stats", "").await.0, 200);
    kms.lock().unwrap().failures = 3;
    let (store, usage) = (stack.store(), Usage::default());
    let (done, run) = Sealer::new(&store, &key, || NOW, &usage).run(Instant::now() + stack::LONG).await;
    assert!(matches!(run, Err(SealError::Signing(_))), "{run:?}");
    assert_eq!(audit_seal::alarm_metrics(&done).metrics, [("ForeignSeals", "Count", 1)]);
}

#[tokio::test]
async fn a_key_that_cannot_seal_is_refused_at_the_start() {
    let failing = start(Kms { failures: 3, ..Kms::default() }).await.1;
    assert!(matches!(failing, Err(SealError::Signing(_))));
    let other_kind = start(Kms { key: Some(vec![0x30, 0x00]), ..Kms::default() }).await.1;
    assert!(matches!(other_kind, Err(SealError::Signing(_))));
    for (setting, reason) in [
        (AuditKey::Missing, "no key is set"),
        (AuditKey::File("no/such/file.pem".to_owned()), "the key's file"),
    ] {
        let refused = SealingKey::load(setting).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}
