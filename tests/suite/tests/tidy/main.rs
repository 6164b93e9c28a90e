//! Rules of the repository that no compiler holds, over every crate of the workspace and every document.
//!
//! | file | rule |
//! |---|---|
//! | `modules.rs` | no crate has a cycle of modules |
//! | `names.rs` | no public type name stands for two things |
//! | `places.rs` | clock, environment, randomness, printing, table names and sums each have one place; handlers decide nothing |
//! | `language.rs` | public documents and docstrings use the field's terms |
//! | `defended.rs` | the tests that `docs/defended.md` names exist |
//! | `json.rs` | JSON from outside is read into a tree of values in one place |
//! | `links.rs` | every relative link leads to a file, and to a heading of it |
//!
//! An allow-list only shrinks: an entry that is no longer needed fails the test.
#![allow(clippy::disallowed_methods, reason = "tests read files of the workspace")]

mod defended;
mod json;
mod language;
mod links;
mod modules;
mod names;
mod places;
mod syntax;
mod workspace;

use std::collections::BTreeSet;

/// What a rule finds must be exactly what is still allowed.
#[track_caller]
fn assert_only_allowed(rule: &str, found: &BTreeSet<String>, allowed: &[&str]) {
    let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let (new, gone) = (found - &allowed, &allowed - found);
    assert!(new.is_empty(), "{rule}: {new:#?}");
    assert!(gone.is_empty(), "{rule}: these no longer occur, take them off the allow-list: {gone:#?}");
}

#[test]
fn allow_list_fails_for_a_new_entry_and_for_one_that_is_gone() {
    let found = BTreeSet::from(["a".to_owned()]);
    let passes = |allowed: &'static [&str]| {
        std::panic::catch_unwind(|| assert_only_allowed("rule", &BTreeSet::from(["a".to_owned()]), allowed))
    };

    assert_only_allowed("rule", &found, &["a"]);
    assert!(passes(&[]).is_err(), "a new entry");
    assert!(passes(&["a", "b"]).is_err(), "an entry that is gone");
}
