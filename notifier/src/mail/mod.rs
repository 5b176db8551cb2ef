//! Mails: what `auth` asks for is handed to a mail server, or becomes a file.
//!
//! One consumer group shares the partitions of `auth` among the instances. The topic carries only the mail's
//! row id: the address is read from PostgreSQL, the link is derived with the mail key, and neither is logged
//! or written to Kafka.
//!
//! **Nothing is lost.** A record is settled once the server has taken its mail (or the file is on disk), its
//! row is gone because its registration was replaced or has ended, or its dead letter is acknowledged.
//! What is settled is committed ([`offsets`]); the others are delivered by whoever reads on.
//!
//! **What may come twice.** A mail that the server took, and whose offset was not committed before a crash;
//! one whose last answer was lost; those that are being handed over while their partition goes to another
//! instance. Both have the same bytes and the same `Message-ID`.
//!
//! **Who waits for whom.** Mails of one client come in order. One that is refused for now is set aside and
//! tried again, without holding up other clients; one that is refused for good, or for too long, goes to the
//! dead letters ([`desk`], [`reply`]). While the server or PostgreSQL is away, or the server refuses us, all
//! wait, and none is given up for it.
//!
//! [`desk`] decides, and knows neither Kafka nor SMTP; [`mailer`] reads and commits; [`post`] delivers one
//! letter, by [`smtp`] or as [`files`].

mod burial;
mod commits;
mod desk;
mod domain;
mod files;
mod letter;
mod mailer;
mod offsets;
mod options;
mod post;
mod reply;
mod smtp;
mod stuck;

pub use mailer::Mailer;
pub use options::{MailOptions, SmtpOptions, SmtpTls};
pub use post::Post;
