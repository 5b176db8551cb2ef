//! The pipeline without Kafka: the real machines and the real [`Driver`] joined by in-memory logs,
//! under a seeded scheduler that injects the faults of processes and networks.
//!
//! | module | what it is |
//! |---|---|
//! | [`log`] | topics as vectors: append, read, and the view of a consumer that removes duplicates |
//! | [`station`] | one partition of one machine: its owners, outboxes, snapshots, commits and faults |
//! | [`workload`] | clients, operators and a payment provider that send commands |
//! | [`world`] | the scheduler: a seed decides who does what next, and what breaks |
//! | [`audit`] | looks at the logs from the outside and says what is wrong |
//!
//! Faults: a sender's tail is lost, a record in the middle is lost and the rest arrives, a record is
//! written twice, a process dies and comes back from an older snapshot, two processes own a
//! partition at once. A run is a function of its [`Plan`](world::Plan): the same seed gives the same run, to the byte.
//!
//! [`Driver`]: brokerx_topics::machine::Driver

pub mod audit;
pub mod log;
pub mod station;
pub mod workload;
pub mod world;
