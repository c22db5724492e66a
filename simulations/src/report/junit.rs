//! JUnit: one suite per scenario, one case per seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::words;
use crate::record::{RunRecord, Verdict};

/// The runs as a JUnit file.
pub fn junit(records: &[RunRecord]) -> String {
    let mut suites: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
    for record in records {
        suites.entry(&record.scenario).or_default().push(record);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, records) in suites {
        let number = |verdict| records.iter().filter(|record| record.verdict == verdict).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
            escape(name),
            records.len(),
            number(Verdict::Violated),
            number(Verdict::Undecided),
            records.iter().map(|record| record.timings.real_us).sum::<u64>() as f64 / 1e6,
        );
        records.iter().for_each(|record| case(record, &mut out));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(record: &RunRecord, out: &mut String) {
    let _ = write!(
        out,
        "    <testcase classname=\"starling.sim.{}\" name=\"seed {}\" time=\"{:.3}\"",
        escape(&record.scenario),
        record.seed,
        record.timings.real_us as f64 / 1e6,
    );
    let tag = match record.verdict {
        Verdict::Held => return out.push_str("/>\n"),
        Verdict::Violated => "failure",
        Verdict::Undecided => "error",
    };
    let _ = writeln!(
        out,
        ">\n      <{tag} message=\"{}\">{}\nrun it again: {}</{tag}>\n    </testcase>",
        escape(&words::verdict(record)),
        escape(&words::cause(record)),
        escape(&record.replay),
    );
}

/// `text` for XML and HTML. Control characters, which XML cannot carry, become marks.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_carry_their_cause_and_the_command() {
        let text = junit(&[super::super::sample::held(), super::super::sample::violated()]);
        assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{text}");
        assert!(text.contains("<failure") && text.contains("run it again: starling sim run"), "{text}");
    }

    #[test]
    fn hostile_names_cannot_leave_their_attribute() {
        assert_eq!(escape("a\"><b>&\u{1}"), "a&quot;&gt;&lt;b&gt;&amp;\u{fffd}");
    }
}
