//! The clients of AWS over TLS.

use aws_sdk_dynamodb::Client;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use torale_platform::aws::http_client;
use torale_testkit::stack::{Stack, config};
use torale_testkit::tls::TlsProxy;

fn client(proxy: &TlsProxy, http: SharedHttpClient) -> Client {
    Client::from_conf(config(0).endpoint_url(&proxy.url).http_client(http).build())
}

fn trusting(authority: &str) -> SharedHttpClient {
    let roots = TrustStore::empty().with_pem_certificate(authority);
    http_client(TlsContext::builder().with_trust_store(roots).build().unwrap())
}

#[tokio::test]
async fn tls_connections_are_shared_by_the_clients_of_a_process() {
    let stack = Stack::start().await;
    let proxy = TlsProxy::to(stack.port).await;
    let http = trusting(&proxy.authority);

    for _ in 0..3 {
        let tables = client(&proxy, http.clone()).list_tables().send().await.unwrap();
        assert!(!tables.table_names().is_empty());
    }

    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn tls_connections_to_a_store_with_an_unknown_certificate_are_refused() {
    let stack = Stack::start().await;
    let (proxy, other) = (TlsProxy::to(stack.port).await, TlsProxy::to(stack.port).await);

    for http in [http_client(TlsContext::default()), trusting(&other.authority)] {
        let refused = client(&proxy, http).list_tables().send().await.unwrap_err();
        let text = format!("{refused:?}");
        assert!(text.contains("InvalidCertificate"), "{text}");
    }
}
