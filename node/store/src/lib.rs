//! A room of Starling; see DESIGN.
