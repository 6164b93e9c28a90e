//! Specifications by example: `given(events).when(request).await.then(status, body)`.
//!
//! A scenario has the admin of the tests in it, who also makes its requests unless they say otherwise. Every request
//! goes to an instance of its own, with the permissions that the template gives to its function.

use crate::events::{self, IntoMessages};
use crate::request::{ApiAnswer, ApiRequest};
use crate::sqs::FakeSqs;
use crate::stack::Stack;
use std::ops::Deref;
use torale_platform::queue::MessageQueue;

/// What has happened before the scenario begins.
#[derive(Debug)]
pub struct Given(Vec<String>);

/// The admin exists, and these events have been received.
pub fn given(events: impl IntoMessages) -> Given {
    Given([events::admin(), events.into_messages()].concat())
}

/// The admin exists, and nothing else has happened.
pub fn given_an_admin() -> Given {
    Given(events::admin())
}

/// These events have been received; there is no admin unless they bring one.
pub fn given_only(events: impl IntoMessages) -> Given {
    Given(events.into_messages())
}

impl Given {
    /// Lets it happen.
    pub async fn start(self) -> Scenario {
        let commands = FakeSqs::default();
        let commands_client = commands.client();
        let scenario = Scenario { stack: Stack::start().await, commands, commands_client };
        for some in self.0.chunks(1000) {
            scenario.stack.consume(some).await;
        }
        scenario
    }

    /// Lets it happen, and makes the only request.
    pub async fn when(self, request: ApiRequest) -> ApiAnswer {
        self.start().await.when(request).await
    }
}

/// A scenario that goes on; it is also its [`Stack`].
#[derive(Debug)]
pub struct Scenario {
    stack: Stack,
    /// The queue of commands.
    pub commands: FakeSqs,
    commands_client: MessageQueue,
}

impl Scenario {
    /// A request is made.
    pub async fn when(&self, request: ApiRequest) -> ApiAnswer {
        let app = self.stack.app_over(self.stack.store_as(&request.endpoint.role));
        request.send_with(&app, &self.commands_client).await
    }

    /// These events are received.
    pub async fn receives(&self, events: impl IntoMessages) {
        self.stack.consume(&events.into_messages()).await;
    }
}

impl Deref for Scenario {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}
