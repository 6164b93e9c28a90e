//! What surrounds every endpoint of the admin API: admission, the audit record, the log line and the answer. Handlers
//! know nothing of HTTP.
//!
//! | module | what it does |
//! |---|---|
//! | `endpoint` | what an endpoint declares about itself |
//! | `app` | what all requests of a function instance share |
//! | `scope` | one request, and how it ended |
//! | `admission` | the method, the caller, their role and their rate limits |
//! | `read` | endpoints that read: the handler runs while the caller is being admitted |
//! | `change` | endpoints that change something: the caller is admitted before the handler runs |
//! | `deactivate` | the changes themselves: deactivates and reactivates users |
//! | `operations` | reads what operators watch |
//! | `record` | writes the audit record, without which there is no answer |
//! | `render` | the answer and its log line |

mod admission;
mod app;
mod change;
mod deactivate;
mod endpoint;
mod operations;
mod read;
mod record;
mod render;
mod scope;

pub use app::App;
pub use change::{Change, ChangeContext, ChangeOutcome, run_change};
pub use endpoint::{Endpoint, HttpMethod};
pub use operations::OperationsReader;
pub use read::{Handler, RequestContext, run};
pub use render::{RATE_LIMIT_HEADERS, USER_ID_HEADER};
