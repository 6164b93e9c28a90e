//! Public documents and docstrings use the field's terms, which docs/glossary.md defines, and not the words that only
//! the authors of this project would understand.

use crate::workspace::{files, name, read, root};
use crate::{assert_only_allowed, syntax};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;
use std::path::PathBuf;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Visibility};

/// Files that still have such words.
const ALLOWED: [&str; 0] = [];

/// Words that mean something only here, with what to say instead and what they may be part of.
const DIALECT: [(&[&str], &str, &[&str]); 13] = [
    (
        &["tell", "tells", "told", "telling"],
        "emit, publish, report",
        &[
            "tell apart",
            "told apart",
            "tell them apart",
            "tells them apart",
            "cannot tell",
            "can't tell",
            "tell me",
        ],
    ),
    (&["hear", "hears", "heard"], "handle", &[]),
    (&["set aside", "sets aside", "setting aside"], "quarantine", &[]),
    (&["beside"], "shadow generation; next to, in parallel with", &[]),
    (&["flip", "flips", "flipped", "flipping"], "cut over, promote, roll back", &[]),
    (
        &["order in the outbox", "order of the outbox", "orders in the outbox", "outbox order"],
        "outbox entry",
        &[],
    ),
    (
        &["awaken", "awakens", "awakened", "awakening", "come to life", "comes to life", "came to life"],
        "resumed after deactivation",
        &[],
    ),
    (&["who asks", "whoever asks", "who asked", "asker", "the one who calls"], "caller", &[]),
    (&["is out"], "is denied access", &["is out of"]),
    (&["what it has", "what they have", "gives what"], "name the things", &[]),
    (
        &["admitted first", "then heard", "awaits the reader"],
        "the caller is authorised before the handler runs",
        &[],
    ),
    (&["upon whom", "upon one alone"], "the target user", &[]),
    (
        &["no business", "can't be meant", "cannot be meant", "forgets first"],
        "invalid; say what happens",
        &[],
    ),
];

/// The words of a text, in lower case, without its code.
fn words(markdown: &str) -> Vec<String> {
    let (mut text, mut in_code) = (String::new(), false);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(part) if !in_code => text.push_str(&part),
            // What follows is another word, and not the next of a phrase.
            Event::Code(_) | Event::End(_) => text.push_str(" . "),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    let word = |part: &str| part.to_lowercase().replace('’', "'");
    let parts = text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’' || c == '.'));
    parts.filter(|part| !part.is_empty()).map(word).collect()
}

fn is_part(whole: &str, phrase: &str) -> bool {
    format!(" {whole} ").contains(&format!(" {phrase} "))
}

/// The phrases of the dialect in a text.
fn dialect(markdown: &str) -> BTreeSet<&'static str> {
    let words = words(markdown);
    let text =
        format!(" {} ", words.iter().map(|word| word.trim_end_matches('.')).collect::<Vec<_>>().join(" "));
    let count = |phrase: &str| text.matches(&format!(" {phrase} ")).count();
    let mut found = BTreeSet::new();
    for (phrases, _, parts_of) in DIALECT {
        for phrase in phrases {
            let innocent: usize =
                parts_of.iter().filter(|whole| is_part(whole, phrase)).map(|whole| count(whole)).sum();
            if count(phrase) > innocent {
                found.insert(*phrase);
            }
        }
    }
    found
}

/// The docstrings of a file that others read: its own, and those of what is public.
#[derive(Default)]
struct Docstrings(Vec<String>);

impl Docstrings {
    fn of(text: &str) -> Vec<String> {
        let file = syn::parse_file(text).unwrap();
        let mut all = Self::default();
        all.add(&file.attrs);
        all.visit_file(&file);
        all.0
    }

    fn add(&mut self, attributes: &[Attribute]) {
        self.0.push(syntax::doc(attributes));
    }
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

impl<'ast> Visit<'ast> for Docstrings {
    fn visit_item(&mut self, item: &'ast Item) {
        let (visibility, attributes) = match item {
            Item::Const(item) => (&item.vis, &item.attrs),
            Item::Enum(item) => (&item.vis, &item.attrs),
            Item::Fn(item) => (&item.vis, &item.attrs),
            Item::Mod(item) => (&item.vis, &item.attrs),
            Item::Static(item) => (&item.vis, &item.attrs),
            Item::Struct(item) => (&item.vis, &item.attrs),
            Item::Trait(item) => (&item.vis, &item.attrs),
            Item::Type(item) => (&item.vis, &item.attrs),
            Item::Impl(_) => return visit::visit_item(self, item),
            _ => return,
        };
        if is_public(visibility) {
            self.add(attributes);
            visit::visit_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if is_public(&field.vis) {
            self.add(&field.attrs);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.add(&variant.attrs);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_public(&function.vis) {
            self.add(&function.attrs);
        }
    }

    fn visit_impl_item_const(&mut self, constant: &'ast syn::ImplItemConst) {
        if is_public(&constant.vis) {
            self.add(&constant.attrs);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast syn::TraitItem) {
        match item {
            syn::TraitItem::Const(item) => self.add(&item.attrs),
            syn::TraitItem::Fn(item) => self.add(&item.attrs),
            syn::TraitItem::Type(item) => self.add(&item.attrs),
            _ => {}
        }
    }
}

/// The documents that people read first, and the docstrings of the shared crates.
fn public_texts() -> Vec<(PathBuf, String)> {
    let single =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "events/README.md", "clients/python/README.md"];
    let documents = single.map(|file| root().join(file)).into_iter().chain(files(&root().join("docs"), "md"));
    let documents: Vec<_> = documents.map(|path| (path.clone(), read(&path))).collect();
    assert!(documents.len() > 15, "{} documents", documents.len());
    let sources = files(&root().join("shared"), "rs");
    let docstrings: Vec<_> =
        sources.into_iter().map(|path| (path.clone(), Docstrings::of(&read(&path)).join("\n\n"))).collect();
    assert!(docstrings.len() > 80, "{} sources", docstrings.len());
    [documents, docstrings].concat()
}

#[test]
fn public_documents_and_docstrings_use_the_terms_of_the_field() {
    let mut found = BTreeSet::new();
    for (path, text) in public_texts() {
        let phrases = dialect(&text);
        if !phrases.is_empty() {
            println!("{}: {phrases:?}", name(&path));
            found.insert(name(&path));
        }
    }

    assert_only_allowed("words that docs/glossary.md does not have", &found, &ALLOWED);
}

/// The numbers of lines of prose that have 100 characters or more: not those of code, tables and headings.
fn long_lines(markdown: &str) -> Vec<usize> {
    let mut in_code = false;
    let mut long = Vec::new();
    for (number, line) in markdown.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        let is_prose = !in_code && !fence && !line.starts_with(['|', '#', '<']);
        // A line of one long word cannot be broken.
        if is_prose && line.chars().count() >= 100 && line.trim().contains(' ') {
            long.push(number + 1);
        }
    }
    long
}

#[test]
fn prose_of_documents_stays_under_100_columns() {
    let mut documents = files(&root().join("docs"), "md");
    // Those are written by the benchmarks.
    documents.retain(|path| !name(path).starts_with("docs/benchmarks/") || path.ends_with("README.md"));
    documents.extend(
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|file| root().join(file)),
    );
    assert!(documents.len() > 30, "{} documents", documents.len());
    for path in documents {
        assert_eq!(long_lines(&read(&path)), Vec::<usize>::new(), "{}", name(&path));
    }
    assert_eq!(long_lines(&format!("{0} a\n| {0} b |\n```\n{0} c\n```\n{0}\n", "x".repeat(100))), [1]);
}

/// The numbers of lines with a comment of more than 120 characters: not those of tables.
fn long_comments(rust: &str) -> Vec<usize> {
    let lines = rust.lines().enumerate().filter(|(_, line)| {
        let text = line.trim_start().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!', ' ']));
        text.is_some_and(|text| !text.starts_with('|')) && line.chars().count() > 120
    });
    lines.map(|(number, _)| number + 1).collect()
}

/// `cargo fmt` leaves comments as they are.
#[test]
fn comments_stay_within_120_columns() {
    let sources = files(&root(), "rs");
    assert!(sources.len() > 400, "{} sources", sources.len());
    for path in sources {
        assert_eq!(long_comments(&read(&path)), Vec::<usize>::new(), "{}", name(&path));
    }
    assert_eq!(
        long_comments(&format!("let a = 1;\n    /// {0}\n//! | {0} |\nlet {0} = 1;", "x".repeat(117))),
        [2]
    );
}

#[test]
fn terms_of_the_glossary_are_sorted() {
    let glossary = read(&root().join("docs/glossary.md"));
    let rows = glossary.lines().filter(|line| line.starts_with("| ")).skip(1);
    let terms: Vec<_> =
        rows.filter_map(|line| line.split('|').nth(1)).map(|term| term.trim().to_lowercase()).collect();
    assert!(terms.len() > 30, "{} terms", terms.len());
    assert!(terms.is_sorted(), "{terms:?}");
}

#[test]
fn dialect_is_found_in_prose_and_not_in_code() {
    let found = |text: &str| dialect(text).into_iter().collect::<Vec<_>>();

    assert_eq!(found("What was Set\naside, and who asks."), ["set aside", "who asks"]);
    assert_eq!(found("`set aside` and\n\n```\nflip\n```\n\nset `x` aside, flipper"), [""; 0]);
    assert_eq!(found("They can't be told apart; we cannot tell. It is out of date."), [""; 0]);
    assert_eq!(found("They are told, and told apart. The user is out."), ["is out", "told"]);
}

#[test]
fn docstrings_are_those_of_public_items() {
    let text = "//! module\n/// a\npub struct A { /** b */ pub b: u8, /** c */ c: u8 }\n/// d\nstruct D;\n\
                impl A { /// e\n pub fn e() {} /// f\n fn f() {} }\n/// g\npub enum G { /** h */ H }\n\
                /// i\npub trait I { /// j\n fn j(); }\n#[cfg(test)]\nmod tests { /// k\n pub fn k() {} }";

    let words: BTreeSet<String> = Docstrings::of(text).iter().map(|doc| doc.trim().to_owned()).collect();

    assert_eq!(words, ["module", "a", "b", "e", "g", "h", "i", "j"].map(str::to_owned).into());
}
