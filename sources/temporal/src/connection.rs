//! The connection to Temporal's frontend: TLS, API key, a time limit for each call.

use std::future::Future;
use std::sync::Arc;
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, Status};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, GrpcCompression, RetryOptions, TlsOptions, Url,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use torale_platform::aws::causes;
use torale_platform::config;

/// The detail of a `NOT_FOUND` that is about the namespace and not about what was looked for in it.
const NO_NAMESPACE: &[u8] = b"temporal.api.errordetails.v1.NamespaceNotFoundFailure";

/// Why a call of Temporal failed.
#[derive(Debug, thiserror::Error)]
pub enum TemporalError {
    /// The address is missing or invalid, or the API key would be sent unencrypted.
    #[error(
        "TEMPORAL_ADDRESS is no address of Temporal's frontend, or an unencrypted one beside TEMPORAL_API_KEY"
    )]
    Misconfigured,
    /// Temporal did not respond in time.
    #[error("Temporal timed out")]
    TimedOut,
    /// There is no connection to Temporal.
    #[error("Temporal unreachable: {0}")]
    Unreachable(String),
    /// Temporal responded with an error.
    #[error("Temporal answered {0:?}: {1}")]
    Answered(Code, String),
}

impl TemporalError {
    /// Whether Temporal did not answer, or answered that it is unavailable. Any other answer came over a connection
    /// that works.
    pub const fn is_unanswered(&self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable(_) => true,
            Self::Answered(code, _) => matches!(code, Code::Unavailable),
            // It fails at once, without a call.
            Self::Misconfigured => false,
        }
    }
}

/// A connection that is opened when it is first needed, and again after a call without an answer.
pub struct TemporalConnection {
    settings: config::TemporalSettings,
    connected: Mutex<Option<Arc<Client>>>,
}

impl TemporalConnection {
    /// A connection with these settings. It does not connect yet.
    pub fn new(settings: config::TemporalSettings) -> Self {
        Self { settings, connected: Mutex::default() }
    }

    /// Makes a call within the settings' time limit, connecting included. A connection that was idle while Lambda froze
    /// the function may be dead; then the call is made once more with a new one, so it must be one that may be
    /// repeated.
    ///
    /// # Errors
    /// The call's own error, or why there is no connection.
    pub async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, TemporalError>
    where
        F: Future<Output = Result<T, TemporalError>>,
    {
        let deadline = Instant::now() + self.settings.timeout;
        let (answer, existed) = self.call_once(&call, deadline).await;
        if existed && matches!(answer, Err(TemporalError::Answered(Code::Unavailable, _))) {
            return self.call_once(&call, deadline).await.0;
        }
        answer
    }

    /// Makes a call; returns its answer, and whether the connection existed before. One that gave no answer is left:
    /// the next call connects again.
    async fn call_once<T, F>(
        &self,
        call: impl Fn(Client) -> F,
        deadline: Instant,
    ) -> (Result<T, TemporalError>, bool)
    where
        F: Future<Output = Result<T, TemporalError>>,
    {
        let connected = timeout_at(deadline, self.client()).await;
        let (client, existed) = match connected.unwrap_or(Err(TemporalError::TimedOut)) {
            Ok(connected) => connected,
            Err(error) => return (Err(error), false),
        };
        let answer = timeout_at(deadline, call(Client::clone(&client))).await;
        let answer = answer.unwrap_or(Err(TemporalError::TimedOut));
        if answer.as_ref().is_err_and(TemporalError::is_unanswered) {
            self.leave(&client);
        }
        (answer, existed)
    }

    /// The connection, and whether it existed before.
    async fn client(&self) -> Result<(Arc<Client>, bool), TemporalError> {
        let mut connected = self.connected.lock().await;
        if let Some(client) = connected.as_ref() {
            return Ok((Arc::clone(client), true));
        }
        let options = ClientOptions::new(&self.settings.namespace).build();
        let client = Client::connect(connection(&self.settings)?, options).await.map_err(unconnected)?;
        let client = Arc::new(client);
        *connected = Some(Arc::clone(&client));
        Ok((client, false))
    }

    /// Drops this connection, unless another one has taken its place or is being opened.
    fn leave(&self, client: &Arc<Client>) {
        if let Ok(mut connected) = self.connected.try_lock() {
            connected.take_if(|current| Arc::ptr_eq(current, client));
        }
    }
}

/// Whether an answer says that what was asked about does not exist, in a namespace that does.
pub fn is_absent(status: &Status) -> bool {
    let names_namespace = || status.details().windows(NO_NAMESPACE.len()).any(|part| part == NO_NAMESPACE);
    status.code() == Code::NotFound && !names_namespace()
}

/// The error that an answer is. The client's own time limit for a call looks like an answer: nobody else cancels one.
pub fn answered(status: &Status) -> TemporalError {
    if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
        return TemporalError::TimedOut;
    }
    TemporalError::Answered(status.code(), status.message().to_owned())
}

fn unconnected(error: ClientConnectError) -> TemporalError {
    if let ClientConnectError::SystemInfoCallError(status) = &error {
        return answered(status);
    }
    // A certificate that is not trusted is among the causes.
    TemporalError::Unreachable(causes(&error))
}

/// How to connect. Without retries, since a failed command comes again from the queue, and the sync every minute;
/// without compression, since requests are small.
fn connection(settings: &config::TemporalSettings) -> Result<ConnectionOptions, TemporalError> {
    let target = target(settings).ok_or(TemporalError::Misconfigured)?;
    let tls = (target.scheme() == "https").then(TlsOptions::default);
    Ok(ConnectionOptions::new(target)
        .identity("torale-admin")
        .maybe_tls_options(tls)
        .maybe_api_key(settings.api_key.clone())
        .retry_options(RetryOptions::no_retries())
        .connect_timeout(settings.timeout)
        .dns_load_balancing(None)
        .grpc_compression(GrpcCompression::None)
        .build())
}

/// The address with its scheme; `None` if it is invalid, or if an API key would leave this machine unencrypted.
fn target(settings: &config::TemporalSettings) -> Option<Url> {
    let address = &settings.address;
    let scheme = if settings.api_key.is_some() { "https" } else { "http" };
    let url = if address.contains("://") { address.clone() } else { format!("{scheme}://{address}") };
    let url = Url::parse(&url).ok().filter(Url::has_host)?;
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Some(url),
        "http" if settings.api_key.is_none() || is_local => Some(url),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn target_of(address: &str, api_key: Option<&str>) -> Option<String> {
        let settings = config::TemporalSettings {
            address: address.to_owned(),
            namespace: "default".to_owned(),
            api_key: api_key.map(str::to_owned),
            timeout: Duration::from_secs(1),
        };
        target(&settings).map(|url| url.to_string())
    }

    #[test]
    fn address_without_scheme_gets_one() {
        let is = |url: &str| Some(url.to_owned());
        assert_eq!(target_of("temporal.internal:7233", None), is("http://temporal.internal:7233/"));
        assert_eq!(target_of("x.tmprl.cloud:7233", Some("key")), is("https://x.tmprl.cloud:7233/"));
        assert_eq!(target_of("https://x.tmprl.cloud:7233", None), is("https://x.tmprl.cloud:7233/"));
    }

    #[test]
    fn api_key_is_never_sent_unencrypted_to_another_machine() {
        assert_eq!(target_of("http://temporal.internal:7233", Some("key")), None);
        assert_eq!(target_of("http://127.0.0.1.example.org:7233", Some("key")), None);
        assert!(target_of("http://127.0.0.1:7233", Some("key")).is_some());
        assert!(target_of("http://[::1]:7233", Some("key")).is_some());
    }

    #[test]
    fn end_of_the_clients_own_time_is_a_timeout() {
        let status = Status::cancelled("Timeout expired");
        assert!(matches!(answered(&status), TemporalError::TimedOut));
        assert!(matches!(answered(&Status::deadline_exceeded("late")), TemporalError::TimedOut));
        assert!(matches!(answered(&Status::not_found("no")), TemporalError::Answered(Code::NotFound, _)));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for address in ["", "://", "ftp://temporal:7233", "a b:7233", ":7233"] {
            assert_eq!(target_of(address, None), None, "{address}");
        }
    }
}
