//! The simulator of Starling: rehearse the partition with the code you deploy.
//!
//! A [`scenario`] says what fleet runs, what is written and what goes wrong; a run yields a
//! [`record::RunRecord`], from which every report is made.

pub mod command;
pub mod oracle;
pub mod properties;
pub mod record;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod world;
