//! The crates and documents of the workspace, as they lie on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A path as it is named from the repository's root.
pub fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/")
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What builds, downloads and tools leave behind.
const NOT_OURS: [&str; 5] = ["target", "node_modules", "venv", "corpus", "artifacts"];

/// Every file below a folder with one of some endings, in order.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let last = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !last.starts_with('.') && !NOT_OURS.contains(&last) {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The folders of the packages that the workspace's manifest lists.
pub fn packages() -> Vec<PathBuf> {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let mut packages = BTreeSet::new();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        match member.as_str().unwrap().strip_suffix("/*") {
            None => drop(packages.insert(root().join(member.as_str().unwrap()))),
            Some(folder) => {
                let folders = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
                packages.extend(folders.filter(|folder| folder.join("Cargo.toml").exists()));
            }
        }
    }
    packages.into_iter().collect()
}

/// The root file of every crate of a package: library, binaries, tests and examples.
pub fn crates(package: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> =
        ["src/lib.rs", "src/main.rs", "build.rs"].map(|file| package.join(file)).into();
    for folder in ["src/bin", "tests", "examples"].map(|folder| package.join(folder)) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            roots.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    roots.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "rs"));
    roots.sort();
    roots
}

/// The root files of all crates of the workspace.
pub fn all_crates() -> Vec<PathBuf> {
    let all: Vec<PathBuf> = packages().iter().flat_map(|package| crates(package)).collect();
    assert!(all.len() > 40, "the workspace has lost its crates: {all:?}");
    all
}

#[test]
fn packages_and_crates_of_the_workspace_are_found() {
    let packages: Vec<String> = packages().iter().map(|path| name(path)).collect();
    let crates: Vec<String> = all_crates().iter().map(|path| name(path)).collect();

    for package in ["shared/domain", "functions/stats", "infra/local", "tests/suite", "tools"] {
        assert!(packages.iter().any(|found| found == package), "{package}");
    }
    for root in ["shared/domain/src/lib.rs", "functions/stats/src/main.rs", "tests/suite/tests/tidy/main.rs"]
    {
        assert!(crates.iter().any(|found| found == root), "{root}");
    }
}

/// Of a target whose manifest says that it has no tests, cargo makes no test program: a test in it would not be run.
#[test]
fn target_that_is_not_tested_has_no_test() {
    let is_untested = |target: &toml::Value| target.get("test") == Some(&toml::Value::Boolean(false));
    let mut untested = 0;
    for package in packages() {
        let manifest: toml::Table = read(&package.join("Cargo.toml")).parse().unwrap();
        let library = manifest.get("lib").filter(|target| is_untested(target));
        let programs = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
        let programs = programs.filter(|target| is_untested(target)).map(|target| match target.get("path") {
            Some(path) => package.join(path.as_str().unwrap()),
            None => program_of(&package, target["name"].as_str().unwrap()),
        });
        let library = library.into_iter().flat_map(|_| files(&package.join("src"), "rs"));
        for file in library.chain(programs) {
            untested += 1;
            let text = read(&file);
            let test = ["#[test]", "::test", "proptest!"].into_iter().find(|test| text.contains(test));
            assert_eq!(test, None, "{} has a test, and its manifest says `test = false`", name(&file));
        }
    }
    assert!(untested > 50, "{untested} files");
}

/// Where cargo looks for a program whose manifest names no path.
fn program_of(package: &Path, name: &str) -> PathBuf {
    let own = package.join("src/bin").join(name).with_extension("rs");
    if own.is_file() { own } else { package.join("src/main.rs") }
}
