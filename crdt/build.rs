//! Lets defects be planted in a build made for it: `STARLING_PLANTED=1`. Never a cargo feature, which a
//! workspace build would unify into the product.

fn main() {
    println!("cargo:rerun-if-env-changed=STARLING_PLANTED");
    if std::env::var_os("STARLING_PLANTED").is_some_and(|value| !value.is_empty()) {
        println!("cargo:rustc-cfg=starling_planted");
    }
}
