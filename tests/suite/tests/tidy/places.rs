//! What has one place each: the clock, the environment, randomness, the names of tables, sums; and handlers decide
//! nothing.

use crate::syntax::{contains, product_tokens};
use crate::workspace::{files, name, packages, read, root};
use std::collections::BTreeSet;
use std::path::PathBuf;
use syn::visit::{self, Visit};
use torale_platform::routes::ROUTES;

/// A Rust file of the product: its name and its tokens, without comments and tests.
struct Source {
    name: String,
    tokens: Vec<String>,
}

/// Every file of every crate that runs outside of tests and benchmarks: what is deployed, and the tools around it.
fn product() -> Vec<Source> {
    let packages = packages().into_iter().filter(|package| !name(package).starts_with("tests/"));
    let paths: Vec<PathBuf> = packages.flat_map(|package| files(&package.join("src"), "rs")).collect();
    assert!(paths.len() > 150, "{} files", paths.len());
    paths.iter().map(|path| Source { name: name(path), tokens: product_tokens(&read(path)) }).collect()
}

/// The files that say something that `is` recognises.
fn places(sources: &[Source], is: impl Fn(&[String]) -> bool) -> Vec<&str> {
    sources.iter().filter(|source| is(&source.tokens)).map(|source| source.name.as_str()).collect()
}

fn places_of<'a>(sources: &'a [Source], pattern: &str) -> Vec<&'a str> {
    places(sources, |tokens| contains(tokens, pattern))
}

/// The files with a text that begins so.
fn places_of_text<'a>(sources: &'a [Source], beginning: &str) -> Vec<&'a str> {
    places(sources, |tokens| tokens.iter().any(|token| token.starts_with(&format!("\"{beginning}"))))
}

#[test]
fn core_has_no_dependency_that_could_reach_outside() {
    let manifest: toml::Table = read(&root().join("shared/domain/Cargo.toml")).parse().unwrap();
    let pure = [
        "base64",
        "chrono",
        "ed25519-dalek",
        "hex",
        "icu_casemap",
        "jiff",
        "percent-encoding",
        "schemars",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "uuid",
    ];
    let dependencies = manifest["dependencies"].as_table().unwrap();

    assert!(!dependencies.is_empty());
    for name in dependencies.keys() {
        assert!(pure.contains(&name.as_str()), "{name}: is it pure?");
    }
}

#[test]
fn environment_clock_and_randomness_are_read_in_one_place_each() {
    let product = product();
    let place = |pattern: &str| places_of(&product, pattern);

    assert_eq!(place("env::var"), ["shared/platform/src/config.rs"]);
    assert_eq!(place("Utc::now"), ["shared/platform/src/clock.rs"]);
    assert_eq!(place("SystemTime::now"), [""; 0]);
    assert_eq!(place("Uuid::new_v4"), ["shared/platform/src/clock.rs"]);
    // The local stack plays the part of AWS, which gives out ids, and makes up a history.
    let deployed = place("fastrand::").into_iter().filter(|file| !file.starts_with("infra/local/"));
    assert_eq!(deployed.collect::<Vec<_>>(), ["shared/platform/src/clock.rs"]);
}

#[test]
fn tables_are_named_and_amounts_are_added_in_one_place() {
    let product = product();

    assert_eq!(places_of_text(&product, "torale-projections"), ["shared/domain/src/storage/keys.rs"]);
    assert_eq!(places_of_text(&product, "ADD"), ["shared/platform/src/store/dynamodb/transact.rs"]);
}

/// The handlers of a file: those of reads and those of changes.
#[derive(Default)]
struct Handlers {
    found: usize,
    faults: Vec<String>,
}

/// Statements of a handler at most.
const MOST: usize = 3;

impl<'ast> Visit<'ast> for Handlers {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let name = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if !name.is_some_and(|name| ["Handler", "Change"].contains(&name.ident.to_string().as_str())) {
            return visit::visit_item_impl(self, item);
        }
        self.found += 1;
        for function in &item.items {
            if let syn::ImplItem::Fn(function) = function {
                let mut decisions = Decisions(0);
                decisions.visit_block(&function.block);
                if decisions.0 > 0 {
                    self.faults.push("it decides".to_owned());
                }
                if function.block.stmts.len() > MOST {
                    self.faults.push(format!("{} statements", function.block.stmts.len()));
                }
            }
        }
    }
}

/// How often something is decided.
struct Decisions(usize);

impl<'ast> Visit<'ast> for Decisions {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        let decides = matches!(
            expression,
            syn::Expr::If(_)
                | syn::Expr::Match(_)
                | syn::Expr::While(_)
                | syn::Expr::ForLoop(_)
                | syn::Expr::Loop(_)
        );
        self.0 += usize::from(decides);
        visit::visit_expr(self, expression);
    }
}

fn handlers(text: &str) -> Handlers {
    let mut handlers = Handlers::default();
    handlers.visit_file(&syn::parse_file(text).unwrap());
    handlers
}

#[test]
fn handlers_of_reads_and_changes_decide_nothing() {
    let (mut found, mut faults) = (0, BTreeSet::new());
    for path in files(&root().join("functions"), "rs") {
        let handlers = handlers(&read(&path));
        found += handlers.found;
        faults.extend(handlers.faults.iter().map(|fault| format!("{}: {fault}", name(&path))));
    }

    // The webhook and the document admit callers in another way, and have no such handler.
    assert_eq!(found, ROUTES.len() - 2);
    assert_eq!(faults, BTreeSet::new());
}

#[test]
fn a_handler_that_decides_or_is_too_long_is_found() {
    let faults = |body: &str| {
        handlers(&format!("impl Change for X {{ async fn handle() {{ {body} }} }}")).faults.len()
    };

    assert_eq!(faults("changes.apply(user).await"), 0);
    assert_eq!(faults("if x { y } else { z }"), 1);
    assert_eq!(faults("let a = b(match c { d => e });"), 1);
    assert_eq!(faults("a(); b(); c(); d()"), 1);
    assert_eq!(handlers("impl Handler for X { fn f() {} } impl Other for X { fn g() { if a {} } }").found, 1);
}

#[test]
fn places_are_found_in_code_and_not_in_comments_texts_or_tests() {
    let source = |text: &str| Source { name: "file".to_owned(), tokens: product_tokens(text) };
    let found = |text: &str| places_of(&[source(text)], "env::var").len();

    assert_eq!(found("fn a() { std::env::var(\"X\") }"), 1);
    assert_eq!(found("use std::env::var;"), 1);
    assert_eq!(
        found("// env::var\nfn a() { b(\"env::var\") }\n#[cfg(test)]\nmod tests { use std::env::var; }"),
        0
    );
    assert_eq!(
        places_of_text(&[source("const A: &str = \"torale-projections-\";")], "torale-projections").len(),
        1
    );
}

/// What reaches a terminal goes through functions that make it harmless; an export is for a file.
#[test]
fn texts_are_printed_in_one_place_for_each_kind_of_program() {
    let sources = product();
    let streams = ["io::stdout", "io::stderr", "println!", "eprintln!", "print!", "eprint!"];
    let prints = |tokens: &[String]| streams.iter().any(|stream| contains(tokens, stream));

    let found: BTreeSet<&str> = places(&sources, prints).into_iter().collect();

    let expected = [
        "infra/local/launcher/src/main.rs",
        "infra/local/platform/src/main.rs",
        "infra/local/src/console.rs",
        "infra/local/src/process.rs",
        // Log lines and metrics are JSON.
        "shared/platform/src/logging.rs",
        "shared/platform/src/metrics.rs",
        "tools/src/terminal.rs",
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

/// What an adapter in front of our own code reads from a request can't be held to the contract (ADR 18).
#[test]
fn no_crate_reads_requests_with_lambda_http() {
    for package in packages().into_iter().filter(|package| name(package) != "tests/hello-world") {
        let manifest: toml::Table = read(&package.join("Cargo.toml")).parse().unwrap();
        for section in ["dependencies", "dev-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            assert!(dependencies.is_none_or(|all| !all.contains_key("lambda_http")), "{}", name(&package));
        }
    }
}
