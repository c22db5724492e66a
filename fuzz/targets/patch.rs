//! `cargo fuzz run patch`
#![no_main]

starling_fuzz::target!("patch");
