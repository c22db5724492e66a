//! Defects that can be planted, so that the simulator shows that it would find them.
//!
//! Only a build made with `STARLING_PLANTED` set knows any, and plants the one that [`plant`] names; in
//! every other build the question is answered `false` before anything is compiled. Never a cargo
//! feature, which a workspace build would unify into the product.

#[cfg(starling_planted)]
static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Plants a defect in this process, for good. Says whether it is the one that is planted now: a build
/// that knows none plants none.
pub fn plant(name: &str) -> bool {
    #[cfg(starling_planted)]
    return CHOSEN.get_or_init(|| name.to_owned()) == name;
    #[cfg(not(starling_planted))]
    {
        let _ = name;
        false
    }
}

/// The defect that is planted, if any.
pub fn chosen() -> Option<&'static str> {
    #[cfg(starling_planted)]
    return CHOSEN.get().map(String::as_str);
    #[cfg(not(starling_planted))]
    None
}

/// Whether this defect is planted.
#[inline(always)]
pub(crate) fn is_planted(name: &str) -> bool {
    chosen().is_some_and(|chosen| chosen == name)
}
