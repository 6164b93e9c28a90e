//! Rules of the repository that no compiler holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// What a file says before its tests begin.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[track_caller]
fn only_in(folders: &[&str], pattern: &str, allowed: &[&str]) {
    let all = folders.iter().flat_map(|folder| sources(folder));
    let found: BTreeSet<String> =
        all.filter(|(_, text)| product(text).contains(pattern)).map(|(name, _)| name).collect();
    let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, allowed, "{pattern}");
}

const PRODUCT: [&str; 3] = ["shared/domain/src", "shared/platform/src", "functions"];

#[test]
fn the_core_has_no_dependency_that_could_reach_outside() {
    let manifest: toml::Table =
        fs::read_to_string(root().join("shared/domain/Cargo.toml")).unwrap().parse().unwrap();
    let pure = [
        "base64",
        "chrono",
        "ed25519-dalek",
        "form_urlencoded",
        "jiff",
        "percent-encoding",
        "schemars",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "uuid",
    ];
    for name in manifest["dependencies"].as_table().unwrap().keys() {
        assert!(pure.contains(&name.as_str()), "{name}: is it pure?");
    }
}

#[test]
fn environment_clock_and_randomness_are_read_in_one_place_each() {
    only_in(&PRODUCT, "env::var", &["shared/platform/src/config.rs"]);
    only_in(&PRODUCT, "Utc::now", &["shared/platform/src/clock.rs"]);
    only_in(&PRODUCT, "SystemTime::now", &[]);
    only_in(&PRODUCT, "new_v4", &["shared/platform/src/clock.rs"]);
    only_in(&PRODUCT, "fastrand::", &["shared/platform/src/clock.rs"]);
}

#[test]
fn tables_are_named_and_amounts_are_added_in_one_place() {
    only_in(&PRODUCT, "\"torale-projections", &["shared/domain/src/keys.rs"]);
    only_in(&["shared/platform/src", "functions"], "\"ADD\"", &["shared/platform/src/store/transact.rs"]);
}

#[test]
fn handlers_decide_nothing() {
    for (name, text) in sources("functions").into_iter().filter(|(_, text)| text.contains("impl Handler for"))
    {
        let body = text.split("async fn handle").nth(1).unwrap();
        assert!(body.lines().count() <= 12, "{name}: a handler over its length");
        assert!(!body.contains(" if ") && !body.contains("match "), "{name}: a handler that decides");
    }
}
