//! The scenarios that come with the binary, named for what an operator fears.

use super::{Loaded, load_text};

/// A scenario in the binary.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name, which is the file's.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

/// Embeds scenario files by name.
macro_rules! embed {
    ($($name:literal),+ $(,)?) => {
        /// Every shipped scenario, the gentlest first.
        pub const SHIPPED: &[Shipped] = &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),+];
    };
}

embed![
    "two-datacentres-split",
    "one-way-firewall",
    "flapping-uplink",
    "lossy-wan",
    "ship-offline-for-a-week",
    "three-sites-staged-heal",
    "rolling-restart",
    "power-cut",
    "restored-from-backup",
    "cloned-disk",
    "disk-full",
    "clock-skew",
    "slow-satellite",
    "one-liar",
    "churning-laptops",
    "everything-at-once",
];

/// The shipped scenario of this name.
pub fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name == name)
}

impl Shipped {
    /// The scenario itself.
    ///
    /// # Errors
    /// What is wrong with it; a test holds that nothing is.
    pub fn load(&self) -> Result<Loaded, Vec<super::Complaint>> {
        load_text(self.name, self.text, None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_shipped_scenario_loads_and_bears_the_name_of_its_file() {
        for shipped in SHIPPED {
            let loaded = shipped.load().unwrap_or_else(|found| panic!("{}: {found:#?}", shipped.name));
            assert_eq!(loaded.scenario.name, shipped.name);
        }
    }

    #[test]
    fn every_file_of_the_directory_is_shipped() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let entries = std::fs::read_dir(directory).expect("the directory of scenarios");
        let files = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let files: BTreeSet<String> = files.collect();
        let shipped: BTreeSet<String> =
            SHIPPED.iter().map(|shipped| format!("{}.toml", shipped.name)).collect();
        assert_eq!(files, shipped);
    }
}
