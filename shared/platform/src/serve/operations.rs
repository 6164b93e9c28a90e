//! What operators watch: the generations in use, and what waits in the queue, in the outbox and in the quarantine.

use super::app::App;
use crate::error::AdminError;
use crate::queue::MessageQueue;
use crate::store::Usage;
use torale_domain::pages::health::Operations;

/// Reads what operators watch.
#[derive(Debug)]
pub struct OperationsReader<'a> {
    app: &'a App,
    usage: &'a Usage,
}

impl<'a> OperationsReader<'a> {
    pub(super) const fn new(app: &'a App, usage: &'a Usage) -> Self {
        Self { app, usage }
    }

    /// Reads all of it in parallel: one round trip to the store, one to SQS.
    ///
    /// # Errors
    /// If the store or SQS fails: there is no answer without one of the numbers.
    pub async fn read(&self) -> Result<Operations, AdminError> {
        let App { store, generations, .. } = self.app;
        let events = async { self.app.events_queue().await.waiting().await.map_err(AdminError::from) };
        let of_store = async {
            let reads = futures::try_join!(
                generations.pointer(store, self.usage),
                store.outbox_backlog(self.usage),
                store.quarantined_items(self.usage),
            );
            reads.map_err(AdminError::from)
        };
        let (events_waiting, (generations, outbox, quarantined)) = futures::try_join!(events, of_store)?;
        Ok(Operations {
            generations,
            events_waiting,
            outbox_entries: (outbox.entries.count, outbox.entries.capped),
            oldest_outbox_entry: outbox.oldest,
            quarantined: (quarantined.count, quarantined.capped),
        })
    }
}

impl App {
    /// The event queue, whose client is made when it is needed first: one endpoint alone looks at the queue.
    async fn events_queue(&self) -> &MessageQueue {
        self.events.get_or_init(MessageQueue::connect).await
    }
}
