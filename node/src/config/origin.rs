//! Where each value of a configuration came from, and which values cannot work.
//!
//! Promises: nothing that is printed of it holds a secret; a fault names the place of the value to
//! change. Leaves out what only a start can find out, such as a port that is taken.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::file::KEYS;
use super::{CONFIG_FILE, Config, ConfigError, ConfigOverrides, LogFormat, file_and_directory};
use crate::http::socket_group_exists;
use crate::network::address;
use crate::node::join_is_readable;
use crate::telemetry;

/// What a ticket is shown as: whoever has one can join.
const HIDDEN_TICKET: &str = "starling-ticket… (hidden)";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One value as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, as in the file.
    pub key: &'static str,
    /// The value in words, without secrets; absent where nothing is set.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// A value that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}: {message}")]
pub struct ConfigFault {
    /// The key.
    pub key: &'static str,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong with it.
    pub message: String,
}

/// A configuration that knows where its values came from.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

impl ConfigOverrides {
    fn says(&self, key: &str) -> bool {
        match key {
            "data_dir" => self.data_dir.is_some(),
            "name" => self.name.is_some(),
            "listen" => !self.listen.is_empty(),
            "advertise" => !self.advertise.is_empty(),
            "join" => !self.join.is_empty(),
            "http" => self.http.is_some(),
            "api_socket" => self.api_socket.is_some(),
            "api_socket_group" => self.api_socket_group.is_some(),
            "mdns" => self.mdns.is_some(),
            "profile" => self.profile.is_some(),
            "space_quota" => self.space_quota.is_some(),
            "documents_memory" => self.documents_memory.is_some(),
            "log_level" => self.log_level.is_some(),
            "log_format" => self.log_format.is_some(),
            _ => false,
        }
    }
}

impl Explained {
    /// As [`Config::load`], keeping for each value where it came from; `said` tells where the value of
    /// a key among the overrides came from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(
        overrides: ConfigOverrides,
        said: impl Fn(&str) -> Origin,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let (file, data_dir) = file_and_directory(&overrides, environment)?;
        let path = overrides.config.clone().unwrap_or_else(|| data_dir.join(CONFIG_FILE));
        let origin = |key: &'static str| {
            if overrides.says(key) {
                return said(key);
            }
            let line = file.lines.get(key);
            line.map_or(Origin::Default, |line| Origin::File { path: path.clone(), line: *line })
        };
        let origins = KEYS.iter().map(|key| (*key, origin(key))).collect();
        Ok(Self { config: Config::combine(overrides, file, data_dir)?, origins })
    }

    /// Every value as it counts, in the order of the file's keys.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |key| Setting { key, value: self.value(key), origin: self.origin(key) };
        KEYS.map(setting).to_vec()
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    fn value(&self, key: &str) -> Option<String> {
        let config = &self.config;
        let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(" "));
        match key {
            "data_dir" => Some(config.data_dir.display().to_string()),
            "name" => Some(config.name.as_str().to_owned()),
            "listen" => list(config.listen.clone()),
            "advertise" => list(config.advertise.clone()),
            "join" => list(config.join.iter().map(|text| shown(text)).collect()),
            "http" => config.http.map(|http| http.socket_addr().to_string()),
            "api_socket" => Some(config.api_socket.display().to_string()),
            "api_socket_group" => config.api_socket_group.clone(),
            "mdns" => Some(config.mdns.to_string()),
            "profile" => Some(config.profile.name().to_owned()),
            "space_quota" => config.space_quota.map(|size| size.to_string()),
            "documents_memory" => Some(config.documents_memory.to_string()),
            "log_level" => Some(config.log_level.clone()),
            "log_format" => Some(log_format(config.log_format).to_owned()),
            _ => None,
        }
    }

    /// What of it cannot work, as far as can be told without starting.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let config = &self.config;
        let mut faults = Vec::new();
        let mut fault = |key, message: Option<String>| {
            let origin = self.origin(key);
            faults.extend(message.map(|message| ConfigFault { key, origin, message }));
        };
        for text in &config.listen {
            fault("listen", address::listen_fault(text));
        }
        for text in &config.advertise {
            let wrong = address::parse(text).err();
            fault("advertise", wrong.map(|error| format!("{text:?} cannot be advertised: {error}")));
        }
        for text in &config.join {
            // The text may be a ticket, which is a secret, so only the reason is said.
            fault("join", join_is_readable(text).err());
        }
        let group = config.api_socket_group.as_deref();
        fault("api_socket_group", group.and_then(|group| socket_group_exists(group).err()));
        fault("log_level", telemetry::check(&config.log_level).err().map(|error| error.to_string()));
        faults
    }
}

fn shown(text: &str) -> String {
    if text.trim_start().starts_with("starling-ticket") { HIDDEN_TICKET.to_owned() } else { text.to_owned() }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn explained(text: &str, overrides: ConfigOverrides, flags: &[&str]) -> (tempfile::TempDir, Explained) {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(CONFIG_FILE), text).expect("a file");
        let overrides = ConfigOverrides { data_dir: Some(directory.path().to_owned()), ..overrides };
        let said = |key: &str| match flags.contains(&key) {
            true => Origin::Flag(format!("--{key}")),
            false => Origin::Environment(format!("STARLING_{}", key.to_uppercase())),
        };
        let explained = Explained::load(overrides, said, |_| None).expect("a configuration");
        (directory, explained)
    }

    #[test]
    fn every_value_says_where_it_came_from() {
        let overrides = ConfigOverrides {
            name: "n".parse().ok(),
            log_level: Some("debug".into()),
            ..ConfigOverrides::default()
        };
        let (directory, explained) =
            explained("# a comment\nmdns = false\nname = \"f\"\n", overrides, &["name", "data_dir"]);
        let origin = |key: &str| {
            let settings = explained.settings();
            settings.iter().find(|setting| setting.key == key).expect("a key").origin.to_string()
        };
        assert_eq!(origin("name"), "--name");
        assert_eq!(origin("data_dir"), "--data_dir");
        assert_eq!(origin("log_level"), "STARLING_LOG_LEVEL");
        assert_eq!(origin("mdns"), format!("{}:2", directory.path().join(CONFIG_FILE).display()));
        assert_eq!(origin("profile"), "default");
        assert_eq!(explained.settings().len(), KEYS.len());
    }

    #[test]
    fn a_ticket_is_never_shown() {
        let secret = "starling-ticket-abc";
        let (_directory, explained) =
            explained(&format!("join = [\"{secret}\", \"b:1\"]"), ConfigOverrides::default(), &[]);
        let shown = format!("{:?}", explained.settings());
        assert!(!shown.contains(secret) && shown.contains("hidden") && shown.contains("b:1"), "{shown}");
        let faults = explained.faults();
        assert!(!format!("{faults:?}").contains(secret), "{faults:?}");
    }

    #[test]
    fn what_cannot_work_is_named_with_its_place() {
        let text = "listen = [\"nowhere\"]\nadvertise = [\"/ip4/x\"]\njoin = [\"starling-ticket-x\"]\n\
                    api_socket_group = \"no such group\"\nlog_level = \"a=b=c\"\n";
        let (directory, explained) = explained(text, ConfigOverrides::default(), &[]);
        let keys: Vec<_> = explained.faults().iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["listen", "advertise", "join", "api_socket_group", "log_level"]);
        let file = directory.path().join(CONFIG_FILE);
        for (line, fault) in (1..).zip(explained.faults()) {
            assert!(
                fault.to_string().starts_with(&format!("{}:{line}: {}: ", file.display(), fault.key)),
                "{fault}"
            );
        }
        let (_directory, fine) = self::explained("", ConfigOverrides::default(), &[]);
        assert_eq!(fine.faults(), []);
    }
}
