//! What is deployed: the template, the routes, the functions' permissions, metrics and costs, TLS, and the API's
//! document.

mod job_costs;
mod metrics;
mod openapi;
mod permissions;
mod routes;
mod template;
mod tls;
