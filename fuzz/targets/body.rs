//! `cargo fuzz run body`
#![no_main]

starling_fuzz::target!("body");
