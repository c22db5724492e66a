//! `cargo fuzz run message`
#![no_main]

starling_fuzz::target!("message");
