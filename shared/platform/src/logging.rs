//! Logging: JSON lines on standard output, as Lambda collects them.

use crate::config;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard output at the level that [`config::LOG`] sets. Call it once, before anything else.
pub fn start() {
    subscriber(&config::log_directives(), std::io::stdout).init();
    log_panics();
}

/// Logs a panic as one line like any other. The line holds the place of the panic but not its message, which may
/// contain personal data.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panic");
    }));
}

/// A subscriber that writes JSON lines. It never writes anything below `info`, whatever the directives say: below that
/// level, libraries print requests with their bodies and credentials.
pub fn subscriber<W>(directives: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets =
        directives.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines.with_writer(writer)).with(filter).with(LevelFilter::INFO)
}
