//! Log lines: one subscriber for the process, on standard error, whose filter can change at run time.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt as _, registry::LookupSpan, reload,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Why the log is not as asked; the filter in force stays.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "{filter:?} is no log filter; say a level (error, warn, info, debug, trace) or TARGET=LEVEL, comma separated"
    )]
    BadFilter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// This process already logs in another way.
    #[error("this process already has a log subscriber")]
    AlreadyInstalled,
    /// The subscriber this handle belongs to is gone.
    #[error("the log subscriber is gone")]
    Gone,
}

/// Changes the filter of a running process.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// See [`TelemetryError`].
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        self.0.reload(parse(filter)?).map_err(|_| TelemetryError::Gone)
    }

    /// The filter in force, as text.
    #[must_use]
    pub fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }
}

/// Installs the log of this process.
///
/// # Errors
/// See [`TelemetryError`].
pub fn install(filter: &str, format: LogFormat) -> Result<LogLevel, TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = lines(format, colour, io::stderr);
    Registry::default().with(filter).with(lines).try_init().map_err(|_| TelemetryError::AlreadyInstalled)?;
    Ok(LogLevel(handle))
}

/// Whether a filter can be read.
///
/// # Errors
/// [`TelemetryError::BadFilter`].
pub fn check(filter: &str) -> Result<(), TelemetryError> {
    parse(filter).map(drop)
}

fn lines<S, W>(format: LogFormat, colour: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => fmt::layer().with_ansi(colour).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    }
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::BadFilter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("text")
        }
    }

    #[test]
    fn a_filter_set_later_is_obeyed_and_a_bad_one_changes_nothing() {
        let written = Lines::default();
        let writer = written.clone();
        let (filter, handle) = reload::Layer::new(parse("warn").expect("a filter"));
        let level = LogLevel(handle);
        let subscriber =
            Registry::default().with(filter).with(lines(LogFormat::Json, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("first");
            assert!(matches!(level.set("no such=filter=at all"), Err(TelemetryError::BadFilter { .. })));
            assert_eq!(level.current(), "warn");
            tracing::info!("second");
            level.set("info").expect("a filter");
            tracing::info!(answer = 42, "third");
        });
        let text = written.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("a JSON line");
        assert_eq!(
            (&line["message"], &line["answer"], &line["level"]),
            (&"third".into(), &42.into(), &"INFO".into())
        );
    }

    #[test]
    fn a_line_for_people_has_no_colour_where_none_is_wanted() {
        let written = Lines::default();
        let writer = written.clone();
        let subscriber = Registry::default().with(lines(LogFormat::Text, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || tracing::warn!("plain"));
        let text = written.text();
        assert!(text.contains("WARN") && text.contains("plain") && !text.contains('\u{1b}'), "{text:?}");
    }
}
