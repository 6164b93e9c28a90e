//! Layers: each folder of the crate uses only what its page says it may use, and no two folders
//! use each other.
//!
//! The page of a folder (`src/pages.rs` for `src/pages/`) ends with a sentence that begins with
//! "May use". This test compares it with the paths that begin with `crate::` in the folder's code.
//! A module of a single file need not say so; it may use [`values`](torale_domain::values).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by name, each with the text of its page and of every file below it.
type Modules = BTreeMap<String, (String, Vec<(PathBuf, String)>)>;

fn modules() -> Modules {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Modules::new();
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() || name == "lib" {
            continue;
        }
        let page = fs::read_to_string(&path).unwrap();
        let mut files = vec![(path, page.clone())];
        files.extend(rust_files(&source.join(&name)));
        modules.insert(name, (page, files));
    }
    modules
}

/// Every Rust file below a folder, with its text; none if there is no such folder.
fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// The top-level modules that some code names: the word after each `crate::`.
/// Comments do not count.
fn used(code: &str) -> BTreeSet<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split("crate::").skip(1)).map(first_word).collect()
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// What a module may use, according to its page. "Everything but" lists what it may not use.
fn may_use(name: &str, page: &str, all: &BTreeSet<String>) -> BTreeSet<String> {
    let comment: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let comment = comment.join(" ");
    let (_, sentence) =
        comment.split_once("May use").unwrap_or_else(|| panic!("src/{name}.rs does not say what it may use"));
    let named: BTreeSet<String> = sentence.split("(crate::").skip(1).map(first_word).collect();
    if let Some(unknown) = named.iter().find(|named| !all.contains(*named)) {
        panic!("src/{name}.rs may use `{unknown}`, which does not exist");
    }
    if sentence.trim_start_matches(':').trim_start().starts_with("everything but") {
        all.difference(&named).cloned().collect()
    } else {
        named
    }
}

#[test]
fn each_folder_uses_only_what_its_page_says() {
    let modules = modules();
    let all: BTreeSet<String> = modules.keys().cloned().collect();
    let mut checked = 0;

    for (name, (page, files)) in &modules {
        let single_file = files.len() == 1 && !page.contains("May use");
        let mut allowed =
            if single_file { BTreeSet::from(["values".to_owned()]) } else { may_use(name, page, &all) };
        allowed.insert(name.clone());
        for (path, code) in files {
            for module in used(code) {
                let path = path.display();
                assert!(allowed.contains(&module), "{path} uses `crate::{module}`, which {name} may not");
                checked += 1;
            }
            assert!(!code.contains("use super::super"), "{}: name it from `crate::` on", path.display());
        }
    }

    assert!(checked > 100, "only {checked} uses were found");
}

#[test]
fn no_two_folders_use_each_other_even_by_way_of_others() {
    let modules = modules();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, (_, files)) in &modules {
        let mut used: BTreeSet<String> = files.iter().flat_map(|(_, code)| used(code)).collect();
        used.remove(name);
        uses.insert(name.clone(), used);
    }

    // Removes the modules that use nothing, again and again; what is left uses itself in a circle.
    while let Some(leaf) = uses.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| name.clone()) {
        uses.remove(&leaf);
        uses.values_mut().for_each(|used| used.retain(|module| *module != leaf));
    }

    assert_eq!(uses, BTreeMap::new());
}

#[test]
fn a_page_lists_what_may_be_used_or_what_may_not() {
    let all: BTreeSet<String> = ["a", "b", "c"].map(str::to_owned).into();
    let listed = "//! A page. May use:\n//! [`a`](crate::a), [`b`](crate::b).\n";
    let excluded = "//! A page. May use everything but\n//! [`c`](crate::c).\n";
    let nothing = "//! A page.\n//! May use: nothing else of this crate.\n";

    assert_eq!(may_use("page", listed, &all), ["a", "b"].map(str::to_owned).into());
    assert_eq!(may_use("page", excluded, &all), ["a", "b"].map(str::to_owned).into());
    assert_eq!(may_use("page", nothing, &all), BTreeSet::new());
    let code = "//! [`c`](crate::c)\nuse crate::a::X;\nfn f() -> crate::b::Y {}\n";
    assert_eq!(used(code), ["a", "b"].map(str::to_owned).into());
}
