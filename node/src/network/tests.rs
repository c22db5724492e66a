//! Real nodes on loopback, each on port 0, some of them hostile.

mod bounds;
mod connecting;
mod directory;
mod exchanging;
mod gossiping;
mod hostile;
mod node;
mod raw;
mod vanishing;
