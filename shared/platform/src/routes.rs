//! Every route of the API. Tests check that this list equals the endpoints that the functions declare, the routes of the
//! local gateway (`Cargo.toml`) and those of `infra/template.yaml`.

/// Method and path of each route. Parameters are in braces.
pub const ROUTES: [(&str, &str); 13] = [
    ("GET", "/admin/stats"),
    ("GET", "/admin/queries"),
    ("GET", "/admin/executions"),
    ("GET", "/admin/temporal/workflows"),
    ("GET", "/admin/temporal/schedules"),
    ("GET", "/admin/errors"),
    ("GET", "/admin/users"),
    ("POST", "/admin/users/deactivate"),
    ("PATCH", "/admin/users/{id}/deactivate"),
    ("PATCH", "/admin/users/{id}/reactivate"),
    ("GET", "/admin/audit"),
    ("GET", "/admin/openapi.json"),
    ("POST", "/webhooks/clerk"),
];

/// The methods of a path, as an `Allow` header lists them. Empty for an unknown path.
pub fn allowed(path: &str) -> String {
    let methods = ROUTES.iter().filter(|(_, route)| fits(route, path)).map(|(method, _)| *method);
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

    #[test]
    fn a_path_fits_only_its_own_route() {
        assert!(fits("/admin/users/{id}/deactivate", "/admin/users/1/deactivate"));
        for other in ["/admin/users//deactivate", "/admin/users/1", "/admin/users/1/deactivate/", "/admin"] {
            assert!(!fits("/admin/users/{id}/deactivate", other), "{other}");
        }
        assert_eq!(allowed("/admin/stats"), "GET");
        assert_eq!(allowed("/admin/stats/"), "");
    }
}
