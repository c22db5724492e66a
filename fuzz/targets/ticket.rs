//! `cargo fuzz run ticket`
#![no_main]

starling_fuzz::target!("ticket");
