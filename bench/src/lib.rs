//! What `./brokerx bench` has measured, as it is kept in files, and what reports are made of.

pub mod measured;
