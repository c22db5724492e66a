//! Commands about a stored run: again, as a page, in words.

use std::io;
use std::path::Path;

use serde_json::json;

use super::{Console, FAILED, HELD, NOT_FOUND, OutputFormat, USAGE, run};
use crate::record::RunRecord;
use crate::report::terminal::Kept;
use crate::report::{explain, page, stored};
use crate::runner::Turns;
use crate::scenario;

/// The run, or the exit code after saying why there is none.
fn read(path: &Path, console: &mut Console<'_>) -> io::Result<Result<RunRecord, u8>> {
    match stored::read(path) {
        Ok(record) => Ok(Ok(record)),
        Err(error) => {
            writeln!(console.err, "{error}")?;
            Ok(Err(if path.exists() { USAGE } else { NOT_FOUND }))
        }
    }
}

pub(super) fn explain(path: &Path, console: &mut Console<'_>) -> io::Result<u8> {
    let record = match read(path, console)? {
        Ok(record) => record,
        Err(code) => return Ok(code),
    };
    if console.format == OutputFormat::Json {
        let explained = json!({
            "version": 1, "verdict": record.verdict, "cause": crate::report::words::cause(&record),
            "violations": record.violations, "missed": record.missed,
            "missed_total": record.missed_total, "waits": crate::report::words::waits(&record), "replay": record.replay,
        });
        writeln!(console.out, "{explained:#}")?;
    } else {
        write!(console.out, "{}", explain::explain(&record))?;
    }
    Ok(HELD)
}

pub(super) fn report(path: &Path, out: Option<&Path>, console: &mut Console<'_>) -> io::Result<u8> {
    let record = match read(path, console)? {
        Ok(record) => record,
        Err(code) => return Ok(code),
    };
    let target = out.map_or_else(|| path.with_extension("html"), Path::to_path_buf);
    match stored::write(&target, &page::page(&record, &[])) {
        Ok(()) => {
            writeln!(console.out, "{}", target.display())?;
            Ok(HELD)
        }
        Err(error) => {
            writeln!(console.err, "{error}")?;
            Ok(FAILED)
        }
    }
}

pub(super) fn replay(path: &Path, console: &mut Console<'_>) -> io::Result<u8> {
    let before = match read(path, console)? {
        Ok(record) => record,
        Err(code) => return Ok(code),
    };
    let loaded = match scenario::load_text(&before.scenario, &before.scenario_toml, None) {
        Ok(loaded) => loaded,
        Err(complaints) => {
            complaints.iter().try_for_each(|complaint| writeln!(console.err, "{complaint}"))?;
            return Ok(USAGE);
        }
    };
    let carry = run::Carry { seeds: &[before.seed], turns: Turns::Once, jobs: None, trace: None };
    let mut again = match carry.out(&loaded, console) {
        Ok(records) => records,
        Err(error) => {
            writeln!(console.err, "{error}")?;
            return Ok(FAILED);
        }
    };
    for record in &mut again {
        record.replay.clone_from(&before.replay);
    }
    let kept = Kept {
        explain: Some(format!("{} explain {}", console.program, run::quoted(&path.to_string_lossy()))),
        page: None,
    };
    run::show(&again, &[kept], console)?;
    let same = again.iter().all(|record| record.trace_hash == before.trace_hash);
    if same {
        writeln!(console.err, "the same trace as the stored run")?;
        return Ok(crate::report::verdict(&again).exit_code());
    }
    writeln!(
        console.err,
        "another trace than the stored run: that was made by starling {}{}, this is {}",
        before.binary,
        before
            .planted
            .as_ref()
            .map_or(String::new(), |planted| format!(" with the planted defect {planted}")),
        env!("CARGO_PKG_VERSION"),
    )?;
    Ok(FAILED)
}
