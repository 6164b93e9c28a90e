//! What every AWS client of a process shares: region, credentials and one connector: TLS roots are read and checked
//! once, and connections are shared.

use crate::config;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use std::sync::OnceLock;
use tokio::sync::OnceCell;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// As the environment says. A function finds all in its variables, so no providers are built that it will
/// never ask.
pub async fn shared() -> &'static SdkConfig {
    let load = || async {
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        if !config::is_function() {
            return loader.load().await;
        }
        let loader = loader.region(EnvironmentVariableRegionProvider::new());
        loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()).load().await
    };
    SHARED.get_or_init(load).await
}

/// The SDK's own client builds a connector with each client, to see whether it can be built, and one more to use.
fn http_client() -> SharedHttpClient {
    let connector = OnceLock::new();
    http_client_fn(move |settings, _components| {
        let builder = || Connector::builder().connector_settings(settings.clone());
        let build = || builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
        connector.get_or_init(|| SharedHttpConnector::new(build())).clone()
    })
}
