//! What is asked of Temporal: runs and schedules, page by page. Each call has its own time limit and is not repeated:
//! the next run of the sync is a minute away.

use crate::connection::{TemporalConnection, TemporalError, answered, is_absent};
use std::future::Future;
use temporalio_client::tonic::{IntoRequest, Status};
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::schedule::v1::ScheduleListEntry;
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, DescribeScheduleRequest, DescribeScheduleResponse, ListSchedulesRequest,
    ListWorkflowExecutionsRequest,
};

/// Rows of a page. Temporal's own limit is 1,000.
const PAGE: i32 = 1000;

/// A page, and the token of the next one; an empty token after the last.
#[derive(Debug, Clone, Default)]
pub struct TemporalPage<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// What the next page is asked for with. It expires.
    pub next: Vec<u8>,
}

/// Reads runs and schedules of one namespace.
pub trait ReadTemporal: Sync {
    /// How many runs a query finds.
    fn count(&self, query: &str) -> impl Future<Output = Result<u64, TemporalError>> + Send;

    /// A page of the runs that a query finds, in any order.
    fn runs(
        &self,
        query: &str,
        token: Vec<u8>,
    ) -> impl Future<Output = Result<TemporalPage<WorkflowExecutionInfo>, TemporalError>> + Send;

    /// A page of all schedules, in any order.
    fn schedules(
        &self,
        token: Vec<u8>,
    ) -> impl Future<Output = Result<TemporalPage<ScheduleListEntry>, TemporalError>> + Send;

    /// A schedule; `None` if there is none with this id.
    fn schedule(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<DescribeScheduleResponse>, TemporalError>> + Send;
}

impl ReadTemporal for TemporalConnection {
    async fn count(&self, query: &str) -> Result<u64, TemporalError> {
        let count = |client: Client| async move {
            let request =
                CountWorkflowExecutionsRequest { namespace: client.namespace(), query: query.to_owned() };
            let mut service = client.connection().workflow_service();
            let answer = service.count_workflow_executions(request.into_request());
            answer.await.map_err(|status| answered(&status))
        };
        Ok(u64::try_from(self.call(count).await?.into_inner().count).unwrap_or(0))
    }

    async fn runs(
        &self,
        query: &str,
        token: Vec<u8>,
    ) -> Result<TemporalPage<WorkflowExecutionInfo>, TemporalError> {
        let list = |client: Client| {
            let next_page_token = token.clone();
            async move {
                let request = ListWorkflowExecutionsRequest {
                    namespace: client.namespace(),
                    page_size: PAGE,
                    next_page_token,
                    query: query.to_owned(),
                };
                let mut service = client.connection().workflow_service();
                let answer = service.list_workflow_executions(request.into_request());
                answer.await.map_err(|status| answered(&status))
            }
        };
        let page = self.call(list).await?.into_inner();
        Ok(TemporalPage { rows: page.executions, next: page.next_page_token })
    }

    async fn schedules(&self, token: Vec<u8>) -> Result<TemporalPage<ScheduleListEntry>, TemporalError> {
        let list = |client: Client| {
            let next_page_token = token.clone();
            async move {
                let request = ListSchedulesRequest {
                    namespace: client.namespace(),
                    maximum_page_size: PAGE,
                    next_page_token,
                    query: String::new(),
                };
                let mut service = client.connection().workflow_service();
                let answer = service.list_schedules(request.into_request());
                answer.await.map_err(|status| answered(&status))
            }
        };
        let page = self.call(list).await?.into_inner();
        Ok(TemporalPage { rows: page.schedules, next: page.next_page_token })
    }

    async fn schedule(&self, id: &str) -> Result<Option<DescribeScheduleResponse>, TemporalError> {
        let describe = |client: Client| async move {
            let request =
                DescribeScheduleRequest { namespace: client.namespace(), schedule_id: id.to_owned() };
            let mut service = client.connection().workflow_service();
            let answer = service.describe_schedule(request.into_request()).await;
            described(answer.map(temporalio_client::tonic::Response::into_inner))
        };
        self.call(describe).await
    }
}

fn described(
    answer: Result<DescribeScheduleResponse, Status>,
) -> Result<Option<DescribeScheduleResponse>, TemporalError> {
    match answer {
        Ok(schedule) => Ok(Some(schedule)),
        Err(status) if is_absent(&status) => Ok(None),
        Err(status) => Err(answered(&status)),
    }
}
