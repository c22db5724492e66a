//! Where a command's data goes: a table for people, plain lines for pipes, JSON for programs.
//!
//! Promises: on a terminal nothing from a document or a peer reaches it unescaped; piped tables are
//! lines of tab-separated cells without a header, each still one line; JSON is what the HTTP API
//! would say, absent means absent. Leaves out: failures, which go to stderr (see `failure`).

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use clap::ValueEnum;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::escape;
use crate::wrap::wrapped;

/// How much of a key or hash a person is shown.
const ID_DIGITS: usize = 12;

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Tables on a terminal, plain tab-separated lines without a header in a pipe.
    #[default]
    Table,
    /// One JSON value; one a line for streams.
    Json,
}

/// A colour with a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// What is new.
    Green,
    /// What is gone.
    Red,
    /// A name to find one's place by.
    Yellow,
    /// What matters less.
    Dim,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Green => "\u{1b}[32m",
            Self::Red => "\u{1b}[31m",
            Self::Yellow => "\u{1b}[33m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

/// Columns that a line may fill where the terminal does not say.
const COLUMNS: usize = 80;

/// Fewest columns that anything is fitted into.
const COLUMNS_MIN: usize = 20;

/// True when `NO_COLOR` (no-color.org) asks for plain text.
fn colour_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// True when stderr is a terminal that wants colour.
pub(crate) fn stderr_colour() -> bool {
    io::stderr().is_terminal() && !colour_refused()
}

/// The standard output of one command.
pub(crate) struct Output {
    format: Format,
    terminal: bool,
    colour: bool,
    out: BufWriter<Stdout>,
}

impl Output {
    /// The process's standard output in this format.
    pub(crate) fn new(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { format, terminal, colour: terminal && !colour_refused(), out: BufWriter::new(io::stdout()) }
    }

    /// True when JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// True when a person looks.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// True when colour is wanted.
    pub(crate) fn is_coloured(&self) -> bool {
        self.colour
    }

    /// A key or hash as this reader wants it: its first digits on a terminal, which every command
    /// accepts in its place as long as they are unique; whole in a pipe.
    pub(crate) fn id(&self, id: &str) -> String {
        let digits = if self.terminal { ID_DIGITS } else { id.len() };
        id.chars().take(digits).collect()
    }

    /// One JSON value: pretty on a terminal, one line in a pipe.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text =
            if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }?;
        self.json_text(&text)
    }

    /// One JSON value of a stream: always one line, flushed at once.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.json_text(&text)?;
        self.flush()
    }

    /// Text that is JSON already, and a line break.
    pub(crate) fn json_text(&mut self, text: &str) -> io::Result<()> {
        if self.terminal {
            writeln!(self.out, "{}", escape::json(text))
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// A part of JSON that is put together piece by piece, so that it need not be held whole.
    pub(crate) fn raw(&mut self, json: &str) -> io::Result<()> {
        let json = if self.terminal { escape::json(json) } else { json.into() };
        write!(self.out, "{json}")
    }

    /// One line of text made here, holding names from elsewhere: always escaped to one line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", escape::one_line(text))
    }

    /// One line in pieces, each in its colour where colour is wanted: on a terminal cut to its width, so
    /// that a line stays one; whole in a pipe.
    pub(crate) fn pieces(&mut self, pieces: &[(Option<Colour>, &str)]) -> io::Result<()> {
        let mut left = if self.terminal { self.columns() } else { usize::MAX };
        for (colour, text) in pieces {
            let text = escape::one_line(text);
            let length = text.chars().count();
            let shown: String = if length <= left {
                text.into_owned()
            } else {
                text.chars().take(left.saturating_sub(1)).chain((left > 0).then_some('…')).collect()
            };
            left = left.saturating_sub(length);
            match colour.filter(|_| self.colour) {
                Some(colour) => write!(self.out, "{}{shown}\u{1b}[0m", colour.code())?,
                None => write!(self.out, "{shown}")?,
            }
        }
        writeln!(self.out)
    }

    /// Text behind a head, broken to the terminal's width with its further lines below its first; one line
    /// in a pipe. Nothing is cut off.
    pub(crate) fn prose(
        &mut self,
        head: (Option<Colour>, &str),
        text: (Option<Colour>, &str),
    ) -> io::Result<()> {
        if !self.terminal {
            return self.line(&format!("{}{}", head.1, text.1));
        }
        let indent = head.1.chars().count();
        let below = " ".repeat(indent);
        for (number, line) in wrapped(text.1, self.columns().saturating_sub(indent)).iter().enumerate() {
            let head = if number == 0 { head } else { (None, below.as_str()) };
            self.pieces(&[head, (text.0, line)])?;
        }
        Ok(())
    }

    /// Columns of the terminal.
    pub(crate) fn columns(&self) -> usize {
        let columns = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
        columns.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS).max(COLUMNS_MIN)
    }

    /// Text of any number of lines: escaped on a terminal, untouched in a pipe.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if self.terminal {
            writeln!(self.out, "{}", escape::lines(text))
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// Rows under a header: a table on a terminal, tab-separated lines in a pipe.
    pub(crate) fn rows(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        self.rows_sparing(header, rows, &[])
    }

    /// The same. In a terminal too narrow for all columns those of `spare` are left out, the first named
    /// first, and it says so; where that is not enough, each row becomes a block of lines.
    pub(crate) fn rows_sparing(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
        spare: &[&str],
    ) -> io::Result<()> {
        let rows = rows.into_iter().map(|row| row.iter().map(|cell| escape::one_line(cell).into()).collect());
        if !self.terminal {
            for row in rows {
                let row: Vec<String> = row;
                writeln!(self.out, "{}", row.join("\t"))?;
            }
            return Ok(());
        }
        let rows: Vec<Vec<String>> = rows.collect();
        for left_out in 0..=spare.len() {
            let without = &spare[..left_out];
            let lines = Self::table(header, &rows, without);
            if lines.iter().all(|line| line.chars().count() <= self.columns()) {
                let (head, body) = lines.split_at(lines.len().min(1));
                for line in head {
                    let (bold, plain) = if self.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                    writeln!(self.out, "{bold}{line}{plain}")?;
                }
                body.iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
                return self.left_out(without);
            }
        }
        rows.iter().try_for_each(|row| self.block(header, row))
    }

    fn left_out(&mut self, names: &[&str]) -> io::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let told = format!("not shown for want of room: {} (see --output json)", names.join(", "));
        self.pieces(&[(Some(Colour::Dim), &told)])
    }

    /// The lines of a table.
    fn table(header: &[&str], rows: &[Vec<String>], without: &[&str]) -> Vec<String> {
        let shown: Vec<usize> =
            (0..header.len()).filter(|column| !without.contains(&header[*column])).collect();
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(shown.iter().map(|column| Cell::new(header[*column].to_uppercase())));
        for row in rows {
            table.add_row(shown.iter().filter_map(|column| row.get(*column)));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// One row as lines of their own, under its first cell; empty cells are left out.
    fn block(&mut self, header: &[&str], row: &[String]) -> io::Result<()> {
        let width = header.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (number, (name, cell)) in header.iter().zip(row).enumerate() {
            match number {
                0 => writeln!(self.out, "{cell}")?,
                _ if cell.is_empty() => {}
                _ => writeln!(self.out, "  {name:width$}  {cell}")?,
            }
        }
        Ok(())
    }

    /// Names and values of one thing, one a line; absent values are left out.
    pub(crate) fn fields<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, Option<String>)>,
    ) -> io::Result<()> {
        let fields: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            let value = escape::one_line(&value);
            if self.terminal {
                writeln!(self.out, "{name:width$}  {value}")?;
            } else {
                writeln!(self.out, "{name}\t{value}")?;
            }
        }
        Ok(())
    }

    /// Hands everything written so far to the reader.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Says something beside the data, on stderr.
pub(crate) fn note(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{}", escape::one_line(text));
}

/// Says something beside the data when a person looks at stderr, and nothing in a script.
pub(crate) fn hint(text: &str) {
    if io::stderr().is_terminal() {
        note(text);
    }
}

/// Progress of long work on stderr: invisible unless stderr is a terminal.
pub(crate) fn progress(total: Option<u64>, label: &'static str) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(8)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(total, target);
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {human_pos}/{human_len} {eta}",
        None => "{msg} {human_pos} {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(label)
}
