//! Where the outcome of a command goes.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use brokerx_schemas::{CommandId, CommandMeta, ReplyTo};

/// The command that is answered, and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Of the latest repeat, when the command was repeated.
    pub(super) command_id: CommandId,
    pub(super) reply_to: ReplyTo,
}

impl Answer {
    /// None when nobody waits.
    pub(super) fn of(meta: &CommandMeta) -> Option<Self> {
        meta.reply_to.clone().map(|reply_to| Self {
            command_id: meta.command_id,
            reply_to,
        })
    }
}

impl Hash for Answer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ReplyTo { instance, partition } = &self.reply_to;
        (self.command_id, instance, partition).hash(state);
    }
}
