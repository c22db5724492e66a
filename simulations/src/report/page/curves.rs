//! Pictures with curves: divergence, propagation, bytes, memory and queues; two beside each other.

use std::fmt::Write as _;

use super::super::words;
use super::chart::{Chart, Curve, Point};
use crate::record::RunRecord;

pub(super) fn pictures(record: &RunRecord, out: &mut String) {
    out.push_str("<div class=\"pair\">");
    divergence(record, out);
    propagation(record, out);
    out.push_str("</div><div class=\"pair\">");
    bytes(record, out);
    memory(record, out);
    out.push_str("</div><div class=\"pair\">");
    queues(record, out);
    states(record, out);
    out.push_str("</div>");
}

fn curve<T>(
    samples: &[T],
    list: &str,
    key: &str,
    class: &'static str,
    name: &'static str,
    at: impl Fn(&T) -> u64,
    value: impl Fn(&T) -> u64,
) -> Curve {
    let points = samples.iter().enumerate().map(|(index, sample)| Point {
        x: at(sample) as f64,
        y: value(sample) as f64,
        path: format!("/{list}/{index}/{key}"),
        value: value(sample).to_string(),
        label: words::time(at(sample)),
    });
    Curve { class, name, points: points.collect() }
}

fn divergence(record: &RunRecord, out: &mut String) {
    let curve =
        curve(&record.divergence, "divergence", "missing", "c0", "missing", |at| at.at_us, |at| at.missing);
    Chart {
        title: "How far the fleet was apart",
        words: "Writes missing, summed over all honest nodes.".into(),
        curves: vec![curve],
        unit: words::count,
    }
    .over_time(record, out);
}

fn states(record: &RunRecord, out: &mut String) {
    let curve =
        curve(&record.divergence, "divergence", "states", "c0", "states", |at| at.at_us, |at| at.states);
    Chart {
        title: "Different states among honest nodes",
        words: "One is agreement.".into(),
        curves: vec![curve],
        unit: words::count,
    }
    .over_time(record, out);
}

fn propagation(record: &RunRecord, out: &mut String) {
    let all = &record.propagation;
    let points = all.points.iter().enumerate().map(|(index, point)| Point {
        x: (point.us.max(1) as f64).log10(),
        y: point.share,
        path: format!("/propagation/points/{index}/us"),
        value: point.us.to_string(),
        label: format!("{:.0} % within {}", point.share * 100.0, words::time(point.us)),
    });
    let mut said =
        format!("Share of {} that had come after so long", words::several(all.arrivals, "arrival"));
    let _ = write!(
        said,
        "{}.",
        if all.missing > 0 { format!("; {} never came", words::count(all.missing)) } else { String::new() }
    );
    Chart {
        title: "From a write to another node",
        words: said,
        curves: vec![Curve { class: "c0", name: "arrived", points: points.collect() }],
        unit: words::count,
    }
    .distribution(out);
}

fn bytes(record: &RunRecord, out: &mut String) {
    let of = |key, class, name, value: fn(&crate::record::Bytes) -> u64| {
        curve(&record.bytes, "bytes", key, class, name, |at| at.at_us, value)
    };
    Chart {
        title: "Bytes sent since the start",
        words: "Useful: changes the receiver lacked. Redundant: it had them. Control: all else.".into(),
        curves: vec![
            of("useful", "c0", "useful", |at| at.useful),
            of("control", "c2", "control", |at| at.control),
            of("redundant", "c1", "redundant", |at| at.redundant),
        ],
        unit: words::bytes,
    }
    .over_time(record, out);
}

fn memory(record: &RunRecord, out: &mut String) {
    let of = |key, class, name, value: fn(&crate::record::Resources) -> u64| {
        curve(&record.resources, "resources", key, class, name, |at| at.at_us, value)
    };
    Chart {
        title: "Memory",
        words: "Bytes of state and of orphans at the node that holds most.".into(),
        curves: vec![
            of("memory_max", "c0", "state", |at| at.memory_max),
            of("orphans_max", "c1", "orphans", |at| at.orphans_max),
        ],
        unit: words::bytes,
    }
    .over_time(record, out);
}

fn queues(record: &RunRecord, out: &mut String) {
    let of = |key, class, name, value: fn(&crate::record::Resources) -> u64| {
        curve(&record.resources, "resources", key, class, name, |at| at.at_us, value)
    };
    Chart {
        title: "Queues",
        words: "Inputs waiting at the node where most wait, and frames under way between all.".into(),
        curves: vec![
            of("inbox_max", "c0", "waiting", |at| at.inbox_max),
            of("frames", "c2", "under way", |at| at.frames),
        ],
        unit: words::count,
    }
    .over_time(record, out);
}
