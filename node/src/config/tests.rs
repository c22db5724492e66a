use std::{collections::BTreeMap, fs};

use super::*;

fn nothing_set(_: &str) -> Option<OsString> {
    None
}

fn in_directory(directory: &Path) -> ConfigOverrides {
    ConfigOverrides { data_dir: Some(directory.to_owned()), ..ConfigOverrides::default() }
}

fn with_file(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join(CONFIG_FILE), text).expect("a file");
    let config = Config::load(in_directory(directory.path()), nothing_set);
    (directory, config)
}

#[test]
fn a_node_told_nothing_has_the_documented_defaults() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = Config::load(in_directory(directory.path()), nothing_set).expect("a configuration");
    assert_eq!(config.listen, LISTEN_DEFAULT);
    assert_eq!(config.api_socket, directory.path().join("api.sock"));
    assert_eq!((config.http, config.mdns, config.profile), (None, true, Profile::Lan));
    assert_eq!((config.log_level.as_str(), config.log_format), (super::LOG_LEVEL_DEFAULT, LogFormat::Text));
    assert!(config.advertise.is_empty() && config.join.is_empty() && config.api_socket_group.is_none());
    assert!(!config.name.as_str().is_empty());
    assert_eq!((config.space_quota, config.documents_memory.to_string().as_str()), (None, "256 MiB"));
}

#[test]
fn a_file_may_say_everything_and_flags_win_over_it() {
    let text = r#"
        name = "from-file"
        listen = ["/ip4/127.0.0.1/tcp/0"]
        advertise = ["/dns4/a.example/tcp/1"]
        join = ["b.example:4710"]
        http = "127.0.0.1:4711"
        api_socket = "/run/x.sock"
        api_socket_group = "staff"
        mdns = false
        profile = "wan"
        space_quota = "2GiB"
        documents_memory = "64MiB"
        log_level = "debug"
        log_format = "json"
    "#;
    let (directory, config) = with_file(text);
    let config = config.expect("a configuration");
    assert_eq!(config.name.as_str(), "from-file");
    assert_eq!(config.http.map(|http| http.socket_addr().port()), Some(4711));
    assert_eq!((config.mdns, config.profile, config.log_format), (false, Profile::Wan, LogFormat::Json));
    assert_eq!(config.api_socket_group.as_deref(), Some("staff"));
    assert_eq!(config.space_quota.map(ByteSize::bytes), Some(2 << 30));
    assert_eq!(config.documents_memory.bytes(), 64 << 20);

    let flags = ConfigOverrides {
        name: "from-flag".parse().ok(),
        listen: vec!["/ip4/127.0.0.1/tcp/9".into()],
        mdns: Some(true),
        profile: Some(Profile::Local),
        ..in_directory(directory.path())
    };
    let both = Config::load(flags, nothing_set).expect("a configuration");
    assert_eq!(both.name.as_str(), "from-flag");
    assert_eq!(both.listen, ["/ip4/127.0.0.1/tcp/9"]);
    assert_eq!((both.mdns, both.profile), (true, Profile::Local));
    assert_eq!((both.join, both.log_level.as_str()), (config.join, "debug"));
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_file_and_line() {
    let cases = [
        ("name = \"a\"\nnmae = \"b\"\n", 2, "unknown key `nmae`; did you mean `name`?"),
        ("\n\nmdns = \"yes\"\n", 3, "invalid type"),
        ("profile = \"moon\"", 1, "unknown variant `moon`"),
        ("\nhttp = \"0.0.0.0:4711\"", 2, "is not loopback"),
        ("http = \"4711\"", 1, "is no address"),
        ("name = \"\"", 1, "1 to 64 bytes"),
        ("name = \"a\"\nlisten = [", 2, ""),
    ];
    for (text, line, message) in cases {
        let (directory, config) = with_file(text);
        let error = config.expect_err(text).to_string();
        let place = format!("{}:{line}: ", directory.path().join(CONFIG_FILE).display());
        assert!(error.starts_with(&place) && error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_exist_and_may_name_the_data_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("mine.toml");
    let asked = ConfigOverrides { config: Some(path.clone()), ..ConfigOverrides::default() };
    let missing = Config::load(asked.clone(), nothing_set);
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })), "{missing:?}");

    fs::write(&path, "data_dir = \"/d\"").expect("a file");
    assert_eq!(Config::load(asked, nothing_set).expect("a configuration").data_dir, Path::new("/d"));
    let (_directory, inside) = with_file("data_dir = \"/d\"");
    assert!(matches!(inside, Err(ConfigError::DataDirInside { .. })), "{inside:?}");
}

#[test]
fn a_file_that_is_no_text_or_far_too_long_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(CONFIG_FILE);
    fs::write(&path, b"name = \"a\"\n\xff").expect("a file");
    let load = || Config::load(in_directory(directory.path()), nothing_set);
    assert!(matches!(load(), Err(ConfigError::Wrong { line: 2, .. })));
    fs::write(&path, " ".repeat(1024 * 1024 + 1)).expect("a file");
    assert!(matches!(load(), Err(ConfigError::TooLong { .. })));
}

#[test]
fn a_socket_path_the_kernel_would_cut_is_refused_and_one_that_fits_is_not() {
    let long = |bytes: usize| ConfigOverrides {
        api_socket: Some(PathBuf::from(format!("/{}", "s".repeat(bytes - 1)))),
        data_dir: Some("/d".into()),
        ..ConfigOverrides::default()
    };
    assert!(Config::load(long(SOCKET_PATH_BYTES_MAX), nothing_set).is_ok());
    let error = Config::load(long(SOCKET_PATH_BYTES_MAX + 1), nothing_set).expect_err("too long").to_string();
    assert!(error.contains("108 bytes") && error.contains("--api-socket"), "{error}");
}

#[test]
fn the_api_on_tcp_is_loopback_or_refused_with_the_reason() {
    for good in ["127.0.0.1:4711", "127.8.8.8:1", "[::1]:4711", "localhost:80"] {
        assert!(good.parse::<HttpAddress>().is_ok(), "{good}");
    }
    for bad in ["0.0.0.0:4711", "10.0.0.1:4711", "[::]:4711"] {
        let error = bad.parse::<HttpAddress>().expect_err(bad);
        assert!(matches!(error, HttpAddressError::NotLoopback(_)), "{bad}");
        assert!(error.to_string().contains("neither tokens nor TLS"));
    }
    for bad in ["", "4711", "localhost", "localhost:x", "example.org:80"] {
        assert!(matches!(bad.parse::<HttpAddress>(), Err(HttpAddressError::NotAnAddress(_))), "{bad}");
    }
}

#[test]
fn the_environment_says_the_same_as_flags() {
    let set = BTreeMap::from([
        ("STARLING_NAME", "n"),
        ("STARLING_DATA_DIR", "/d"),
        ("STARLING_JOIN", "a:1, b:2,"),
        ("STARLING_HTTP", "127.0.0.1:1"),
        ("STARLING_MDNS", "false"),
        ("STARLING_PROFILE", "local"),
        ("STARLING_SPACE_QUOTA", "5 MiB"),
        ("STARLING_DOCUMENTS_MEMORY", "1GiB"),
        ("STARLING_LOG_FORMAT", "json"),
        ("STARLING_LOG_LEVEL", ""),
    ]);
    let environment = |name: &str| set.get(name).map(OsString::from);
    let overrides = ConfigOverrides::from_environment(environment).expect("usable");
    let expected = ConfigOverrides {
        name: "n".parse().ok(),
        data_dir: Some("/d".into()),
        join: vec!["a:1".into(), "b:2".into()],
        http: "127.0.0.1:1".parse().ok(),
        mdns: Some(false),
        profile: Some(Profile::Local),
        space_quota: "5MiB".parse().ok(),
        documents_memory: "1GiB".parse().ok(),
        log_format: Some(LogFormat::Json),
        ..ConfigOverrides::default()
    };
    assert_eq!(overrides, expected);
    let wrong = |name: &str| (name == "STARLING_PROFILE").then(|| OsString::from("moon"));
    let error = ConfigOverrides::from_environment(wrong).expect_err("no such profile").to_string();
    assert_eq!(error, "STARLING_PROFILE cannot be used: \"moon\" is none of lan, wan, local");
}
