//! Tells the compiler which defect to plant, if any: `STARLING_PLANTED=name`. Never a cargo feature,
//! which a workspace build would unify into the product.

fn main() {
    println!("cargo:rerun-if-env-changed=STARLING_PLANTED");
    match std::env::var("STARLING_PLANTED") {
        Ok(name) if !name.is_empty() => println!("cargo:rustc-cfg=starling_planted=\"{name}\""),
        _ => {}
    }
}
