//! One self-contained HTML file for a run: verdict, cause and the command to replay it first, then
//! pictures on one common axis of time.
//!
//! Nothing is fetched: style and pictures are inline, and there is no script. Every number that comes
//! from the run carries `data-path`, a JSON Pointer into the record, and `data-value`, what stands
//! there; a test holds them against the JSON.

mod chart;
mod curves;
mod fleet;
mod frame;
mod islands;

use std::fmt::Write as _;

use super::junit::escape;
use super::words;
use crate::record::{RunRecord, Verdict};

/// A line about another run beside the one shown.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Its seed.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
}

/// The page for `record`; `beside` are all runs of the same scenario, for the count in its head.
pub fn page(record: &RunRecord, beside: &[Beside]) -> String {
    let mut out = String::with_capacity(1 << 18);
    let title = format!("{}: {}", record.verdict.word(), record.scenario);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>",
        escape(&title)
    );
    head(record, beside, &mut out);
    tiles(record, &mut out);
    fleet::pictures(record, &mut out);
    curves::pictures(record, &mut out);
    tables(record, &mut out);
    foot(record, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

const STYLE: &str = include_str!("page.css");

fn head(record: &RunRecord, beside: &[Beside], out: &mut String) {
    let word = record.verdict.word();
    let _ = write!(
        out,
        "<header class=\"{word}\"><div class=\"verdict\"><span class=\"badge\">{mark} {word}</span>\
         <h1>{name}</h1><span class=\"seed\">seed {seed}</span></div><p class=\"summary\">{summary}</p>\
         <p class=\"cause\">{cause}</p><p class=\"again\"><span>run it again</span><code>{replay}</code></p>",
        mark = match record.verdict {
            Verdict::Held => "✓",
            Verdict::Undecided => "?",
            Verdict::Violated => "✕",
        },
        name = escape(&record.scenario),
        seed = number("/seed", record.seed, record.seed.to_string()),
        summary = escape(&record.summary),
        cause = escape(&words::cause(record)),
        replay = escape(&record.replay),
    );
    if beside.len() > 1 {
        let held = beside.iter().filter(|run| run.verdict == Verdict::Held).count();
        let failing = beside.iter().filter(|run| run.verdict != Verdict::Held);
        let seeds: Vec<String> = failing.take(12).map(|run| run.seed.to_string()).collect();
        let failing =
            if seeds.is_empty() { String::new() } else { format!(" Not so seeds {}.", seeds.join(", ")) };
        let _ = write!(
            out,
            "<p class=\"beside\">{held} of {} runs of this scenario held; this one tells most.{failing}</p>",
            beside.len()
        );
    }
    if let Some(planted) = &record.planted {
        let _ = write!(out, "<p class=\"beside\">This build has a planted defect: {}.</p>", escape(planted));
    }
    out.push_str("</header>");
}

/// A number of the record: what it is in the JSON, and how it reads.
fn number(path: &str, value: impl std::fmt::Display, words: impl std::fmt::Display) -> String {
    format!("<b data-path=\"{path}\" data-value=\"{value}\">{words}</b>")
}

fn tiles(record: &RunRecord, out: &mut String) {
    out.push_str("<section class=\"tiles\">");
    let mut tile = |name: &str, number: String, note: String| {
        let _ = write!(out, "<div><span>{name}</span>{number}<em>{note}</em></div>");
    };
    let settled = match record.timings.convergence_us {
        Some(us) => number("/timings/convergence_us", us, words::time(us)),
        None => "<b>never</b>".into(),
    };
    tile("converged after the heal", settled, expected(record, "converges_within"));
    let writes = record.writes;
    let note = format!("of {} asked for", number("/writes/asked", writes.asked, words::count(writes.asked)));
    tile(
        "writes acknowledged",
        number("/writes/acknowledged", writes.acknowledged, words::count(writes.acknowledged)),
        note,
    );
    let points = &record.propagation.points;
    match points.iter().position(|point| point.share >= 0.99).map(|index| (index, points[index].us)) {
        Some((index, us)) => {
            let path = format!("/propagation/points/{index}/us");
            tile(
                "to 99 of 100 nodes",
                number(&path, us, words::time(us)),
                expected(record, "propagation_p99_max"),
            );
        }
        None => tile("to 99 of 100 nodes", "<b>none</b>".into(), String::new()),
    }
    if let (Some(bytes), Some(last)) = (record.bytes.last(), record.bytes.len().checked_sub(1)) {
        let path = format!("/bytes/{last}/useful");
        let note = format!(
            "+ {} redundant, {} control",
            number(&format!("/bytes/{last}/redundant"), bytes.redundant, words::bytes(bytes.redundant)),
            number(&format!("/bytes/{last}/control"), bytes.control, words::bytes(bytes.control)),
        );
        tile("useful bytes sent", number(&path, bytes.useful, words::bytes(bytes.useful)), note);
    }
    let took = record.timings;
    let note = format!("in {}", number("/timings/real_us", took.real_us, words::time(took.real_us)));
    tile("virtual time", number("/timings/virtual_us", took.virtual_us, words::time(took.virtual_us)), note);
    out.push_str("</section>");
}

fn expected(record: &RunRecord, name: &str) -> String {
    let judged = record.expectations.iter().find(|judged| judged.name == name);
    judged.map_or(String::new(), |judged| {
        let mark = if judged.held { "expected" } else { "missed: expected" };
        format!("{mark} {}", escape(&judged.bound))
    })
}

fn tables(record: &RunRecord, out: &mut String) {
    out.push_str("<section class=\"tables\"><div><h2>What was expected</h2><table>");
    for judged in &record.expectations {
        let class = if judged.held { "held" } else { "violated" };
        let _ = write!(
            out,
            "<tr class=\"{class}\"><td class=\"words\">{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
            escape(&judged.name),
            escape(&judged.bound),
            escape(&words::measured(judged)),
        );
    }
    out.push_str("</table></div><div><h2>Invariants</h2><table>");
    for (index, property) in record.properties.iter().enumerate() {
        let path = |key: &str| format!("/properties/{index}/{key}");
        let class = if property.violations == 0 { "held" } else { "violated" };
        let _ = write!(
            out,
            "<tr class=\"{class}\"><td>{}</td><td class=\"words\">{}</td><td>{} checks</td><td>{} violated</td></tr>",
            number(&path("number"), property.number, property.number),
            escape(&property.name),
            number(&path("checks"), property.checks, words::count(property.checks)),
            number(&path("violations"), property.violations, words::count(property.violations)),
        );
    }
    out.push_str("</table></div></section>");
}

fn foot(record: &RunRecord, out: &mut String) {
    let _ = write!(
        out,
        "<section><h2>Who missed what</h2><pre>{}</pre></section>\
         <details><summary>The scenario as it ran</summary><pre>{}</pre></details>\
         <footer>starling {} · trace {} · scenario {} · {} events</footer>",
        escape(&super::explain::explain(record)),
        escape(&record.scenario_toml),
        escape(&record.binary),
        escape(&record.trace_hash),
        escape(&record.scenario_digest),
        number("/timings/events", record.timings.events, words::count(record.timings.events)),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::sample::{held, violated};
    use super::*;

    /// Every (path, value) pair of a page.
    fn numbers(page: &str) -> Vec<(String, String)> {
        let part = |text: &str| text.split('"').next().unwrap_or_default().to_owned();
        let pairs = page.split("data-path=\"").skip(1).map(|rest| {
            let value = rest.split("data-value=\"").next().and(rest.split_once("data-value=\""));
            (part(rest), value.map(|(_, value)| part(value)).unwrap_or_default())
        });
        pairs.collect()
    }

    fn wrong(page: &str, record: &RunRecord) -> Vec<String> {
        let json: Value = serde_json::to_value(record).expect("a record is JSON");
        let read = |path: &str| json.pointer(path).map(ToString::to_string);
        let all = numbers(page).into_iter();
        let wrong = all.filter(|(path, value)| read(path).as_deref() != Some(value));
        wrong.map(|(path, value)| format!("{path} says {value}, the record {:?}", read(&path))).collect()
    }

    #[test]
    fn every_number_in_the_picture_is_the_one_in_the_json() {
        for record in [violated(), held()] {
            let page = page(&record, &[]);
            assert_eq!(wrong(&page, &record), Vec::<String>::new());
            let parts: BTreeSet<String> = numbers(&page)
                .iter()
                .filter_map(|(path, _)| path.split('/').nth(1).map(str::to_owned))
                .collect();
            for part in
                ["bands", "lag", "divergence", "propagation", "bytes", "resources", "faults", "writes"]
            {
                assert!(parts.contains(part), "no number of the picture comes from {part}");
            }
        }
    }

    #[test]
    fn a_number_that_differs_is_noticed() {
        let page = page(&violated(), &[]);
        let mut other = violated();
        other.writes.acknowledged += 1;
        other.lag.missing[0][70] += 1;
        assert!(!wrong(&page, &other).is_empty());
    }

    #[test]
    fn figures_stand_only_where_they_can_be_checked() {
        let page = page(&violated(), &[]);
        for text in page.split("<text").skip(1) {
            let (head, rest) = text.split_once('>').expect("an element has an end");
            let words = rest.split('<').next().unwrap_or_default();
            let figure = words.chars().any(|c| c.is_ascii_digit());
            assert!(
                !figure
                    || head.contains("data-path")
                    || head.contains("class=\"tick\"")
                    || head.contains("class=\"name\""),
                "{head}: {words}"
            );
        }
    }

    #[test]
    fn the_page_needs_no_network_and_shows_verdict_cause_and_command_first() {
        let page = page(&violated(), &[]);
        for outside in ["http://", "https://", "<script", "<link", "@import", "url(h", "url(/", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
        let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is not there"));
        assert!(place("✕ violated") < place("Noticed at"));
        assert!(place("Noticed at") < place("--seed 7"));
        assert!(place("--seed 7") < place("<svg"));
    }

    #[test]
    fn an_empty_record_makes_a_page() {
        let page = page(&RunRecord::default(), &[]);
        assert!(page.contains("undecided"));
    }
}
