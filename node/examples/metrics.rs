//! Prints `docs/metrics.md`.

fn main() {
    print!("{}", starling_node::metrics::table::reference());
}
