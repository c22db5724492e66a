//! What the demo prints: acts and claims for people, one record a claim for programs.

use std::io;
use std::time::Instant;

use super::acts;
use super::claim::{Act, Checked};
use crate::output::Output;

/// The report of one run.
pub(super) struct Report<'a> {
    out: &'a mut Output,
    started: Instant,
    acts: usize,
    checked: usize,
}

impl<'a> Report<'a> {
    /// An empty report.
    pub(super) fn new(out: &'a mut Output) -> Self {
        Self { out, started: Instant::now(), acts: 0, checked: 0 }
    }

    /// How many claims were checked so far.
    pub(super) fn checked(&self) -> usize {
        self.checked
    }

    /// The beginning of an act.
    pub(super) fn act(&mut self, act: &Act) -> io::Result<()> {
        self.acts += 1;
        if self.out.is_json() {
            return Ok(());
        }
        if self.acts > 1 {
            self.out.line("")?;
        }
        self.out.line(&format!("{}. {}", self.acts, act.title))?;
        self.out.line(&format!("   {}", act.sentence))?;
        self.out.flush()
    }

    /// A claim that was checked. Evidence of several lines is indented.
    pub(super) fn claim(&mut self, checked: &Checked) -> io::Result<()> {
        self.checked += 1;
        if self.out.is_json() {
            return self.out.json_line(checked);
        }
        let mark = if checked.ok { "ok  " } else { "FAIL" };
        let seconds = f64::from(u32::try_from(checked.took_ms).unwrap_or(u32::MAX)) / 1000.0;
        self.out.line(&format!("   {mark} {} ({seconds:.2} s)", checked.says))?;
        for line in checked.detail.lines() {
            self.out.line(&format!("        {line}"))?;
        }
        self.out.flush()
    }

    /// The end of a run in which every claim held.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.out.is_json() {
            return Ok(());
        }
        let seconds = self.started.elapsed().as_secs_f64();
        self.out.line("")?;
        self.out.line(&format!("All {} claims held, in {seconds:.1} s.", acts::count()))
    }
}
