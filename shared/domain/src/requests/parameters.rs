//! Query parameters (docs/contract/http.md, "Parameters").
//!
//! An endpoint declares its parameters by reading them: [`QueryParameters::read`] asks a
//! [`ParameterReader`] for each one by name, type and bounds. The parser, the OpenAPI document and
//! the tables of the contract all come from this one declaration.

mod kind;
mod reader;
mod recorded;

pub use kind::{Integer, Parameter, ParameterKind, ParameterPlace};
pub use reader::{PageRequest, ParameterFault, ParameterReader};
pub use recorded::RecordedText;
use serde::Serialize;

/// The parameters of an endpoint. Serialised they are what the audit trail records: the values as
/// the server understood them, and nothing else of the query string.
pub trait QueryParameters: Serialize + Sized + Send + Sync {
    /// Reads every parameter of the endpoint. The result only counts if the reader found no fault.
    fn read(params: &mut ParameterReader) -> Self;

    /// Parses a query string. Unknown parameters are ignored.
    ///
    /// # Errors
    /// Every fault of the query string, for a 422.
    fn parse(query: &str) -> Result<Self, Vec<ParameterFault>> {
        Self::parse_at("", query)
    }

    /// Parses a query string, and the segment of the path where the route has a parameter.
    ///
    /// # Errors
    /// Every fault of the two, for a 422.
    fn parse_at(segment: &str, query: &str) -> Result<Self, Vec<ParameterFault>> {
        let mut params = ParameterReader::parse_at(segment, query);
        let parameters = Self::read(&mut params);
        params.finish(parameters)
    }

    /// The id of the user, task or execution that the request is about, for the audit record.
    fn target(&self) -> Option<String> {
        None
    }

    /// The declarations of the parameters, in the order in which they are read.
    fn parameters() -> Vec<Parameter> {
        let mut params = ParameterReader::parse("");
        Self::read(&mut params);
        params.declared()
    }
}

/// The parameters of an endpoint that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NoParameters {}

impl QueryParameters for NoParameters {
    fn read(_params: &mut ParameterReader) -> Self {
        Self {}
    }
}
