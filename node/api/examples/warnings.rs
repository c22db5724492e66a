//! Prints `docs/warnings.md`.

fn main() {
    print!("{}", starling_api::warning::reference());
}
