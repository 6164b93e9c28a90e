//! JSON from outside becomes a tree of values in one place, `shared/domain/src/values/json.rs`, which says why.

use crate::assert_only_allowed;
use crate::syntax::is_for_tests;
use crate::workspace::{files, name, packages, read};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Field, GenericArgument, PathArguments, Type};

/// What a file reads into a tree of values by the JSON library's own reader, as far as its text says so.
#[derive(Default)]
struct Trees(usize);

impl Trees {
    fn of(text: &str) -> usize {
        let mut trees = Self::default();
        trees.visit_file(&syn::parse_file(text).unwrap());
        trees.0
    }
}

/// Whether a type has a tree of values in it.
fn holds_tree(of: &Type) -> bool {
    let text = of.to_token_stream().to_string();
    let mut names = text.split(|c: char| !c.is_alphanumeric());
    names.any(|name| ["Value", "Json"].contains(&name))
}

fn has(attributes: &[Attribute], path: &str, word: &str) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident(path) && attribute.to_token_stream().to_string().contains(word)
    })
}

fn is_reader(function: &Expr) -> bool {
    let text = function.to_token_stream().to_string().replace(' ', "");
    ["from_str", "from_slice", "from_reader", "from_value"]
        .iter()
        .any(|name| text.starts_with(&format!("serde_json::{name}")))
}

impl<'ast> Visit<'ast> for Trees {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let is_tree =
            |field: &&Field| holds_tree(&field.ty) && !has(&field.attrs, "serde", "deserialize_with");
        if has(&item.attrs, "derive", "Deserialize") {
            self.0 += item.fields.iter().filter(is_tree).count();
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let typed = matches!(&local.pat, syn::Pat::Type(typed) if holds_tree(&typed.ty));
        let mut calls = Calls(0);
        calls.visit_local(local);
        self.0 += usize::from(typed && calls.0 > 0);
        visit::visit_local(self, local);
    }

    /// What a job is invoked with.
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        let holds =
            |argument: &GenericArgument| matches!(argument, GenericArgument::Type(of) if holds_tree(of));
        if segment.ident == "LambdaEvent"
            && let PathArguments::AngleBracketed(arguments) = &segment.arguments
        {
            self.0 += usize::from(arguments.args.iter().any(holds));
        }
        visit::visit_path_segment(self, segment);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let text = call.func.to_token_stream().to_string();
        self.0 += usize::from(is_reader(&call.func) && (text.contains("Value") || text.contains("Json")));
        visit::visit_expr_call(self, call);
    }
}

/// Calls of the library's readers.
struct Calls(usize);

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        self.0 += usize::from(is_reader(&call.func));
        visit::visit_expr_call(self, call);
    }
}

/// Reading what the product itself or a local program has written: nobody else has a say in it.
const ALLOWED: [&str; 2] = [
    // Results of the functions that it invokes.
    "infra/local/src/gateway/payload.rs",
    // Batches of commands that the local stack hands on.
    "infra/local/platform/src/simulation.rs",
];

#[test]
fn json_from_outside_is_read_into_a_tree_in_one_place() {
    let packages = packages().into_iter().filter(|package| !name(package).starts_with("tests/"));
    let paths = packages.flat_map(|package| files(&package.join("src"), "rs"));
    let found: BTreeSet<String> = paths
        .filter(|path| !name(path).ends_with("tests.rs") && Trees::of(&read(path)) > 0)
        .map(|path| name(&path))
        .collect();

    assert_only_allowed("use values/json.rs", &found, &ALLOWED);
}

#[test]
fn trees_are_found_in_calls_variables_and_fields() {
    assert_eq!(Trees::of("fn f() { let a: Value = serde_json::from_str(b)?; }"), 1);
    assert_eq!(Trees::of("fn f() { let a: Vec<Json> = b.map(|c| serde_json::from_slice(c)); }"), 1);
    assert_eq!(Trees::of("fn f() { serde_json::from_str::<Value>(b) }"), 1);
    assert_eq!(Trees::of("fn f() { run(|_: LambdaEvent<Value>| g()) }"), 1);
    assert_eq!(Trees::of("fn f() { run(|_: LambdaEvent<IgnoredAny>| g()) }"), 0);
    assert_eq!(Trees::of("#[derive(Deserialize)] struct A { b: Option<serde_json::Value>, c: u8 }"), 1);
    assert_eq!(
        Trees::of("#[derive(Deserialize)] struct A { #[serde(deserialize_with = \"v\")] b: Value }"),
        0
    );
    assert_eq!(Trees::of("#[derive(Serialize)] struct A { b: Value }"), 0);
    assert_eq!(
        Trees::of("fn f() { let a: Value = json::parse(b)?; let c: Text = serde_json::from_str(d)?; }"),
        0
    );
    assert_eq!(Trees::of("#[cfg(test)] mod tests { fn f() { serde_json::from_str::<Value>(b) } }"), 0);
}
