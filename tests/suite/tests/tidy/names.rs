//! No public type name stands for two things in the workspace: a reader who meets it knows which is meant.

use crate::workspace::{files, name, packages, read, root};
use crate::{assert_only_allowed, syntax};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Ident, Item, Visibility};

/// Names that still stand for several things.
const ALLOWED: [&str; 0] = [];

/// The types of a file that others may name.
#[derive(Default)]
struct PublicTypes(Vec<String>);

impl PublicTypes {
    fn of(text: &str) -> Vec<String> {
        let mut types = Self::default();
        types.visit_file(&syn::parse_file(text).unwrap());
        types.0.extend(declared_by_macros(text));
        types.0
    }
}

/// The macros that declare public types, each at the beginning of a line of the block.
const DECLARING: [&str; 5] = ["uuid_id! {", "text_id! {", "checked_text! {", "slot_letters! {", "data! {"];

/// The types that such a macro declares: in its block, the names that begin a line that is indented once.
fn declared_by_macros(text: &str) -> Vec<String> {
    let mut declared = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !DECLARING.contains(&line) {
            continue;
        }
        let before = declared.len();
        for line in lines.by_ref().take_while(|line| *line != "}") {
            let line = line.strip_prefix("    ").unwrap_or_default();
            let line = line.split_once("enum ").map_or(line, |(_, name)| name);
            let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            declared.extend(name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name));
        }
        assert!(declared.len() > before, "no type was found in `{line}`");
    }
    declared
}

impl<'ast> Visit<'ast> for PublicTypes {
    fn visit_item(&mut self, item: &'ast Item) {
        let (ident, visibility, attributes): (&Ident, &Visibility, _) = match item {
            Item::Struct(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Enum(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Union(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Trait(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Type(item) => (&item.ident, &item.vis, &item.attrs),
            Item::Mod(item) if syntax::is_for_tests(&item.attrs) => return,
            _ => return visit::visit_item(self, item),
        };
        if !matches!(visibility, Visibility::Inherited) && !syntax::is_for_tests(attributes) {
            self.0.push(ident.to_string());
        }
    }
}

/// The files that define each name more than once.
fn duplicates(files: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in files {
        for name in PublicTypes::of(&text) {
            all.entry(name).or_default().push(file.clone());
        }
    }
    assert!(!all.is_empty(), "no public type was found");
    all.retain(|_, files| files.len() > 1);
    all
}

#[test]
fn no_public_type_name_stands_for_two_things() {
    // A package may lie in the folder of another.
    let sources: BTreeSet<_> = packages().into_iter().flat_map(|package| files(&package, "rs")).collect();
    let mut sources: Vec<_> = sources.iter().map(|path| (name(path), read(path))).collect();
    // Fuzz targets are a package of their own, outside the workspace.
    sources.extend(files(&root().join("fuzz"), "rs").iter().map(|path| (name(path), read(path))));
    assert!(sources.len() > 200, "{} files", sources.len());

    let found = duplicates(sources);

    println!("{found:#?}");
    assert_only_allowed(
        "public type names that stand for two things",
        &found.into_keys().collect(),
        &ALLOWED,
    );
}

#[test]
fn public_type_names_are_those_that_others_may_name() {
    let text = "pub struct A; pub(crate) enum B {} pub trait C {} pub type D = A; struct E; pub fn f() {} mod g { pub(super) union H { a: u8 } } \
                #[cfg(test)] mod tests { pub struct I; }";

    assert_eq!(PublicTypes::of(text), ["A", "B", "C", "D", "H"]);
}

#[test]
fn public_type_names_are_also_those_that_macros_declare() {
    let text = "checked_text! {\n    /// A text.\n    A: rule, \"not one\";\n    B: |text| {\n        C(text)\n    }, \"no\";\n}\n\
                slot_letters! {\n    /// Slots.\n    pub(crate) enum D {\n        E = 'e',\n    }\n    retired: []\n}\n";

    assert_eq!(PublicTypes::of(text), ["A", "B", "D"]);
}

#[test]
fn a_name_in_two_files_is_a_duplicate() {
    let files = [("one", "pub struct A; pub struct B;"), ("two", "pub(crate) enum A {} struct B;")];

    let found = duplicates(files.map(|(file, text)| (file.to_owned(), text.to_owned())));

    assert_eq!(found, BTreeMap::from([("A".to_owned(), vec!["one".to_owned(), "two".to_owned()])]));
    assert_eq!(found.into_keys().collect::<BTreeSet<_>>().len(), 1);
}
