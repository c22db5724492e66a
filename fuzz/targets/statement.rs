//! `cargo fuzz run statement`
#![no_main]

starling_fuzz::target!("statement");
