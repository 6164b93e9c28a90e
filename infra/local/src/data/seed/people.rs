//! How users become known: to the platform, to the identity provider, or to both, in either order.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use torale_domain::entities::linkage;
use torale_domain::values::ids::ClerkUserId;

use super::history::{API, CLERK, History, SeedUser, rfc3339};

/// Where a user's logins and changes are reported, and what names the user there.
pub(super) struct Login {
    pub(super) source: &'static str,
    pub(super) logged_in: &'static str,
    pub(super) updated: &'static str,
    pub(super) subject: String,
    pub(super) data: Value,
}

impl Login {
    fn at_platform(user_id: &str) -> Self {
        let (logged_in, updated) = ("user.logged_in", "user.updated");
        Self {
            source: API,
            logged_in,
            updated,
            subject: user_id.to_owned(),
            data: json!({ "user_id": user_id }),
        }
    }

    fn at_clerk(clerk: &str) -> Self {
        let (logged_in, updated) = ("identity.logged_in", "identity.updated");
        Self {
            source: CLERK,
            logged_in,
            updated,
            subject: clerk.to_owned(),
            data: json!({ "clerk_user_id": clerk }),
        }
    }
}

impl History {
    /// Creates a user in one of the ways that occur: known to the platform alone, to both (the
    /// webhook first or the platform first), to the provider alone (a stand-in), or to the provider
    /// under the platform's id as well.
    pub(super) fn sign_up(&mut self, email: &str, created: DateTime<Utc>) -> (SeedUser, Login) {
        let (clerk, soon) = (self.clerk_user_id(), created + self.millis(100..5_000));
        let user_id = self.uuid();
        match self.rng.u32(0..100) {
            0..25 => {
                self.created_at_platform(&user_id, &clerk, email, created);
                (SeedUser { id: user_id.clone(), created }, Login::at_platform(&user_id))
            }
            25..60 => {
                self.created_at_clerk(&clerk, email, None, created);
                self.created_at_platform(&user_id, &clerk, email, soon);
                self.with_identity(user_id, created, &clerk)
            }
            60..80 => {
                self.created_at_platform(&user_id, &clerk, email, created);
                self.created_at_clerk(&clerk, email, None, soon);
                self.with_identity(user_id, created, &clerk)
            }
            80..90 => {
                self.created_at_clerk(&clerk, email, None, created);
                let stand_in = ClerkUserId::parse(&clerk).map(|clerk| linkage::derived(&clerk).to_string());
                self.with_identity(stand_in.unwrap_or_default(), created, &clerk)
            }
            _ => {
                // The user has moved to another login, which names the platform's id.
                let former = self.clerk_user_id();
                self.created_at_platform(&user_id, &former, email, created);
                self.created_at_clerk(&clerk, email, Some(&user_id.to_uppercase()), soon);
                self.with_identity(user_id, created, &clerk)
            }
        }
    }

    fn clerk_user_id(&mut self) -> String {
        let random: String = std::iter::repeat_with(|| self.rng.alphanumeric()).take(24).collect();
        format!("user_2{random}")
    }

    fn created_at_platform(&mut self, user_id: &str, clerk: &str, email: &str, time: DateTime<Utc>) {
        let data = json!({ "user_id": user_id, "clerk_user_id": clerk, "email": email, "created_at": rfc3339(time) });
        self.push(API, "user.created", user_id, time, data);
    }

    fn created_at_clerk(&mut self, clerk: &str, email: &str, external_id: Option<&str>, time: DateTime<Utc>) {
        let mut data = json!({ "clerk_user_id": clerk, "email": email, "created_at": rfc3339(time) });
        if let (Some(id), Some(fields)) = (external_id, data.as_object_mut()) {
            fields.insert("external_id".to_owned(), Value::from(id));
        }
        self.push(CLERK, "identity.created", clerk, time, data);
    }

    /// A user whose logins the provider reports. Some of these identities are deleted there.
    fn with_identity(&mut self, id: String, created: DateTime<Utc>, clerk: &str) -> (SeedUser, Login) {
        if self.chance(2) {
            let time = self.between(created.max(self.start), self.end);
            self.push(CLERK, "identity.deleted", clerk, time, json!({ "clerk_user_id": clerk }));
        }
        (SeedUser { id, created }, Login::at_clerk(clerk))
    }
}
