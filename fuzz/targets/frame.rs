//! `cargo fuzz run frame`
#![no_main]

starling_fuzz::target!("frame");
