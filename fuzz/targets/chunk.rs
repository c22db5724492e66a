//! `cargo fuzz run chunk`
#![no_main]

starling_fuzz::target!("chunk");
