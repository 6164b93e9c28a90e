//! How the local stack is built.
//!
//! Cargo chooses the features of shared dependencies anew for each set of packages that one command
//! selects: after a build of other packages even Tokio and the AWS SDK are compiled once more. So
//! every build of the stack selects the whole workspace and names the binaries that it needs. What
//! two builds of a profile have in common is then compiled once.

/// Cargo's arguments to build some binaries of the workspace, optimised or not.
#[must_use]
pub fn build_arguments<'a>(optimised: bool, binaries: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut arguments = vec!["build", "--workspace"];
    if optimised {
        arguments.extend(["--profile", OPTIMISED]);
    }
    for binary in binaries {
        arguments.extend(["--bin", binary]);
    }
    arguments
}

/// The folder of a build's binaries below the target folder.
#[must_use]
pub fn build_folder(optimised: bool) -> &'static str {
    if optimised { OPTIMISED } else { "debug" }
}

const OPTIMISED: &str = "fast";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_selects_the_whole_workspace_so_that_features_stay_the_same() {
        assert_eq!(build_arguments(false, ["a"]), ["build", "--workspace", "--bin", "a"]);
        assert_eq!(
            build_arguments(true, ["a", "b"]),
            ["build", "--workspace", "--profile", "fast", "--bin", "a", "--bin", "b"]
        );
    }
}
