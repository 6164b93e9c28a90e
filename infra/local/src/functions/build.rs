//! Which functions there are, and building them.

use tokio_util::sync::CancellationToken;

use crate::error::LocalError;
use crate::event_sources::{EVENT_SOURCES, ScheduledFunction};
use crate::process;
use crate::project::{Project, Route};

/// A function and how many of its processes run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInstances {
    /// The name of the package, the binary and the Lambda function.
    pub name: String,
    /// The number of processes.
    pub instances: usize,
}

/// The functions that routes, event sources and schedules name, each once, by name.
#[must_use]
pub fn all_functions(
    routes: &[Route],
    schedules: &[ScheduledFunction],
    http_instances: usize,
    consumers: usize,
) -> Vec<FunctionInstances> {
    let http = routes.iter().map(|route| (route.function.as_str(), http_instances));
    let sources = EVENT_SOURCES.iter().map(|source| (source.function, consumers));
    let scheduled = schedules.iter().map(|schedule| (schedule.function, 1));
    let mut functions: Vec<_> = http
        .chain(sources)
        .chain(scheduled)
        .map(|(name, instances)| FunctionInstances { name: name.to_owned(), instances })
        .collect();
    functions.sort_by(|a, b| a.name.cmp(&b.name));
    functions.dedup_by(|a, b| a.name == b.name);
    functions
}

/// Builds the functions' binaries. Cargo's output goes to the user.
///
/// # Errors
/// If they do not compile, or `stop` is cancelled meanwhile.
pub async fn build(
    project: &Project,
    functions: &[FunctionInstances],
    optimised: bool,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let mut cargo = process::command("cargo");
    let binaries = functions.iter().map(|function| function.name.as_str());
    cargo.args(torale_launcher::build_arguments(optimised, binaries)).current_dir(&project.root);
    let what = "building the functions";
    let status = process::run(what, cargo, stop).await?;
    if status.success() {
        return Ok(());
    }
    Err(LocalError::Command { what: what.to_owned(), status, hint: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_sources::SCHEDULES;

    #[test]
    fn a_function_with_two_routes_is_listed_once() {
        let routes = [Route::new("GET", "/a", "one"), Route::new("POST", "/a", "one")];
        let expected =
            [("audit-seal", 1), ("command-executor", 2), ("consumer", 2), ("one", 1), ("outbox-relay", 1)];

        let functions = all_functions(&routes, SCHEDULES, 1, 2);

        assert_eq!(
            functions,
            expected.map(|(name, instances)| FunctionInstances { name: name.to_owned(), instances })
        );
    }
}
