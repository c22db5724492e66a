//! `cargo fuzz run incarnation`
#![no_main]

starling_fuzz::target!("incarnation");
