//! A room of Starling; see DESIGN.

pub mod charter_model;
