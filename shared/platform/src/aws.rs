//! What every AWS client of a process shares: region, credentials and one HTTP client, loaded once. Loading it is most
//! of what a cold start costs, because of the TLS roots.

use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// As the environment says.
pub async fn shared() -> &'static SdkConfig {
    SHARED.get_or_init(|| aws_config::load_defaults(BehaviorVersion::latest())).await
}
