//! `cargo fuzz run replica`
#![no_main]

starling_fuzz::target!("replica");
