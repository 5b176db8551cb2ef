//! Starts and stops everything that a local BrokerX consists of, for a person at the command line
//! and for tests. Both run the same code: what is tested is what runs.
//!
//! A person calls `./brokerx up` ([`commands`], [`system::supervisor`]). A test calls
//! [`system::System::for_test`]: free ports, a scratch home of which only the logs of a failure
//! stay, every process killed when the test dies.
//!
//! From the top down; each uses only what stands below it:
//!
//! | module | what it knows |
//! |---|---|
//! | [`commands`] | the command line, one file per command |
//! | [`system`] | a whole BrokerX: the services on top of the platform, the supervisor that keeps them running, the homes of test systems |
//! | [`platform`] | Kafka, the schema registry and PostgreSQL: fetching, preparing, running, securing. How they are configured is in `compose/` |
//! | [`builds`] | cargo for BrokerX, and the Python environment of the tests |
//! | [`requirements`] | what a machine must have before anything is fetched or built: programs, memory, disk |
//! | [`process`] | child processes: started, waited for, found again, ended for certain |
//! | [`ports`] | who listens where |
//! | [`home`] | the directory of a local system: its layout, lock, logs and secrets |
//! | [`progress`], [`interrupt`], [`failure`] | what the user sees, presses, and is told when it goes wrong |

pub mod builds;
pub mod commands;
pub mod failure;
pub mod home;
pub mod interrupt;
pub mod platform;
pub mod ports;
pub mod process;
pub mod progress;
pub mod requirements;
pub mod system;
