//! What the rules need of Rust's syntax, besides what `syn` has.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Whether attributes keep something out of everything but tests.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|meta| asks_for_tests(&meta))
    })
}

fn asks_for_tests(meta: &Meta) -> bool {
    let all = |list: &syn::MetaList| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            all(list).is_ok_and(|some| some.iter().any(asks_for_tests))
        }
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

/// The text of a docstring.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let lines = lines.filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(syn::MetaNameValue { value: syn::Expr::Lit(literal), .. }) => match &literal.lit {
            syn::Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of two segments or more that tokens spell, such as those in a macro's arguments.
pub fn paths(tokens: TokenStream) -> Vec<Vec<String>> {
    let (mut found, mut path, mut colons) = (Vec::new(), Vec::<String>::new(), 0);
    let mut end = |path: &mut Vec<String>| {
        let path = std::mem::take(path);
        if path.len() > 1 {
            found.push(path);
        }
    };
    let mut inner = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Group(group) => {
                end(&mut path);
                inner.push(group.stream());
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                end(&mut path);
                colons = 0;
            }
        }
    }
    end(&mut path);
    found.extend(inner.into_iter().flat_map(paths));
    found
}

/// The tokens of a file that are neither comments, docstrings nor for tests only, each as its text.
pub fn product_tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    flatten(text.parse().unwrap(), &mut found);
    found
}

fn flatten(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut skipping = false;
    while let Some(token) = tokens.next() {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#')
            && let Some(TokenTree::Group(group)) = tokens.peek()
            && group.delimiter() == Delimiter::Bracket
        {
            let attribute = group.stream().to_string().replace(' ', "");
            skipping |= attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,");
            let ignored = attribute.starts_with("doc=");
            if let Some(TokenTree::Group(group)) = tokens.next()
                && !skipping
                && !ignored
            {
                flatten(group.stream(), found);
            }
            continue;
        }
        if skipping {
            // The item ends with its body, or with a semicolon if it has none.
            skipping = match &token {
                TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
                TokenTree::Punct(punct) => punct.as_char() != ';',
                TokenTree::Ident(_) | TokenTree::Literal(_) => true,
            };
            continue;
        }
        match token {
            TokenTree::Group(group) => flatten(group.stream(), found),
            other => found.push(other.to_string()),
        }
    }
}

/// Whether tokens follow each other somewhere as a pattern spells them.
pub fn contains(tokens: &[String], pattern: &str) -> bool {
    let pattern = product_tokens(pattern);
    assert!(!pattern.is_empty());
    tokens.windows(pattern.len()).any(|window| window == pattern.as_slice())
}

#[test]
fn comments_docstrings_and_tests_are_no_product() {
    let text = "//! std::env::var\n/// env::var\nfn a() { b(\"env::var\") }\n#[cfg(test)]\nmod tests { fn c() { env::var() } }\n\
                #[cfg(test)]\nuse std::env::var;\n#[cfg(not(test))]\nfn d() { Utc :: now() }";
    let tokens = product_tokens(text);

    assert!(!contains(&tokens, "env::var"));
    assert!(contains(&tokens, "fn a"));
    assert!(contains(&tokens, "Utc::now"));
}

#[test]
fn paths_in_macro_arguments_are_found() {
    let tokens = "assert!(crate::a::b(x, super::c), \"d::e\"); f::g".parse().unwrap();

    assert_eq!(paths(tokens), [vec!["f", "g"], vec!["crate", "a", "b"], vec!["super", "c"]]);
}
