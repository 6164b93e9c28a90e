//! No crate has a cycle of modules: each module can be read knowing only those that it uses.
//!
//! The graph is that of names: a module uses the module that *defines* what its paths lead to, so a facade that only
//! re-exports is no part of it. A folder's own file may hold what its parts share and use its parts (`super::` and
//! `mod` are one way and the other); apart from that no two modules use each other. Code for tests only is not
//! looked at.

use crate::workspace::{all_crates, name, read};
use crate::{assert_only_allowed, syntax};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree};

/// Cycles that are still there, each as its crate and its modules.
const ALLOWED: [&str; 0] = [];

/// A module by its path in its crate; the crate's root is empty.
type ModulePath = Vec<String>;

/// What a module says.
#[derive(Debug, Default)]
struct Module {
    /// Names of its own items and modules.
    defines: BTreeSet<String>,
    /// What `use` calls by another name: the name here, and the path.
    imports: BTreeMap<String, Vec<String>>,
    /// What `use path::*` brings.
    globs: Vec<Vec<String>>,
    /// Every path in it, as it is written.
    paths: BTreeSet<Vec<String>>,
}

/// A crate's modules.
#[derive(Debug, Default)]
struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A module itself.
    Module(ModulePath),
    /// Something that this module defines.
    In(ModulePath),
}

impl Crate {
    /// Reads a crate from its root file.
    fn read(root: &Path) -> Self {
        let mut all = Self::default();
        all.add_file(root, root.parent().unwrap(), Vec::new());
        all
    }

    fn add_file(&mut self, file: &Path, folder: &Path, path: ModulePath) {
        let text = read(file);
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.add(&parsed.items, folder, path);
    }

    fn add(&mut self, items: &[Item], folder: &Path, path: ModulePath) {
        let mut reader = ModuleReader::default();
        for item in items {
            match item {
                Item::Mod(inner) if !syntax::is_for_tests(&inner.attrs) => {
                    reader.module.defines.insert(inner.ident.to_string());
                    self.add_module(inner, folder, &path);
                }
                Item::Mod(_) => {}
                other => reader.visit_item(other),
            }
        }
        self.modules.insert(path, reader.module);
    }

    fn add_module(&mut self, inner: &ItemMod, folder: &Path, parent: &[String]) {
        let name = inner.ident.to_string();
        let path = [parent, std::slice::from_ref(&name)].concat();
        let below = folder.join(&name);
        match (&inner.content, written_path(inner)) {
            (Some((_, items)), _) => self.add(items, &below, path),
            (None, Some(file)) => self.add_file(&folder.join(file), &below, path),
            (None, None) => {
                let files = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                let file = files.iter().find(|file| file.is_file());
                let file = file.unwrap_or_else(|| panic!("no file for {}", path.join("::")));
                self.add_file(file, &below, path);
            }
        }
    }

    /// Where a path in a module leads to; none if it leaves the crate or if nothing here has that name.
    fn resolve(&self, from: &[String], path: &[String], seen: &mut BTreeSet<Vec<String>>) -> Option<Target> {
        let (mut current, mut rest) = (from.to_vec(), path);
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => current = Vec::new(),
                "self" => {}
                "super" => drop(current.pop()),
                _ => break,
            }
            rest = others;
        }
        loop {
            let [first, others @ ..] = rest else { return Some(Target::Module(current)) };
            let module = &self.modules[&current];
            let below = [&current[..], std::slice::from_ref(first)].concat();
            if self.modules.contains_key(&below) {
                (current, rest) = (below, others);
                continue;
            }
            if module.defines.contains(first) {
                return Some(Target::In(current));
            }
            // As `use metrics::Value` does where a crate is called metrics and so is something here.
            if !seen.insert(below) {
                return None;
            }
            if let Some(import) = module.imports.get(first) {
                let whole = [&import[..], others].concat();
                // What another crate defines is ours where it is given a name.
                return Some(self.resolve(&current, &whole, seen).unwrap_or(Target::In(current)));
            }
            let globs = module.globs.iter();
            let mut found =
                globs.filter_map(|glob| self.resolve(&current, &[&glob[..], rest].concat(), seen));
            return found.next();
        }
    }

    /// The modules that each module uses, other than itself.
    fn uses(&self) -> BTreeMap<&ModulePath, BTreeSet<ModulePath>> {
        self.modules.iter().map(|(path, module)| (path, self.uses_of(path, module))).collect()
    }

    fn uses_of(&self, path: &ModulePath, module: &Module) -> BTreeSet<ModulePath> {
        let target = |used: &Vec<String>| self.resolve(path, used, &mut BTreeSet::new());
        let named = module.imports.values().chain(&module.paths).filter_map(|used| match target(used)? {
            Target::In(module) => Some(module),
            // A module that is imported is used by the paths that begin with it.
            Target::Module(_) => None,
        });
        let whole = module.globs.iter().filter_map(|glob| match target(glob)? {
            Target::In(module) | Target::Module(module) => Some(module),
        });
        named.chain(whole).filter(|used| used != path).collect()
    }

    /// The sets of modules that use each other. What the parts of a folder share may lie in the folder's own file,
    /// which also uses its parts: that alone is no cycle.
    fn cycles(&self) -> Vec<BTreeSet<&ModulePath>> {
        let uses = self.uses();
        let (mut left, mut cycles) = (components(&uses, &self.modules.keys().collect()), Vec::new());
        while let Some(mut component) = left.pop() {
            let folder =
                component.iter().copied().find(|first| component.iter().all(|one| one.starts_with(first)));
            match folder {
                Some(folder) => {
                    component.remove(folder);
                    left.extend(components(&uses, &component));
                }
                None => cycles.push(component),
            }
        }
        cycles
    }
}

/// The greatest sets of more than one of these modules that all lead to each other.
fn components<'a>(
    uses: &BTreeMap<&'a ModulePath, BTreeSet<ModulePath>>,
    among: &BTreeSet<&'a ModulePath>,
) -> Vec<BTreeSet<&'a ModulePath>> {
    let reached = |from: &'a ModulePath| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(module) = left.pop() {
            let used = uses[module].iter().filter_map(|used| among.get(used).copied());
            left.extend(used.filter(|used| seen.insert(*used)));
        }
        seen
    };
    let reached: BTreeMap<_, _> = among.iter().map(|module| (*module, reached(module))).collect();
    let both = |module: &&'a ModulePath| -> BTreeSet<&'a ModulePath> {
        reached[module].iter().copied().filter(|other| reached[other].contains(module)).collect()
    };
    let sets: BTreeSet<_> = among.iter().map(both).filter(|set| set.len() > 1).collect();
    sets.into_iter().collect()
}

fn names(cycle: &BTreeSet<&ModulePath>) -> String {
    cycle.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", ")
}

fn shown(path: &[String]) -> String {
    if path.is_empty() { "crate".to_owned() } else { path.join("::") }
}

/// The file that `#[path = "..."]` names.
fn written_path(inner: &ItemMod) -> Option<PathBuf> {
    inner.attrs.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
                Some(PathBuf::from(text.value()))
            }
            _ => None,
        },
        _ => None,
    })
}

/// Collects what one module says; its inner modules are read on their own.
#[derive(Default)]
struct ModuleReader {
    module: Module,
}

impl ModuleReader {
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
            UseTree::Glob(_) => self.module.globs.push(before.to_vec()),
            UseTree::Rename(rename) => {
                self.module.imports.insert(rename.rename.to_string(), with(&rename.ident));
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.module.imports.insert(before.last().unwrap().clone(), before.to_vec());
            }
            UseTree::Name(name) => {
                self.module.imports.insert(name.ident.to_string(), with(&name.ident));
            }
        }
    }

    fn define(&mut self, ident: &syn::Ident) {
        self.module.defines.insert(ident.to_string());
    }

    fn path(&mut self, segments: Vec<String>) {
        if segments.len() > 1 {
            self.module.paths.insert(segments);
        }
    }
}

impl<'ast> Visit<'ast> for ModuleReader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (ident, attributes) = match item {
            Item::Const(item) => (Some(&item.ident), &item.attrs),
            Item::Enum(item) => (Some(&item.ident), &item.attrs),
            Item::Fn(item) => (Some(&item.sig.ident), &item.attrs),
            Item::Macro(item) => (item.ident.as_ref(), &item.attrs),
            Item::Static(item) => (Some(&item.ident), &item.attrs),
            Item::Struct(item) => (Some(&item.ident), &item.attrs),
            Item::Trait(item) => (Some(&item.ident), &item.attrs),
            Item::Type(item) => (Some(&item.ident), &item.attrs),
            Item::Union(item) => (Some(&item.ident), &item.attrs),
            Item::Impl(item) => (None, &item.attrs),
            Item::Use(item) => (None, &item.attrs),
            Item::Mod(item) => (None, &item.attrs),
            _ => return visit::visit_item(self, item),
        };
        if syntax::is_for_tests(attributes) {
            return;
        }
        if let Some(ident) = ident {
            self.define(ident);
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !syntax::is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        syntax::paths(invoked.tokens.clone()).into_iter().for_each(|path| self.path(path));
        visit::visit_macro(self, invoked);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if let syn::Meta::List(list) = &attribute.meta {
            // Such as `#[serde(with = "crate::values::time")]`.
            for text in list.tokens.to_string().split('"').filter(|text| text.contains("::")) {
                self.path(text.split("::").map(|segment| segment.trim().to_owned()).collect());
            }
            syntax::paths(list.tokens.clone()).into_iter().for_each(|path| self.path(path));
        }
    }
}

#[test]
fn no_crate_has_a_cycle_of_modules() {
    let (mut cycles, mut modules, mut uses) = (BTreeSet::new(), 0, 0);
    for root in all_crates() {
        let all = Crate::read(&root);
        modules += all.modules.len();
        uses += all.uses().values().map(BTreeSet::len).sum::<usize>();
        cycles.extend(all.cycles().iter().map(|cycle| format!("{}: {}", name(&root), names(cycle))));
    }

    assert!(modules > 200 && uses > 400, "{modules} modules and {uses} uses: the graph was not read");
    assert_only_allowed("modules that use each other", &cycles, &ALLOWED);
}

/// The cycles of a crate that is one text.
fn cycles_of(text: &str) -> Vec<String> {
    let mut all = Crate::default();
    all.add(&syn::parse_file(text).unwrap().items, Path::new("nowhere"), Vec::new());
    all.cycles().iter().map(names).collect()
}

#[test]
fn module_graph_finds_a_planted_cycle() {
    let cycle = "mod a { use crate::b::B; pub struct A(B); } mod b { pub struct B; mod c { use super::super::a::A; } \
                 fn f() { c::g() } }";
    let two = "mod a { use super::b::B; pub struct A; } mod b { pub struct B(crate::a::A); }";

    assert_eq!(cycles_of(two), ["a, b"]);
    assert_eq!(cycles_of(cycle), [""; 0], "c defines no g, and nothing leads from b to a");
    assert_eq!(
        cycles_of(&cycle.replace("use super::super::a::A;", "use crate::a::A; pub fn g() {}")),
        ["a, b, b::c"]
    );
}

#[test]
fn module_graph_follows_a_name_through_imported_modules_macros_attributes_and_globs() {
    for user in [
        "use crate::b; fn f() { b::g() }",
        "use crate::b as c; fn f() { c::g() }",
        "fn f() { assert!(super::b::g()) }",
        "#[serde(with = \"crate::b::g\")] struct S;",
        "use crate::b::*;",
        "fn f() { use crate::b::g; }",
        "impl T { fn f() { crate::b::g() } }",
    ] {
        let text = format!("mod a {{ pub struct A; {user} }} mod b {{ use crate::a::A; pub fn g() {{}} }}");
        assert_eq!(cycles_of(&text), ["a, b"], "{user}");
    }
}

#[test]
fn module_graph_resolves_a_re_export_to_the_module_that_defines_the_name() {
    let inner = "mod facade { pub mod one { pub struct One; } pub mod two { use crate::facade::One; } pub use one::One; }";
    let renamed = inner.replace("crate::facade::One", "crate::Uno");

    assert_eq!(cycles_of(inner), [""; 0]);
    assert_eq!(cycles_of(&format!("{renamed} pub use facade::One as Uno;")), [""; 0]);
}

#[test]
fn module_graph_lets_a_folders_own_file_and_its_parts_use_each_other() {
    let folder = "pub struct Shared; fn f() { one::f() } mod one { use super::Shared; pub fn f() {} }";
    let with =
        |part: &str| cycles_of(&format!("mod folder {{ {folder} {part} }} mod other {{ pub fn h() {{}} }}"));

    assert_eq!(with(""), [""; 0]);
    assert_eq!(with("mod two { use super::Shared; use super::one::f; pub fn g() {} }"), [""; 0]);
    assert_eq!(
        with("mod two { use super::three::h; pub fn g() {} } mod three { use super::two::g; pub fn h() {} }"),
        ["folder::three, folder::two"],
        "parts that use each other"
    );
    assert_eq!(
        cycles_of(&format!(
            "mod folder {{ {folder} use crate::other::h; }} mod other {{ use crate::folder::one::f; pub fn h() {{}} }}"
        )),
        ["folder, folder::one, other"],
        "a cycle that leaves the folder"
    );
}

#[test]
fn module_graph_does_not_look_at_code_for_tests() {
    for tests in [
        "#[cfg(test)] mod tests { use crate::b::B; } pub struct A;",
        "#[cfg(test)] use crate::b::B; pub struct A;",
        "pub struct A; impl A { #[cfg(test)] fn f() { crate::b::B } }",
    ] {
        let text = format!("mod a {{ {tests} }} mod b {{ use crate::a::A; pub struct B; }}");
        assert_eq!(cycles_of(&text), [""; 0], "{tests}");
    }
}
