//! The simulator of Starling: rehearse the partition with the code you deploy.
//!
//! A [`scenario`] says what fleet runs, what is written and what goes wrong; the [`runner`] runs it and
//! yields a [`record::RunRecord`], from which every [`report`] is made; [`command`] is what people call.
//! The [`charter_model`] judges authority by itself.

pub mod charter_model;
pub mod command;
pub mod oracle;
pub mod properties;
pub mod record;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod world;
