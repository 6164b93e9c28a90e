//! The tests that `docs/defended.md` names exist, and it has a row for every number.

use crate::workspace::{read, root};
use std::collections::BTreeSet;

#[test]
fn tests_that_the_page_of_what_is_defended_names_exist() {
    let docs = root().join("docs");
    let page = read(&docs.join("defended.md"));
    let mut named = 0;

    // [`name`](file)
    for link in page.split("[`").skip(1) {
        let (name, rest) = link.split_once("`](").unwrap();
        let (file, _) = rest.split_once(')').unwrap();
        let text = read(&docs.join(file));
        let is_there = match file.rsplit('.').next() {
            Some("rs") => text.contains(&format!("fn {name}(")),
            Some("py") => text.contains(&format!("def {name}(")),
            _other => text.contains(&format!("`{name}`")),
        };
        assert!(is_there, "{name} is not in {file}");
        named += 1;
    }

    assert!(named > 30, "{named}");
    let first = |row: &str| row.strip_prefix("| ")?.split_once(' ')?.0.parse::<u32>().ok();
    let numbers: BTreeSet<u32> = page.lines().filter_map(first).collect();
    assert_eq!(numbers, (1..=18).collect());
}
