//! Every relative link in a document leads to a file of the repository, and to a heading of it where it names one.

use crate::workspace::{files, name, read, root};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a document links to.
fn links(text: &str) -> Vec<String> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.into_string())
            }
            _ => None,
        })
        .collect()
}

/// The anchors that GitHub gives to a document's headings, and those that it sets itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut found, mut counts) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap());
                let count = counts.entry(slug.clone()).or_default();
                found.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
                *count += 1;
            }
            Event::Text(text) | Event::Code(text) => {
                heading.iter_mut().for_each(|heading| heading.push_str(&text))
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let set = ["id=\"", "name=\""].into_iter().filter_map(|name| html.split_once(name));
                found.extend(set.map(|(_, rest)| rest.split('"').next().unwrap().to_owned()));
            }
            _ => {}
        }
    }
    found
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What is wrong with a link of a document; nothing if it leads out of the repository.
fn fault(document: &Path, text: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = document.parent().unwrap().join(file);
    if !file.is_empty() && !target.exists() {
        return Some("no such file".to_owned());
    }
    let text = match file {
        "" => text.to_owned(),
        _ if anchor.is_empty() => return None,
        _ => read(&target),
    };
    let is_heading = anchor.is_empty() || anchors(&text).contains(anchor);
    (!is_heading).then(|| format!("no such heading: {anchor}"))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_of_it() {
    let (mut seen, mut faults) = (0, Vec::new());
    for document in files(&root(), "md") {
        let text = read(&document);
        for link in links(&text) {
            seen += 1;
            let fault = fault(&document, &text, &link);
            faults.extend(fault.map(|fault| format!("{}: {link}: {fault}", name(&document))));
        }
    }

    assert!(seen > 50, "{seen} links: the documents were not read");
    assert_eq!(faults, [""; 0]);
}

/// The headings of documents that a text cites, as in `docs/promises.md, "P2. Flat reads"`. The lines of a comment are
/// one text.
fn cited(rust: &str) -> Vec<(String, String)> {
    let markers = ["///", "//!", "//"];
    let line = |line: &str| {
        let line = line.trim_start();
        markers.iter().find_map(|marker| line.strip_prefix(marker)).unwrap_or(line).trim().to_owned()
    };
    let text = rust.lines().map(line).collect::<Vec<_>>().join(" ").replace('`', "");
    let mut cited = Vec::new();
    for (at, _) in text.match_indices("docs/") {
        let rest = &text[at..];
        let Some((file, rest)) = rest.split_once(".md, \"") else { continue };
        let is_path = file.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
        if let (true, Some((heading, _))) = (is_path, rest.split_once('"')) {
            cited.push((format!("{file}.md"), heading.to_owned()));
        }
    }
    cited
}

fn headings(markdown: &str) -> BTreeSet<String> {
    let headings = markdown.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim().replace('`', "")).collect()
}

#[test]
fn every_heading_that_code_cites_is_in_its_document() {
    let (mut seen, mut faults) = (0, Vec::new());
    for file in files(&root(), "rs") {
        for (document, heading) in cited(&read(&file)) {
            seen += 1;
            if !headings(&read(&root().join(&document))).contains(&heading) {
                faults.push(format!("{}: {document}, \"{heading}\"", name(&file)));
            }
        }
    }

    assert!(seen > 50, "{seen} citations: the files were not read");
    assert_eq!(faults, [""; 0]);
}

#[test]
fn citations_are_found_across_the_lines_of_a_comment() {
    let rust =
        "/// One (`docs/a.md`, \"B c\"); two (docs/d/e.md,\n    /// \"F\n/// g\"); docs/h.md says \"no\".";

    let expected = [("docs/a.md", "B c"), ("docs/d/e.md", "F g")];
    assert_eq!(cited(rust), expected.map(|(file, heading)| (file.to_owned(), heading.to_owned())));
}

#[test]
fn links_are_found_outside_of_code() {
    let text = "[a](b.md#c) `[d](e)` ![f](g.png)\n\n```\n[h](i)\n```\n\n[j]\n\n[j]: k.md\n";

    assert_eq!(links(text), ["b.md#c", "g.png", "k.md"]);
}

#[test]
fn anchors_are_made_of_headings_as_github_makes_them() {
    let text = "# The `GET /admin/users`, again!\n\n## A_b - c\n\n## A_b - c\n\n<a id=\"set\"></a>\n";
    let expected = ["the-get-adminusers-again", "a_b---c", "a_b---c-1", "set"];

    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}

#[test]
fn a_link_to_nowhere_is_a_fault() {
    let document = root().join("README.md");
    let fault = |link: &str| fault(&document, "# Here\n", link).is_some();

    assert!(fault("nowhere.md") && fault("#there") && fault("CONTRIBUTING.md#there"));
    assert!(!fault("CONTRIBUTING.md") && !fault("#here") && !fault("https://example.com/nowhere"));
}
