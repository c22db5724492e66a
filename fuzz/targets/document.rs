//! `cargo fuzz run document`
#![no_main]

starling_fuzz::target!("document");
