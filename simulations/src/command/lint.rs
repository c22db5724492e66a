//! Commands about scenario files: check, list, begin one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{CHECK_FAILED, Console, FAILED, HELD, NOT_FOUND, OutputFormat, USAGE};
use crate::report::words::several;
use crate::scenario::{self, shipped};

/// What `new` writes where no shipped scenario is asked for.
const TEMPLATE: &str = include_str!("template.toml");

pub(super) fn lint(scenarios: &[PathBuf], console: &mut Console<'_>) -> io::Result<u8> {
    let (mut code, mut found) = (HELD, Vec::new());
    for path in scenarios {
        match scenario::load(path) {
            Ok(loaded) if console.format == OutputFormat::Table => {
                let nodes = several(loaded.scenario.nodes().len() as u64, "node");
                let faults = several(loaded.scenario.faults.len() as u64, "fault");
                writeln!(
                    console.out,
                    "{}: fine: {nodes}, {faults}, {}",
                    loaded.label, loaded.scenario.duration
                )?;
            }
            Ok(_) => {}
            Err(complaints) => {
                code = CHECK_FAILED;
                found.extend(complaints);
            }
        }
    }
    if console.format == OutputFormat::Json {
        let complaints = found.iter().map(|complaint| {
            let place = &complaint.place;
            json!({ "file": &*place.file, "line": place.line, "column": place.column, "words": complaint.words })
        });
        let complaints: Vec<_> = complaints.collect();
        writeln!(console.out, "{:#}", json!({ "version": 1, "complaints": complaints }))?;
    } else {
        for complaint in &found {
            writeln!(console.out, "{complaint}")?;
        }
    }
    Ok(code)
}

pub(super) fn list(console: &mut Console<'_>) -> io::Result<u8> {
    let mut code = HELD;
    let mut all = Vec::new();
    for shipped in shipped::SHIPPED {
        match shipped.load() {
            Ok(loaded) => all.push(loaded.scenario),
            Err(complaints) => {
                code = FAILED;
                complaints.iter().try_for_each(|complaint| writeln!(console.err, "{complaint}"))?;
            }
        }
    }
    if console.format == OutputFormat::Json {
        let rows = all.iter().map(|scenario| {
            json!({ "name": scenario.name, "summary": scenario.summary, "learn": scenario.learn,
                    "nodes": scenario.nodes().len(), "duration": scenario.duration.to_string(), "seed": scenario.seed })
        });
        let rows: Vec<_> = rows.collect();
        writeln!(console.out, "{:#}", json!({ "version": 1, "scenarios": rows }))?;
        return Ok(code);
    }
    for (index, scenario) in all.iter().enumerate() {
        if index > 0 {
            writeln!(console.out)?;
        }
        writeln!(
            console.out,
            "{}  ({} nodes, {})",
            scenario.name,
            scenario.nodes().len(),
            scenario.duration
        )?;
        writeln!(console.out, "  {}", scenario.summary)?;
        writeln!(console.out, "  Learn: {}", scenario.learn)?;
    }
    Ok(code)
}

pub(super) fn new(file: &Path, from: Option<&str>, console: &mut Console<'_>) -> io::Result<u8> {
    let text = match from.map(|name| (name, shipped::find(name))) {
        None => TEMPLATE,
        Some((_, Some(shipped))) => shipped.text,
        Some((name, None)) => {
            writeln!(
                console.err,
                "no shipped scenario is called {name:?}; `{} list` names them",
                console.program
            )?;
            return Ok(NOT_FOUND);
        }
    };
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    match made.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            writeln!(
                console.err,
                "wrote {0}; try `{1} lint {0}`, then `{1} run {0}`",
                file.display(),
                console.program
            )?;
            Ok(HELD)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            writeln!(console.err, "{} is there already; nothing was written", file.display())?;
            Ok(USAGE)
        }
        Err(error) => {
            writeln!(console.err, "cannot write {}: {error}", file.display())?;
            Ok(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_is_a_scenario() {
        let loaded = crate::scenario::load_text("template.toml", super::TEMPLATE, None);
        loaded.unwrap_or_else(|found| panic!("{found:#?}"));
    }
}
