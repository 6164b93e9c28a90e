//! A progress bar on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use torale_replay::ProgressMeter;

const TICK: Duration = Duration::from_millis(250);

/// Shows the progress of some work while it runs.
pub(crate) async fn watch<T>(
    title: &'static str,
    meter: &Arc<ProgressMeter>,
    items: u64,
    quiet: bool,
    work: impl Future<Output = T>,
) -> T {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(items) };
    let style = ProgressStyle::with_template(
        "{prefix:>10} {bar:30} {human_pos}/{human_len} items, {msg}, {eta} left",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(title);
    let (started, events, written) = (Instant::now(), meter.events(), meter.items());
    let mut ticks = tokio::time::interval(TICK);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick() => {
                let (read, wrote) = (meter.events() - events, meter.items() - written);
                let seconds = started.elapsed().as_secs().max(1);
                bar.set_position(wrote.min(bar.length().unwrap_or(wrote)));
                bar.set_message(format!("{wrote} done ({}/s), {read} events read ({}/s)", wrote / seconds, read / seconds));
            }
        }
    }
}
