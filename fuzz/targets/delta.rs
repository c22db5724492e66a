//! `cargo fuzz run delta`
#![no_main]

starling_fuzz::target!("delta");
