//! The frame of a picture: axes, and where a value falls in it.

use std::fmt::Write as _;

use super::super::junit::escape;
use super::super::words;
use crate::record::RunRecord;

/// Width of every picture, in units of its view box.
pub(super) const WIDTH: f64 = 1180.0;

/// Where the plot begins, right of the names.
pub(super) const LEFT: f64 = 120.0;

/// Where it ends.
pub(super) const RIGHT: f64 = WIDTH - 14.0;

/// The common axis of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    end: f64,
    left: f64,
    right: f64,
}

impl TimeAxis {
    pub(super) fn of(record: &RunRecord) -> Self {
        Self { end: record.timings.virtual_us.max(1) as f64, left: LEFT, right: RIGHT }
    }

    /// The same time on another stretch of the picture.
    pub(super) fn between(self, left: f64, right: f64) -> Self {
        Self { left, right, ..self }
    }

    pub(super) fn x(self, us: u64) -> f64 {
        self.left + (self.right - self.left) * (us as f64 / self.end).min(1.0)
    }

    /// Marks and figures below a plot that ends at `y`.
    pub(super) fn marks(self, y: f64, out: &mut String) {
        let room = if self.right - self.left > 600.0 { 8 } else { 5 };
        let step = time_step((self.end / f64::from(room)) as u64);
        let mut at = 0u64;
        while (at as f64) <= self.end {
            let x = self.x(at);
            let _ = write!(out, "<path class=\"axis\" d=\"M{x:.1} {y:.1}v4\"/>");
            // The last mark may stand at the edge of the picture.
            let anchor = if x > self.right - 12.0 { "end" } else { "middle" };
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                if anchor == "end" { x + 12.0 } else { x },
                y + 15.0,
                words::time(at)
            );
            at = at.saturating_add(step);
        }
        let _ = write!(out, "<path class=\"axis\" d=\"M{:.1} {y:.1}H{:.1}\"/>", self.left, self.right);
    }
}

/// A round step of time, no smaller than `least`.
fn time_step(least: u64) -> u64 {
    let seconds = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800, 604_800,
    ];
    let steps = seconds.into_iter().map(|seconds| seconds * 1_000_000);
    steps.into_iter().find(|step| *step >= least).unwrap_or(least.max(1))
}

/// The least round figure, such as 1.5, 2 or 40, that is no smaller than `least`.
pub(super) fn round_up(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-9).log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let round = steps.into_iter().map(|step| step * power).find(|step| *step >= least * 0.999_999);
    round.unwrap_or(least)
}

/// Begins a picture with its heading and what it shows.
pub(super) fn begin(title: &str, words: &str, height: f64, width: f64, out: &mut String) {
    let _ = write!(
        out,
        "<figure><figcaption><h2>{0}</h2><p>{1}</p></figcaption>\
         <svg viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{0}\">",
        escape(title),
        escape(words),
    );
}

/// Ends it.
pub(super) fn end(out: &mut String) {
    out.push_str("</svg></figure>");
}

/// Where the last fault was healed, as a line through a plot.
pub(super) fn heal(record: &RunRecord, time: TimeAxis, top: f64, bottom: f64, out: &mut String) {
    let healed = record.timings.healed_us;
    if healed == 0 {
        return;
    }
    let x = time.x(healed);
    let _ = write!(
        out,
        "<path class=\"heal\" data-path=\"/timings/healed_us\" data-value=\"{healed}\" d=\"M{x:.1} {top:.1}V{bottom:.1}\">\
         <title>everything healed at {}</title></path>",
        words::time(healed)
    );
}

/// At most `columns` groups of neighbouring indices, in order.
pub(super) fn binned(length: usize, columns: usize) -> Vec<std::ops::Range<usize>> {
    let count = length.min(columns);
    (0..count).map(|bin| bin * length / count..(bin + 1) * length / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_cover_every_sample_once() {
        for (length, columns) in [(0, 5), (3, 5), (5, 5), (401, 160)] {
            let bins = binned(length, columns);
            let all: Vec<usize> = bins.into_iter().flatten().collect();
            assert_eq!(all, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn axes_end_on_round_figures() {
        assert_eq!((round_up(37.0), round_up(100.0), round_up(1_100.0)), (40.0, 100.0, 1_500.0));
        assert_eq!(time_step(23_000_000), 30_000_000);
    }
}
