//! `cargo fuzz run scenario`
#![no_main]

starling_fuzz::target!("scenario");
