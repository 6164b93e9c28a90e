//! The routes: declared by the functions, listed for the local gateway and in the platform, and nothing besides.

use http::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use torale_platform::routes;
use torale_testkit::request::{ApiAnswer, payload, read};
use torale_tests::endpoints;

#[test]
fn routes_of_the_router_and_the_platform_are_those_that_are_declared() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let methods = |targets: &toml::Value| -> Vec<String> {
        let targets = targets.as_array().unwrap().iter();
        targets.map(|target| target["method"].as_str().unwrap().to_owned()).collect()
    };
    let routed: BTreeSet<_> = router
        .iter()
        .flat_map(|(path, targets)| methods(targets).into_iter().map(move |method| (path.clone(), method)))
        .collect();
    let known = routes::all().map(|(method, path)| (path.to_owned(), method.to_owned())).collect();

    let of_admins = endpoints::all().into_iter();
    let of_admins = of_admins.map(|one| (one.endpoint.path.to_owned(), one.endpoint.method.to_string()));
    let others = endpoints::OTHERS.map(|(method, path)| (path.to_owned(), method.to_owned()));
    let pages = routes::PAGES.into_iter().flat_map(|path| routes::PAGE_METHODS.map(|method| (path, method)));
    let pages = pages.map(|(path, method)| (path.to_owned(), method.to_owned()));
    let declared: BTreeSet<_> = of_admins.chain(others).chain(pages).collect();

    assert_eq!(routed, declared);
    assert_eq!(declared, known);
}

#[test]
fn fallback_answers_404_to_an_unknown_path_and_405_to_a_wrong_method() {
    for (method, path, status, detail) in [
        (Method::GET, "/admin/nothing", 404, "Not Found"),
        (Method::POST, "/admin/stats", 405, "Method Not Allowed"),
        (Method::GET, "/webhooks/clerk", 405, "Method Not Allowed"),
        (Method::POST, "/admin/openapi.json", 405, "Method Not Allowed"),
        (Method::POST, "/admin", 405, "Method Not Allowed"),
        (Method::GET, "/admin/", 404, "Not Found"),
    ] {
        let answer = ApiAnswer::of(fallback::answer(&read(&payload(method.as_str(), path, ""))));

        answer.then(status, &json!({ "detail": detail }));
        assert_eq!(answer.header("allow").is_some(), status == 405);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

/// Issue 16, number 4: below the base path of a custom domain, a wrong method was a 404.
#[test]
fn fallback_knows_the_methods_of_a_route_below_the_base_path_of_a_custom_domain() {
    let status = |domain: &str, method: &Method, path: &str| {
        let mut payload = payload(method.as_str(), path, "");
        payload["requestContext"]["apiId"] = json!("a1b2");
        payload["requestContext"]["domainName"] = json!(domain);
        let answer = ApiAnswer::of(fallback::answer(&read(&payload)));
        (answer.status, answer.header("allow").map(str::to_owned))
    };
    let custom = "admin-api.example.com";
    let user = "/team/v1/admin/users/11111111-0000-4000-8000-00000000000a";

    assert_eq!(status(custom, &Method::POST, "/v1/admin/stats"), (405, Some("GET".to_owned())));
    assert_eq!(status(custom, &Method::GET, &format!("{user}/deactivate")), (405, Some("PATCH".to_owned())));
    assert_eq!(status(custom, &Method::POST, "/admin/stats"), (405, Some("GET".to_owned())));
    for (method, path) in [
        (Method::GET, "/v1/admin/stats"),
        (Method::POST, "/v1/admin/nothing"),
        (Method::POST, "/v1/admin/stats/"),
        (Method::POST, "/v1stats"),
    ] {
        assert_eq!(status(custom, &method, path), (404, None), "{method} {path}");
    }
    let default = "a1b2.execute-api.eu-west-1.amazonaws.com";
    assert_eq!(status(default, &Method::POST, "/v1/admin/stats"), (404, None), "it has no mapping");
}
