//! What every AWS client of a process shares: region, credentials and one HTTP client with its TLS roots, loaded once.

use crate::config;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// As the environment says. A function finds all in its variables, so no providers are built that it will
/// never ask.
pub async fn shared() -> &'static SdkConfig {
    let load = || async {
        if !config::is_function() {
            return aws_config::load_defaults(BehaviorVersion::latest()).await;
        }
        let loader = aws_config::defaults(BehaviorVersion::latest());
        let loader = loader.region(EnvironmentVariableRegionProvider::new());
        loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()).load().await
    };
    SHARED.get_or_init(load).await
}
