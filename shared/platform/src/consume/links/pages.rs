//! The links of an identity that more users share than one page holds: page by page, with a note after each that is up
//! to date. So the memory is bounded by a page, and a message that comes again goes on where its time ran out.

use super::{LINKS, LinkError, LinkWriter, ends_with, joined, unplannable};
use torale_domain::projections::links::progress::{self, LinkProgress};
use torale_domain::storage::keys;
use torale_domain::storage::read::Reader;
use torale_domain::values::ids::{ClerkUserId, UserId};

/// The links of one identity that one page holds, in the consumer and in a replay: some 2 MB of rows.
pub const USERS_PAGE: usize = 1_000;

/// An identity that has more users than its first page holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct FurtherUsers<'c> {
    pub(super) clerk: &'c ClerkUserId,
    /// The last user of the page before.
    pub(super) after: UserId,
}

impl LinkWriter<'_> {
    /// After the first pages are up to date, or their result: the further ones. The link of `except` is left to the
    /// caller.
    pub(super) async fn link_further(
        &self,
        first: Result<(), LinkError>,
        further: &[FurtherUsers<'_>],
        except: Option<UserId>,
    ) -> Result<(), LinkError> {
        let mut result = first;
        for users in further {
            if ends_with(&result) {
                break;
            }
            result = joined(result, self.link_pages(*users, except).await);
        }
        result
    }

    async fn link_pages(
        &self,
        FurtherUsers { clerk, after }: FurtherUsers<'_>,
        except: Option<UserId>,
    ) -> Result<(), LinkError> {
        let key = keys::link_progress(&self.generation.name, clerk, self.commands.is_some());
        let reader = self.reader();
        // Before any of the links: they are then brought up to date with this content, or with a later one.
        let found = reader.read(progress::content_reads(clerk)).await?;
        let content = progress::content(clerk, &found).map_err(unplannable)?;
        let noted = self.store.link_progress(&key, self.usage).await?;
        let noted = noted.filter(|noted| noted.content == content);
        let (mut through, mut result) = (noted.map_or(after, |noted| noted.go_on_after(after)), Ok(()));
        loop {
            let found = reader.read(progress::page_reads(clerk, through, self.page)).await?;
            let (users, rows) = (progress::page_users(&found), found.ranges.iter().flatten().count());
            drop(found);
            let Some(last) = users.last().copied() else { return result };
            let links =
                users.iter().filter(|user| Some(**user) != except).map(|user| (*user, clerk)).collect();
            result = joined(result, self.link_all(links, LINKS).await);
            if ends_with(&result) {
                return result;
            }
            through = last;
            // A link that can't be written must be met again, until its message is quarantined.
            if result.is_ok() {
                let progress = LinkProgress { content: content.clone(), after, through };
                self.store.save_link_progress(key.clone(), &progress, self.usage).await?;
            }
            if rows < self.page {
                return result;
            }
        }
    }
}
