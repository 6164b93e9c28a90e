//! Which route a request belongs to.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use crate::project::Route;

/// A path template's parameters, by name.
pub type PathParameters = Vec<(String, String)>;

/// The route of a request, or why it has none.
#[derive(Debug, PartialEq, Eq)]
pub enum RouteMatch {
    /// A function's route.
    Function {
        /// The function's name.
        function: String,
        /// Method and path template: `GET /admin/stats`.
        route_key: String,
        /// Percent-decoded.
        parameters: PathParameters,
    },
    /// The path has routes, but for other methods.
    WrongMethod {
        /// Those methods, for the header `Allow`.
        allow: String,
    },
    /// No route has this path.
    Unknown,
}

/// Finds the route of a request. A path without parameters precedes a template.
#[must_use]
pub fn match_route(routes: &[Route], method: &Method, path: &str) -> RouteMatch {
    let fitting: Vec<_> =
        routes.iter().filter_map(|route| parameters(&route.path, path).map(|found| (route, found))).collect();
    let chosen = fitting
        .iter()
        .filter(|(route, _)| route.method == method.as_str() || route.method == "ANY")
        .min_by_key(|(_, parameters)| parameters.len());
    match chosen {
        Some((route, parameters)) => RouteMatch::Function {
            function: route.function.clone(),
            route_key: format!("{} {}", route.method, route.path),
            parameters: parameters.clone(),
        },
        None if fitting.is_empty() => RouteMatch::Unknown,
        None => {
            let mut methods: Vec<_> = fitting.iter().map(|(route, _)| route.method.as_str()).collect();
            methods.sort_unstable();
            methods.dedup();
            RouteMatch::WrongMethod { allow: methods.join(", ") }
        }
    }
}

/// The template's parameters, percent-decoded; `None` if the path does not fit it.
fn parameters(template: &str, path: &str) -> Option<PathParameters> {
    let (template, sent) = (template.split('/'), path.split('/'));
    if template.clone().count() != sent.clone().count() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, sent) in template.zip(sent) {
        match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) if sent.is_empty() => return None,
            Some(name) => parameters.push((name.to_owned(), decoded(sent).into_owned())),
            None if wanted == decoded(sent) => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// Percent-decoded, copied only if there is something to decode.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}
