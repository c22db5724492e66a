//! Pictures with a row per fault or per node: faults and partition bands over time, and the heat map
//! of what each node missed.

use std::fmt::Write as _;

use super::super::junit::escape;
use super::super::words;
use super::frame::{LEFT, RIGHT, TimeAxis, WIDTH, begin, binned, end, heal};
use super::islands::{self, Stretch};
use crate::record::RunRecord;

/// Most nodes with a row of their own; of more, those that missed most are shown.
const ROWS_MAX: usize = 40;

/// Most columns of the heat map.
const COLUMNS_MAX: usize = 200;

/// Most faults with a row of their own.
const FAULTS_MAX: usize = 16;

/// Steps of the heat map's ramp.
const HEAT_STEPS: u32 = 7;

pub(super) fn pictures(record: &RunRecord, out: &mut String) {
    let rows = rows(record);
    if !record.faults.is_empty() {
        faults(record, out);
    }
    if !record.bands.is_empty() {
        bands(record, &rows, out);
    }
    if !record.lag.at_us.is_empty() {
        lag(record, &rows, out);
    }
}

/// The nodes that get a row, in fleet order.
fn rows(record: &RunRecord) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..record.nodes.len()).collect();
    if rows.len() > ROWS_MAX {
        let missed = |node: &usize| {
            record
                .lag
                .missing
                .get(*node)
                .map_or(0, |row| row.iter().map(|missing| (*missing).max(0)).sum::<i64>())
        };
        rows.sort_by_key(|node| std::cmp::Reverse(missed(node)));
        rows.truncate(ROWS_MAX);
        rows.sort_unstable();
    }
    rows
}

fn row_height(rows: usize) -> f64 {
    (260.0 / rows.max(1) as f64).clamp(8.0, 18.0)
}

fn faults(record: &RunRecord, out: &mut String) {
    let shown = record.faults.len().min(FAULTS_MAX);
    let height = 19.0;
    let bottom = 4.0 + height * shown as f64;
    let words = if shown < record.faults.len() {
        "The first of them; the table of faults in the JSON has all."
    } else {
        "When each was there, and what it really did."
    };
    begin("Faults", words, bottom + 22.0, WIDTH, out);
    let time = TimeAxis::of(record);
    for (index, fault) in record.faults.iter().take(shown).enumerate() {
        let y = 4.0 + height * index as f64;
        let kind = if fault.drawn { format!("{} ⚄", fault.kind) } else { fault.kind.clone() };
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 12.5,
            escape(&kind)
        );
        for (place, span) in fault.spans.iter().enumerate() {
            let (from, to) = (time.x(span.from_us), time.x(span.to_us));
            let _ = write!(
                out,
                "<rect class=\"fault\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" \
                 data-path=\"/faults/{index}/spans/{place}/from_us\" data-value=\"{}\"><title>{}, {} to {}</title></rect>",
                y + 2.0,
                (to - from).max(3.0),
                height - 4.0,
                span.from_us,
                escape(&words::fault(record, fault)),
                words::time(span.from_us),
                words::time(span.to_us),
            );
        }
        fired(record, index, y + 12.5, time, out);
    }
    time.marks(bottom, out);
    end(out);
}

/// Width of one letter of a label, on average, in units of the view box.
const LETTER: f64 = 6.1;

/// What a fault did: right of its last span, or left of its first, wherever there is more room.
fn fired(record: &RunRecord, index: usize, y: f64, time: TimeAxis, out: &mut String) {
    let fault = &record.faults[index];
    let first = fault.spans.iter().map(|span| span.from_us).min().unwrap_or_default();
    let last = fault.spans.iter().map(|span| span.to_us).max().unwrap_or_default();
    let (left, right) = (time.x(first) - 8.0, time.x(last).max(time.x(first) + 3.0) + 8.0);
    let room = (RIGHT - right).max(left - LEFT);
    let (x, anchor) = if RIGHT - right >= left - LEFT { (right, "start") } else { (left, "end") };
    let (class, did) = match fault.fired {
        0 => ("did never", "never fired".to_owned()),
        _ => ("did", words::did(fault)),
    };
    // Its kind stands at the left.
    let said = shortened(&format!("{did} · {}", words::what(record, fault)), (room / LETTER) as usize);
    let _ = write!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" \
         data-path=\"/faults/{index}/fired\" data-value=\"{}\">{}</text>",
        fault.fired,
        escape(&said),
    );
}

/// `text` in at most `letters` letters.
fn shortened(text: &str, letters: usize) -> String {
    let letters = letters.max(12);
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

fn names(record: &RunRecord, rows: &[usize], top: f64, height: f64, out: &mut String) {
    let every = (11.0 / height).ceil().max(1.0) as usize;
    for (row, node) in rows.iter().enumerate().step_by(every) {
        let y = top + height * row as f64 + height / 2.0 + 3.5;
        let name = record.node_name(u32::try_from(*node).unwrap_or(u32::MAX));
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            escape(name)
        );
    }
}

fn bands(record: &RunRecord, rows: &[usize], out: &mut String) {
    let height = row_height(rows.len()).min(14.0);
    let bottom = 4.0 + height * rows.len() as f64;
    let mut words = "Who could hear whom: nodes of one colour did; without colour, no cut.".to_owned();
    if rows.len() < record.nodes.len() {
        let _ = write!(words, " {} nodes of {}.", rows.len(), record.nodes.len());
    }
    begin("Partitions", &words, bottom + 22.0, WIDTH, out);
    let time = TimeAxis::of(record);
    names(record, rows, 4.0, height, out);
    for (row, _) in rows.iter().enumerate() {
        let y = 4.0 + height * row as f64 + height / 2.0;
        let _ = write!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", time.x(u64::MAX));
    }
    for stretch in islands::stretches(record, rows) {
        stretch_of(record, &stretch, 4.0 + height * stretch.row as f64, height, time, out);
    }
    heal(record, time, 2.0, bottom, out);
    time.marks(bottom, out);
    end(out);
}

/// One node's time in one island.
fn stretch_of(record: &RunRecord, stretch: &Stretch, y: f64, height: f64, time: TimeAxis, out: &mut String) {
    let (from, to) = (time.x(stretch.from_us), time.x(stretch.to_us));
    let (index, end) = stretch.begins;
    let cuts: Vec<&str> = stretch.bands.iter().map(|band| record.bands[*band].words.as_str()).collect();
    let _ = write!(
        out,
        "<rect class=\"side{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
         data-path=\"/bands/{index}/{end}\" data-value=\"{}\"><title>{}, {} to {}</title></rect>",
        stretch.colour,
        y + 1.0,
        (to - from).max(1.5),
        height - 2.0,
        stretch.from_us,
        escape(&cuts.join("; ")),
        words::time(stretch.from_us),
        words::time(stretch.to_us),
    );
}

fn lag(record: &RunRecord, rows: &[usize], out: &mut String) {
    let height = row_height(rows.len());
    let bottom = 4.0 + height * rows.len() as f64;
    let most = record.lag.missing.iter().flatten().copied().max().unwrap_or_default().max(0);
    let mut words =
        "Writes acknowledged somewhere that a node did not hold yet; hatched: its process did not run."
            .to_owned();
    if rows.len() < record.nodes.len() {
        let _ = write!(words, " The {} nodes that missed most, of {}.", rows.len(), record.nodes.len());
    }
    begin("What each node missed", &words, bottom + 46.0, WIDTH, out);
    out.push_str(
        "<defs><pattern id=\"down\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <path class=\"hatch\" d=\"M0 0V5\"/></pattern></defs>",
    );
    let time = TimeAxis::of(record);
    names(record, rows, 4.0, height, out);
    let bins = binned(record.lag.at_us.len(), COLUMNS_MAX);
    for (row, node) in rows.iter().enumerate() {
        cells(record, *node, &bins, 4.0 + height * row as f64, height, most, time, out);
    }
    heal(record, time, 2.0, bottom, out);
    time.marks(bottom, out);
    legend(record, most, bottom + 28.0, out);
    end(out);
}

/// The cells of one node; neighbours that are alike are one.
#[expect(clippy::too_many_arguments, reason = "a row of cells is placed by exactly these figures")]
fn cells(
    record: &RunRecord,
    node: usize,
    bins: &[std::ops::Range<usize>],
    y: f64,
    height: f64,
    most: i64,
    time: TimeAxis,
    out: &mut String,
) {
    let Some(missing) = record.lag.missing.get(node) else { return };
    let worst = |bin: &std::ops::Range<usize>| {
        bin.clone()
            .filter_map(|index| missing.get(index).map(|value| (*value, index)))
            .max_by_key(|(value, index)| (*value, std::cmp::Reverse(*index)))
    };
    let mut at = 0;
    while at < bins.len() {
        let Some((value, index)) = worst(&bins[at]) else { break };
        let mut next = at + 1;
        while next < bins.len() && worst(&bins[next]).map(|(value, _)| value) == Some(value) {
            next += 1;
        }
        let from = record.lag.at_us[bins[at].start];
        let to = bins.get(next).map_or(record.timings.virtual_us, |bin| record.lag.at_us[bin.start]);
        let class = if value < 0 { "down".to_owned() } else { format!("heat{}", heat(value, most)) };
        let name = record.node_name(u32::try_from(node).unwrap_or(u32::MAX));
        let said = if value < 0 {
            "not running".to_owned()
        } else {
            format!("{} missing", words::count(value.unsigned_abs()))
        };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
             data-path=\"/lag/missing/{node}/{index}\" data-value=\"{value}\"><title>{}, {}: {said}</title></rect>",
            time.x(from),
            y + 0.5,
            (time.x(to) - time.x(from)).max(0.6),
            height - 1.0,
            escape(name),
            words::time(from),
        );
        at = next;
    }
}

/// The step of the ramp for a value: none for nothing, then by the square root, so that one missing
/// write can be told from none while a thousand are still more than a hundred.
fn heat(value: i64, most: i64) -> u32 {
    if value <= 0 || most <= 0 {
        return 0;
    }
    let share = (value as f64 / most as f64).sqrt();
    1 + (share * f64::from(HEAT_STEPS - 1)).round() as u32
}

fn legend(record: &RunRecord, most: i64, y: f64, out: &mut String) {
    let _ = write!(out, "<text class=\"tick\" x=\"{LEFT}\" y=\"{:.1}\">0</text>", y + 10.0);
    for step in 0..=HEAT_STEPS {
        let x = LEFT + 12.0 + 18.0 * f64::from(step);
        let _ =
            write!(out, "<rect class=\"heat{step}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"18\" height=\"11\"/>");
    }
    let x = LEFT + 12.0 + 18.0 * f64::from(HEAT_STEPS + 1);
    let place = record.lag.missing.iter().enumerate().find_map(|(node, row)| {
        row.iter().position(|missing| *missing == most).map(|index| format!("/lag/missing/{node}/{index}"))
    });
    if let Some(path) = place {
        let _ = write!(
            out,
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" data-path=\"{path}\" data-value=\"{most}\">{} missing</text>",
            x + 6.0,
            y + 10.0,
            words::count(most.unsigned_abs())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_write_can_be_told_from_none() {
        assert_eq!((heat(0, 1_000), heat(1, 1_000), heat(1_000, 1_000)), (0, 1, HEAT_STEPS));
        assert!(heat(100, 1_000) < heat(400, 1_000));
    }
}
