//! What all AWS clients of a process share: region, credentials and one connector, so that TLS roots are read and
//! checked once (`docs/adr/0013-cold-start.md`).

use crate::config;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use std::error::Error;
use std::sync::OnceLock;
use tokio::sync::OnceCell;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// The shared configuration, as the environment says. Lambda passes region and credentials in variables, so that no
/// other providers are built in a function.
pub async fn shared() -> &'static SdkConfig {
    let load = || async {
        let loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(TlsContext::default()));
        if !config::is_function() {
            return loader.load().await;
        }
        let loader = loader.region(EnvironmentVariableRegionProvider::new());
        loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()).load().await
    };
    SHARED.get_or_init(load).await
}

/// An HTTP client whose one connector is built with the first call. The SDK's own client reads and checks the TLS roots
/// for each service twice: to find out whether it can, and to use them.
pub fn http_client(tls: TlsContext) -> SharedHttpClient {
    let connector = OnceLock::new();
    http_client_fn(move |settings, _components| {
        let builder = || Connector::builder().connector_settings(settings.clone());
        let builder = || builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls.clone());
        connector.get_or_init(|| SharedHttpConnector::new(builder().build())).clone()
    })
}

/// The texts of an error and its causes, for logs. The SDK's `DisplayErrorContext` adds the raw response, which is left
/// out here.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        cause = error.source();
    }
    text
}
