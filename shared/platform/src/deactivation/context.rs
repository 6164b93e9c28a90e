//! What a change of a user's status needs: who makes it, and where it is written.

use crate::audit::AuditTrail;
use crate::store::{Generations, Store, Usage};
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::values::ids::UserId;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// Changes the status of users on behalf of an administrator.
pub(crate) struct UserStatusWriter<'a> {
    pub(crate) store: &'a Store,
    pub(crate) generations: &'a Generations,
    pub(crate) trail: &'a AuditTrail,
    pub(crate) usage: &'a Usage,
    pub(crate) now: Timestamp,
    /// The administrator, who must still be active when the change takes effect.
    pub(crate) caller: UserId,
    /// How the caller is refused if they are not.
    pub(crate) refusal: AccessRefusal,
    /// The trace of the request.
    pub(crate) trace: Option<TraceParent>,
    /// Whether roles are those of the projections. Then the caller must still be an administrator, too.
    pub(crate) uses_projected_roles: bool,
}
