//! Every route: of the API, and of the console's page. Tests check that they equal the endpoints that the functions
//! declare, the routes of the local gateway (`Cargo.toml`) and those of `infra/template.yaml`.

/// Method and path of each route of the API. Parameters are in braces.
pub const ROUTES: [(&str, &str); 19] = [
    ("GET", "/admin/stats"),
    ("GET", "/admin/stats/series"),
    ("GET", "/admin/queries"),
    ("GET", "/admin/executions"),
    ("GET", "/admin/executions/{id}"),
    ("GET", "/admin/tasks"),
    ("GET", "/admin/tasks/{id}"),
    ("GET", "/admin/temporal/workflows"),
    ("GET", "/admin/temporal/schedules"),
    ("GET", "/admin/errors"),
    ("GET", "/admin/users"),
    ("GET", "/admin/users/{id}"),
    ("POST", "/admin/users/deactivate"),
    ("PATCH", "/admin/users/{id}/deactivate"),
    ("PATCH", "/admin/users/{id}/reactivate"),
    ("GET", "/admin/health"),
    ("GET", "/admin/audit"),
    ("GET", "/admin/openapi.json"),
    ("POST", "/webhooks/clerk"),
];

/// The paths of the console's page and its files. They are no part of the API: they are the same for everyone.
pub const PAGES: [&str; 2] = ["/admin", "/admin/console/{file}"];
/// The methods of each of [`PAGES`].
pub const PAGE_METHODS: [&str; 2] = ["GET", "HEAD"];

/// Method and path of every route, of the API and of the console.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_pages = PAGES.into_iter().flat_map(|path| PAGE_METHODS.map(|method| (method, path)));
    ROUTES.into_iter().chain(of_pages)
}

/// The methods of a path, as an `Allow` header lists them. Empty for an unknown path.
pub fn allowed(path: &str) -> String {
    let methods = all().filter(|(_, route)| fits(route, path)).map(|(method, _)| method);
    methods.collect::<Vec<_>>().join(", ")
}

/// Whether a path belongs to a route.
pub fn fits(route: &str, path: &str) -> bool {
    let fits = |(expected, found): (&str, &str)| {
        expected == found || (expected.starts_with('{') && !found.is_empty())
    };
    route.split('/').count() == path.split('/').count() && route.split('/').zip(path.split('/')).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use torale_domain::requests::payload::MAX_ROUTE_SEGMENTS;

    #[test]
    fn no_route_has_more_segments_than_are_tried_behind_a_base_path() {
        assert!(all().all(|(_, path)| path.matches('/').count() <= MAX_ROUTE_SEGMENTS));
    }

    #[test]
    fn a_path_fits_only_its_own_route() {
        assert!(fits("/admin/users/{id}/deactivate", "/admin/users/1/deactivate"));
        for other in ["/admin/users//deactivate", "/admin/users/1", "/admin/users/1/deactivate/", "/admin"] {
            assert!(!fits("/admin/users/{id}/deactivate", other), "{other}");
        }
        assert_eq!(allowed("/admin/stats"), "GET");
        assert_eq!(allowed("/admin/stats/"), "");
        assert_eq!(allowed("/admin"), "GET, HEAD");
        assert_eq!(allowed("/admin/console/app.js"), "GET, HEAD");
        assert_eq!(allowed("/admin/console/"), "");
    }
}
