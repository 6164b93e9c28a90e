//! The clients of AWS over TLS.

use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use torale_platform::aws::http_client;
use torale_tests::stack::{Stack, config};
use torale_tests::tls::Front;

fn client(front: &Front, http: SharedHttpClient) -> Client {
    Client::from_conf(config(0).endpoint_url(&front.url).http_client(http).build())
}

fn trusting(authority: &str) -> SharedHttpClient {
    let roots = TrustStore::empty().with_pem_certificate(authority);
    http_client(TlsContext::builder().with_trust_store(roots).build().unwrap())
}

#[tokio::test]
async fn the_clients_of_a_process_share_their_connections() {
    let stack = Stack::start().await;
    let front = Front::of(stack.port).await;
    let http = trusting(&front.authority);
    for _ in 0..3 {
        let tables = client(&front, http.clone()).list_tables().send().await.unwrap();
        assert!(!tables.table_names().is_empty());
    }
    assert_eq!(front.connections(), 1);
}

#[tokio::test]
async fn a_store_that_nobody_vouches_for_is_not_spoken_to() {
    let stack = Stack::start().await;
    let (front, other) = (Front::of(stack.port).await, Front::of(stack.port).await);
    for http in [http_client(TlsContext::default()), trusting(&other.authority)] {
        let refused = client(&front, http).list_tables().send().await.unwrap_err();
        let text = format!("{refused:?}");
        assert!(text.contains("InvalidCertificate"), "{text}");
    }
}
