//! Keys and records of each table.
