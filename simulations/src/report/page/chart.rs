//! A chart with curves, over time or as a distribution.

use std::fmt::Write as _;

use super::super::junit::escape;
use super::super::words;
use super::frame::{TimeAxis, begin, binned, end, heal, round_up};
use crate::record::RunRecord;

/// Width of a chart, in units of its view box: half a page.
const WIDTH: f64 = 580.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 190.0;
const HEIGHT: f64 = 214.0;

/// Most points of a curve: one for every four units of width.
const POINTS_MAX: usize = 130;

/// A point, with where its number stands in the record.
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
    pub path: String,
    pub value: String,
    pub label: String,
}

/// A curve.
pub(super) struct Curve {
    /// Its colour, by class.
    pub class: &'static str,
    pub name: &'static str,
    pub points: Vec<Point>,
}

/// A chart.
pub(super) struct Chart {
    pub title: &'static str,
    pub words: String,
    pub curves: Vec<Curve>,
    /// How its values read.
    pub unit: fn(u64) -> String,
}

impl Chart {
    /// Values over the run's time.
    pub(super) fn over_time(&self, record: &RunRecord, out: &mut String) {
        begin(self.title, &self.words, HEIGHT, WIDTH, out);
        let time = TimeAxis::of(record).between(LEFT, RIGHT);
        let most =
            self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.y).fold(0.0, f64::max);
        let top = nice_top(most, self.unit);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top;
        for step in 0..=4u32 {
            let value = top * f64::from(step) / 4.0;
            if value.fract() != 0.0 {
                continue;
            }
            grid(y(value), &(self.unit)(value as u64), out);
        }
        heal(record, time, TOP, BOTTOM, out);
        for curve in &self.curves {
            draw(
                curve,
                |point| (time.x(point.x as u64), y(point.y)),
                |point| (self.unit)(point.y as u64),
                out,
            );
        }
        self.legend(out);
        time.marks(BOTTOM, out);
        end(out);
    }

    /// Shares over the logarithm of a time.
    pub(super) fn distribution(&self, out: &mut String) {
        begin(self.title, &self.words, HEIGHT, WIDTH, out);
        let xs = self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.x);
        let (least, most) = xs.fold((f64::MAX, f64::MIN), |(least, most), x| (least.min(x), most.max(x)));
        let (least, most) =
            if least > most { (3.0, 6.0) } else { (least.floor(), most.ceil().max(least.floor() + 1.0)) };
        let x = |log: f64| LEFT + (RIGHT - LEFT) * (log - least) / (most - least);
        let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
        for step in 0..=4u32 {
            grid(y(f64::from(step) / 4.0), &format!("{} %", step * 25), out);
        }
        time_marks((least, most), x, out);
        let _ = write!(out, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
        for curve in &self.curves {
            draw(curve, |point| (x(point.x), y(point.y)), |_| String::new(), out);
        }
        end(out);
    }

    /// Names of the curves, above the plot; one curve needs none.
    fn legend(&self, out: &mut String) {
        if self.curves.len() < 2 {
            return;
        }
        let mut x = LEFT;
        for curve in &self.curves {
            let _ = write!(
                out,
                "<path class=\"curve {}\" d=\"M{x:.0} 9h16\"/><text class=\"name\" x=\"{:.0}\" y=\"13\">{}</text>",
                curve.class,
                x + 21.0,
                curve.name
            );
            x += 40.0 + 7.0 * curve.name.chars().count() as f64;
        }
    }
}

/// Spans of time that read as one figure, about ten times longer each.
const ROUND_TIMES: [u64; 15] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
    36_000_000_000,
    86_400_000_000,
    864_000_000_000,
    8_640_000_000_000,
];

/// Width of one letter under an axis, in units of the view box.
const LETTER: f64 = 6.0;

/// Marks on a logarithmic axis of time between two powers of ten, with words where there is room.
fn time_marks((least, most): (f64, f64), x: impl Fn(f64) -> f64, out: &mut String) {
    let mut free = f64::MIN;
    for us in ROUND_TIMES {
        let log = (us as f64).log10();
        if log < least - 1e-9 || log > most + 1e-9 {
            continue;
        }
        let (at, text) = (x(log), words::time(us));
        let _ = write!(out, "<path class=\"axis\" d=\"M{at:.1} {BOTTOM}v4\"/>");
        let half = LETTER * text.chars().count() as f64 / 2.0;
        let middle = at.min(RIGHT + 12.0 - half);
        if middle - half < free {
            continue;
        }
        free = middle + half + LETTER;
        let y = BOTTOM + 15.0;
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{middle:.1}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>"
        );
    }
}

/// The top of an axis: round in its own unit, and four whole figures apart where it counts things.
fn nice_top(most: f64, unit: fn(u64) -> String) -> f64 {
    if unit(1 << 20) != words::bytes(1 << 20) {
        return round_up(most.max(4.0) / 4.0).ceil() * 4.0;
    }
    let scale = [1u64 << 30, 1 << 20, 1 << 10, 1].into_iter().find(|scale| most >= *scale as f64);
    let scale = scale.unwrap_or(1) as f64;
    (round_up((most / scale).max(1.0) / 4.0) * 4.0 * scale).ceil()
}

fn grid(y: f64, text: &str, out: &mut String) {
    let _ = write!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
    let _ = write!(
        out,
        "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
        LEFT - 6.0,
        y + 3.5
    );
}

/// A line through the highest point of each small stretch, and a spot on each for the pointer.
fn draw(
    curve: &Curve,
    place: impl Fn(&Point) -> (f64, f64),
    reads: impl Fn(&Point) -> String,
    out: &mut String,
) {
    let bins = binned(curve.points.len(), POINTS_MAX);
    let highest =
        |bin: std::ops::Range<usize>| curve.points[bin].iter().reduce(|a, b| if b.y > a.y { b } else { a });
    let shown: Vec<&Point> = bins.into_iter().filter_map(highest).collect();
    let _ = write!(out, "<polyline class=\"curve {}\" points=\"", curve.class);
    for point in &shown {
        let (x, y) = place(point);
        let _ = write!(out, "{x:.1},{y:.1} ");
    }
    out.push_str("\"/>");
    for point in shown {
        let (x, y) = place(point);
        let _ = write!(
            out,
            "<circle class=\"spot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" data-path=\"{}\" data-value=\"{}\">\
             <title>{} {} {}</title></circle>",
            curve.class,
            point.path,
            escape(&point.value),
            escape(&point.label),
            curve.name,
            reads(point),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_under_an_axis_of_time_are_round_and_do_not_touch() {
        let mut out = String::new();
        time_marks((3.0, 10.0), |log| LEFT + (RIGHT - LEFT) * (log - 3.0) / 7.0, &mut out);
        let said: Vec<(f64, &str)> = out
            .split("<text class=\"tick\" x=\"")
            .skip(1)
            .filter_map(|text| {
                let words = text.split('>').nth(1)?.split('<').next()?;
                Some((text.split('"').next()?.parse().ok()?, words))
            })
            .collect();
        let words: Vec<&str> = said.iter().map(|(_, words)| *words).collect();
        assert_eq!(words, ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min", "1 h"]);
        for pair in said.windows(2) {
            let halves = LETTER * (pair[0].1.len() + pair[1].1.len()) as f64 / 2.0;
            assert!(pair[1].0 - pair[0].0 > halves, "{pair:?}");
        }
    }

    #[test]
    fn the_axis_reaches_above_the_highest_value() {
        for most in [0.0, 1.0, 3.0, 37.0, 41.0, 999.0, 70_000.0, 3_000_000.0] {
            assert!(nice_top(most, words::count) >= most);
            assert!(nice_top(most, words::bytes) >= most);
        }
        assert_eq!(nice_top(70_000.0, words::bytes), 80.0 * 1024.0);
    }
}
