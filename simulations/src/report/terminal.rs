//! What a run looks like in a terminal: the verdict first.

use std::fmt::Write as _;

use super::words;
use crate::record::{RunRecord, Verdict};

/// Runs that are shown one by one; of more, only those that did not hold.
const RUNS_SHOWN_MAX: usize = 5;

/// Whether the summary is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    On,
    /// For a pipe, or where `NO_COLOR` is set.
    Off,
}

/// What was written of a run, as commands and paths a person can paste.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The command that explains it, if it was stored.
    pub explain: Option<String>,
    /// Its HTML report, if one was made.
    pub page: Option<String>,
}

/// The summary of several runs; `kept` says for each what was written of it.
pub fn summary(records: &[RunRecord], kept: &[Kept], colour: Colour) -> String {
    let mut out = String::new();
    let verdict = super::verdict(records);
    let number = |verdict| records.iter().filter(|record| record.verdict == verdict).count() as u64;
    let (held, all) = (number(Verdict::Held), records.len() as u64);
    let _ = writeln!(
        out,
        "{}  {} of {} held{}",
        badge(verdict, colour),
        held,
        words::several(all, "run"),
        match (number(Verdict::Violated), number(Verdict::Undecided)) {
            (0, 0) => String::new(),
            (violated, 0) => format!(", {violated} violated"),
            (0, undecided) => format!(", {undecided} could not tell"),
            (violated, undecided) => format!(", {violated} violated, {undecided} could not tell"),
        }
    );
    let few = records.len() <= RUNS_SHOWN_MAX;
    let is_shown = |record: &RunRecord| few || record.verdict != Verdict::Held;
    let none = Kept::default();
    let with_files =
        || records.iter().enumerate().map(|(place, record)| (record, kept.get(place).unwrap_or(&none)));
    for (record, kept) in with_files().filter(|(record, _)| is_shown(record)) {
        out.push('\n');
        run(record, colour, &mut out);
        files(kept, "", &mut out);
    }
    if !few {
        table(records, &mut out);
        for (record, kept) in with_files().filter(|(record, kept)| !is_shown(record) && kept.page.is_some()) {
            files(kept, &format!("  (seed {}, which tells most)", record.seed), &mut out);
        }
    }
    if kept.iter().all(|kept| *kept == none) {
        out.push('\n');
        line(
            &mut out,
            "stored",
            "nothing; --report makes a page, --out DIR keeps runs for explain and replay",
        );
    }
    out
}

/// Where to look further.
fn files(kept: &Kept, note: &str, out: &mut String) {
    if let Some(command) = &kept.explain {
        line(out, "explain", command);
    }
    if let Some(page) = &kept.page {
        line(out, "report", &format!("{page}{note}"));
    }
}

fn badge(verdict: Verdict, colour: Colour) -> String {
    let word = verdict.word().to_uppercase();
    let code = match verdict {
        Verdict::Held => "32",
        Verdict::Undecided => "33",
        Verdict::Violated => "31",
    };
    match colour {
        Colour::On => format!("\u{1b}[1;{code}m{word}\u{1b}[0m"),
        Colour::Off => word,
    }
}

fn run(record: &RunRecord, colour: Colour, out: &mut String) {
    let _ = writeln!(
        out,
        "{}  {}  seed {}  {}",
        badge(record.verdict, colour),
        record.scenario,
        record.seed,
        words::verdict(record),
    );
    line(out, "", &words::cause(record));
    if let Some(planted) = &record.planted {
        line(out, "planted", &format!("this build has a planted defect: {planted}"));
    }
    for judged in &record.expectations {
        let measured = words::measured(judged);
        let mark = if judged.held { "held" } else { "MISSED" };
        line(out, "expected", &format!("{} {}: {measured} ({mark})", judged.name, judged.bound));
    }
    for fault in &record.faults {
        let drawn = if fault.drawn { ", drawn" } else { "" };
        let did = match fault.fired {
            0 => "NEVER FIRED".to_owned(),
            _ => words::did(fault),
        };
        line(out, "fault", &format!("{}{drawn}: {did}", words::fault(record, fault)));
    }
    figures(record, out);
    line(out, "trace", &record.trace_hash);
    line(out, "again", &record.replay);
}

fn figures(record: &RunRecord, out: &mut String) {
    let writes = record.writes;
    let mut text =
        format!("{} of {} acknowledged", words::count(writes.acknowledged), words::count(writes.asked));
    if writes.refused > 0 {
        let _ = write!(text, ", {} refused", words::count(writes.refused));
    }
    if writes.unanswered > 0 {
        let _ = write!(text, ", {} unanswered", words::count(writes.unanswered));
    }
    line(out, "writes", &text);
    if let Some(bytes) = record.bytes.last() {
        let text = format!(
            "{} useful, {} redundant, {} control",
            words::bytes(bytes.useful),
            words::bytes(bytes.redundant),
            words::bytes(bytes.control)
        );
        line(out, "bytes", &text);
    }
    let took = record.timings;
    let speed = took.virtual_us.checked_div(took.real_us).unwrap_or_default();
    let text = format!(
        "{} in {} ({}× real time), {}",
        words::time(took.virtual_us),
        words::time(took.real_us),
        words::count(speed),
        words::several(took.events, "event"),
    );
    line(out, "time", &text);
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "  {name:<9} {text}");
}

/// One line per scenario when there are many runs.
fn table(records: &[RunRecord], out: &mut String) {
    let mut names: Vec<&str> = records.iter().map(|record| record.scenario.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    out.push('\n');
    for name in names {
        let runs: Vec<_> = records.iter().filter(|record| record.scenario == name).collect();
        let held = runs.iter().filter(|record| record.verdict == Verdict::Held).count();
        let mut settled: Vec<u64> = runs.iter().filter_map(|record| record.timings.convergence_us).collect();
        settled.sort_unstable();
        let spread = match (settled.get(settled.len() / 2), settled.last()) {
            (Some(median), Some(most)) => {
                format!("converged in {} (median), {} (slowest)", words::time(*median), words::time(*most))
            }
            _ => "never converged".into(),
        };
        let _ = writeln!(out, "  {name:<width$}  {held} of {} held, {spread}", runs.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{held, violated};
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_the_command_is_there() {
        let text = summary(&[violated()], &[], Colour::Off);
        assert!(text.starts_with("VIOLATED  0 of 1 run held, 1 violated\n"), "{text}");
        assert!(text.contains("again     starling sim run sample.toml --seed 7"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn what_was_stored_is_said_with_the_command_that_reads_it() {
        let kept = Kept { explain: Some("sim explain a-7.json".into()), page: Some("a-7.html".into()) };
        let text = summary(&[violated()], std::slice::from_ref(&kept), Colour::Off);
        assert!(text.contains("explain   sim explain a-7.json\n  report    a-7.html\n"), "{text}");
        assert!(summary(&[held()], &[], Colour::Off).contains("--out DIR"));
        let (many, mut files) = (vec![held(); 9], vec![Kept::default(); 8]);
        files.push(kept);
        let text = summary(&many, &files, Colour::Off);
        assert!(text.contains("report    a-7.html  (seed 7, which tells most)"), "{text}");
    }

    #[test]
    fn of_many_runs_only_the_failing_ones_are_shown_whole() {
        let mut records = vec![held(); 9];
        records.push(violated());
        let text = summary(&records, &[], Colour::Off);
        assert_eq!(text.matches("seed 7").count(), 2, "{text}");
        assert!(text.contains("9 of 10 held"), "{text}");
    }
}
