//! The workspace: its folders, and the routes in its manifest.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::LocalError;

/// A method and path template that belong to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In upper case.
    pub method: String,
    /// For example `/admin/users/{id}/deactivate`.
    pub path: String,
    /// The function's name.
    pub function: String,
}

impl Route {
    /// A route; the method in any case.
    #[must_use]
    pub fn new(method: &str, path: &str, function: &str) -> Self {
        Self { method: method.to_uppercase(), path: path.to_owned(), function: function.to_owned() }
    }
}

/// The folders of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    /// The folder of the root manifest.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Where cargo builds to.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
}

impl Project {
    /// The workspace of the current folder, as `cargo metadata` says.
    ///
    /// # Errors
    /// If the current folder is in no workspace.
    pub async fn find() -> Result<Self, LocalError> {
        let what = "cargo metadata";
        let output = tokio::process::Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .await
            .map_err(LocalError::io(what))?;
        if !output.status.success() {
            let hint = format!(": {}", String::from_utf8_lossy(&output.stderr).trim());
            return Err(LocalError::Command { what: what.to_owned(), status: output.status, hint });
        }
        serde_json::from_slice(&output.stdout).map_err(|error| LocalError::Helper(format!("{what}: {error}")))
    }

    /// The folder of the stack's own files: the Python environment, logs, the key of the audit
    /// trail.
    #[must_use]
    pub fn stack_files(&self) -> PathBuf {
        self.target.join("local")
    }

    /// Reads the routes from `[workspace.metadata.lambda.watch.router]` of the root manifest.
    ///
    /// # Errors
    /// If the manifest cannot be read, or has no such table in the form of `cargo lambda watch`.
    pub async fn routes(&self) -> Result<Vec<Route>, LocalError> {
        let path = self.root.join("Cargo.toml");
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(LocalError::io(path.display().to_string()))?;
        parse_routes(&path, &text)
    }
}

#[derive(Deserialize)]
struct RouterEntry {
    method: String,
    function: String,
}

fn parse_routes(path: &Path, text: &str) -> Result<Vec<Route>, LocalError> {
    let wrong = |reason: String| LocalError::Manifest { path: path.to_owned(), reason };
    let manifest: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut table = toml::Value::Table(manifest);
    for key in ["workspace", "metadata", "lambda", "watch", "router"] {
        table = table
            .get(key)
            .cloned()
            .ok_or_else(|| wrong("[workspace.metadata.lambda.watch.router] is missing".to_owned()))?;
    }
    let router: std::collections::BTreeMap<String, Vec<RouterEntry>> =
        table.try_into().map_err(|error| wrong(error.to_string()))?;
    Ok(router
        .into_iter()
        .flat_map(|(path, entries)| {
            entries.into_iter().map(move |entry| Route::new(&entry.method, &path, &entry.function))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_from_the_router_table() {
        let text = r#"
            [workspace.metadata.lambda.watch.router]
            "/admin/stats" = [{ method = "GET", function = "stats" }]
            "/admin/users/{id}/deactivate" = [{ method = "PATCH", function = "deactivate-user" }]
        "#;
        let routes = parse_routes(Path::new("Cargo.toml"), text).unwrap();
        assert_eq!(
            routes,
            vec![
                Route::new("GET", "/admin/stats", "stats"),
                Route::new("PATCH", "/admin/users/{id}/deactivate", "deactivate-user"),
            ]
        );
    }

    #[test]
    fn missing_router_table_is_named() {
        let error = parse_routes(Path::new("Cargo.toml"), "[workspace]").unwrap_err();
        assert!(error.to_string().contains("workspace.metadata.lambda.watch.router"), "{error}");
    }

    #[tokio::test]
    async fn this_workspace_has_routes() {
        let routes = Project::find().await.unwrap().routes().await.unwrap();
        assert!(routes.contains(&Route::new("GET", "/admin/stats", "stats")), "{routes:?}");
    }
}
