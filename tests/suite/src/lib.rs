//! What only this suite needs: every endpoint that is deployed, and the comparison with the independent model.

pub mod endpoints;
pub mod model;
