//! The picture of `top`.
//!
//! Promises: what others wrote is escaped before it is drawn; without colour everything is still told by
//! words and emphasis; a small terminal shows one pane at a time. Leaves out what is shown: see `state`.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState};
use starling_api::member::{Member, MemberState};
use starling_api::peer::{Direction, Peer};
use starling_api::space::Space;

use super::state::{Line, Open, Pane, State};
use crate::commands::{age, bytes, counted};
use crate::escape;

/// From this size on all panes are shown at once.
const ALL_PANES: (u16, u16) = (72, 18);

/// Columns from which on the mesh has room for bytes.
const MESH_WITH_BYTES: u16 = 52;

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) colour: bool,
}

impl Palette {
    fn tinted(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.tinted(Color::Green)
    }

    fn doubtful(self) -> Style {
        self.tinted(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.tinted(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn chosen() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws the state on the whole terminal.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, palette: Palette) {
    let lost = u16::from(state.lost.is_some());
    let rows = [Constraint::Length(1), Constraint::Length(lost), Constraint::Min(0), Constraint::Length(1)];
    let [head, trouble, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(header(state, head.width), head);
    if let Some((since, why)) = &state.lost {
        let ago = age(state.now_ms.saturating_sub(*since));
        let text = format!("no answer for {ago}, trying again; this is what was known: {why}");
        frame.render_widget(Paragraph::new(safe(&text)).style(palette.bad()), trouble);
    }
    match &state.open {
        Some(open) => history(frame, body, open, palette),
        None if frame.area().width >= ALL_PANES.0 && frame.area().height >= ALL_PANES.1 => {
            all(frame, body, state, palette);
        }
        None => pane(frame, body, state, state.pane, palette),
    }
    frame.render_widget(Paragraph::new(keys(state)).style(Palette::dim()), foot);
}

/// Text of others, fit for a terminal.
fn safe(text: &str) -> String {
    escape::one_line(text).into_owned()
}

/// The node in one line: of what does not fit, whole parts are left out.
fn header(state: &State, width: u16) -> Paragraph<'_> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(status) = &state.status else {
        return Paragraph::new(Span::styled("starling top: asking the node…", bold));
    };
    let space = status.spaces.iter().find(|space| space.id == state.space);
    let counts = |space: &Space| {
        let counts = [counted(space.documents, "document"), counted(space.changes, "change")];
        format!("{}: {}", space.name, counts.join(", "))
    };
    let parts = [
        space.map(counts),
        Some(counted(status.peers, "peer")),
        Some(format!("store {}", bytes(status.store.bytes as f64))),
        status.store.room.map(|room| format!("room {}", bytes(room as f64))),
        Some(format!("up {}", age(status.uptime_ms))),
        Some(status.version.clone()),
    ];
    let mut line = vec![Span::styled(safe(&status.name), bold)];
    let mut left = usize::from(width).saturating_sub(line[0].width());
    for part in parts.into_iter().flatten() {
        let part = Span::raw(format!("  {}", safe(&part)));
        if let Some(rest) = left.checked_sub(part.width()) {
            left = rest;
            line.push(part);
        }
    }
    Paragraph::new(TextLine::from(line))
}

fn keys(state: &State) -> &'static str {
    if state.open.is_some() {
        return "q quit  Esc back  ↑↓ PgUp PgDn Home End scroll";
    }
    match state.pane {
        Pane::Documents => "q quit  Tab pane  ↑↓ choose  Enter history",
        _ => "q quit  Tab pane  ↑↓ choose",
    }
}

fn all(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let halves = [Constraint::Fill(2), Constraint::Fill(3)];
    let [above, below] = Layout::vertical(halves).areas(area);
    let columns = [Constraint::Fill(3), Constraint::Fill(2)];
    let [members, throughput] = Layout::horizontal(columns).areas(above);
    let [documents, others] = Layout::horizontal(columns).areas(below);
    let [peers, offences] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(others);
    let places = [
        (Pane::Members, members),
        (Pane::Throughput, throughput),
        (Pane::Documents, documents),
        (Pane::Peers, peers),
        (Pane::Offences, offences),
    ];
    for (which, area) in places {
        pane(frame, area, state, which, palette);
    }
}

fn pane(frame: &mut Frame<'_>, area: Rect, state: &State, which: Pane, palette: Palette) {
    match which {
        Pane::Documents => documents(frame, area, state),
        Pane::Members => members(frame, area, state, palette),
        Pane::Peers => peers(frame, area, state, palette),
        Pane::Offences => offences(frame, area, state, palette),
        Pane::Throughput => throughput(frame, area, state, palette),
    }
}

fn block(state: &State, which: Pane, title: String) -> Block<'static> {
    let chosen = state.pane == which;
    let style = if chosen { Style::new().add_modifier(Modifier::BOLD) } else { Palette::dim() };
    let mark = if chosen { "▸" } else { " " };
    Block::bordered().border_style(style).title(Span::styled(format!("{mark}{title} "), style))
}

/// A table in a pane.
struct Grid {
    which: Pane,
    title: String,
    columns: Vec<(&'static str, Constraint)>,
    rows: Vec<Row<'static>>,
}

impl Grid {
    /// Draws it, with the chosen row where the pane is chosen.
    fn draw(self, frame: &mut Frame<'_>, area: Rect, state: &State) {
        let chosen = (state.pane == self.which && !self.rows.is_empty()).then_some(state.row);
        let (names, widths): (Vec<_>, Vec<_>) = self.columns.into_iter().unzip();
        let table = Table::new(self.rows, widths)
            .header(Row::new(names).style(Palette::dim()))
            .row_highlight_style(Palette::chosen())
            .block(block(state, self.which, self.title));
        frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
    }
}

fn documents(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let rows = state.hottest().into_iter().map(|(name, heat)| {
        let ago = age(state.now_ms.saturating_sub(heat.last_ms));
        let by = heat.author.as_deref().map_or_else(String::new, |author| safe(state.name(author)));
        let name = safe(name) + if heat.deleted { " (deleted)" } else { "" };
        Row::new([name, heat.changes.to_string(), ago, by])
    });
    let rows = rows.collect();
    let columns = vec![
        ("name", Constraint::Fill(1)),
        ("changes", Constraint::Length(7)),
        ("ago", Constraint::Length(8)),
        ("by", Constraint::Length(9)),
    ];
    let title = "documents that change".to_owned();
    Grid { which: Pane::Documents, title, columns, rows }.draw(frame, area, state);
}

fn members(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let rows = state.members.iter().map(|member| {
        let style = match member.state {
            MemberState::Own | MemberState::Alive => palette.good(),
            MemberState::Suspect | MemberState::Unknown => palette.doubtful(),
            MemberState::Away => palette.bad(),
            MemberState::Left => Palette::dim(),
        };
        let heard = member.age_ms.map(age).unwrap_or_default();
        Row::new([
            Cell::new(safe(&member.name)),
            Cell::new(member.state.name()).style(style),
            Cell::new(lag(member, state.changes())),
            Cell::new(heard),
        ])
    });
    let rows = rows.collect();
    let columns = vec![
        ("name", Constraint::Fill(1)),
        ("state", Constraint::Length(7)),
        ("lag", Constraint::Length(12)),
        ("heard ago", Constraint::Length(11)),
    ];
    let title = counted(state.members.len() as u64, "member");
    Grid { which: Pane::Members, title, columns, rows }.draw(frame, area, state);
}

/// How far a member was behind this node when it was last heard.
fn lag(member: &Member, held: Option<u64>) -> Cow<'static, str> {
    match (member.in_sync, member.changes, held) {
        _ if member.state == MemberState::Own => "".into(),
        (Some(true), ..) => "in sync".into(),
        (_, Some(theirs), Some(ours)) if theirs < ours => format!("{} behind", ours - theirs).into(),
        (_, Some(theirs), Some(ours)) if theirs > ours => format!("{} ahead", theirs - ours).into(),
        (Some(false), ..) => "differs".into(),
        _ => "not heard".into(),
    }
}

fn peers(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let with_bytes = area.width >= MESH_WITH_BYTES;
    let rows = state.peers.iter().map(|peer| {
        let name = safe(peer.name.as_deref().unwrap_or_else(|| state.name(&peer.key)));
        let style = if peer.blocked.is_some() { palette.bad() } else { Style::new() };
        let trip = peer.round_trip_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let mut cells = vec![name, link(peer), trip];
        if with_bytes {
            let size = |count: Option<u64>| count.map(|count| bytes(count as f64)).unwrap_or_default();
            cells.extend([size(peer.received_bytes), size(peer.sent_bytes)]);
        }
        Row::new(cells).style(style)
    });
    let rows = rows.collect();
    let connected = state.peers.iter().filter(|peer| peer.connected).count();
    let title = format!("mesh: {connected} connected");
    let mut columns = vec![
        ("peer", Constraint::Fill(1)),
        ("link", Constraint::Length(12)),
        ("trip", Constraint::Length(7)),
    ];
    if with_bytes {
        columns.extend([("received", Constraint::Length(10)), ("sent", Constraint::Length(10))]);
    }
    Grid { which: Pane::Peers, title, columns, rows }.draw(frame, area, state);
}

fn link(peer: &Peer) -> String {
    if let Some(blocked) = &peer.blocked {
        return blocked.left_ms.map_or_else(|| "blocked".to_owned(), |left| format!("blocked {}", age(left)));
    }
    let way = match peer.direction {
        Some(Direction::Inbound) => "from",
        Some(Direction::Outbound) => "to",
        None => return "away".to_owned(),
    };
    format!("{way} {}", safe(peer.transport.as_deref().unwrap_or("?")))
}

fn offences(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let rows = state.offences.iter().map(|offence| {
        let ago = age(state.now_ms.saturating_sub(offence.at_ms));
        let count = format!("{}×", offence.count);
        Row::new([safe(&offence.what), count, ago]).style(palette.doubtful())
    });
    let rows = rows.collect();
    let columns =
        vec![("what", Constraint::Fill(1)), ("", Constraint::Length(4)), ("ago", Constraint::Length(8))];
    let title = "offences".to_owned();
    Grid { which: Pane::Offences, title, columns, rows }.draw(frame, area, state);
}

fn throughput(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let frame_block = block(state, Pane::Throughput, "changes a second".to_owned());
    let inner = frame_block.inner(area);
    frame.render_widget(frame_block, area);
    let [chart, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(3)]).areas(inner);
    let shown = state.past.len().saturating_sub(usize::from(chart.width));
    let samples: Vec<u64> = state.past.iter().skip(shown).copied().collect();
    frame.render_widget(Sparkline::default().data(samples).style(palette.good()), chart);
    let (rates, most) = (&state.rates, state.past.iter().max().copied().unwrap_or_default());
    let lines = vec![
        TextLine::raw(format!("{:.0} now, {most} at most", rates.written + rates.admitted)),
        TextLine::raw(format!("{:.0} from here, {:.0} from others", rates.written, rates.admitted)),
        TextLine::raw(format!("{}/s in, {}/s out", bytes(rates.received_bytes), bytes(rates.sent_bytes))),
    ];
    frame.render_widget(Paragraph::new(lines), below);
}

fn history(frame: &mut Frame<'_>, area: Rect, open: &Open, palette: Palette) {
    let title = format!(" history of {}, newest first ", safe(&open.doc));
    let block = Block::bordered().title(title);
    let room = usize::from(block.inner(area).height);
    let Some(lines) = &open.lines else {
        let text = open.why_not.as_deref().map_or("asking the node…".into(), |why| Cow::Owned(safe(why)));
        frame.render_widget(Paragraph::new(text).block(block), area);
        return;
    };
    let mut shown: Vec<TextLine<'_>> =
        lines.iter().skip(open.top).take(room).map(|line| told(line, palette)).collect();
    if open.more && shown.len() < room {
        shown.push(TextLine::styled("older changes: starling history", Palette::dim()));
    }
    let place = format!(" line {} of {} ", (open.top + 1).min(lines.len()), lines.len());
    frame.render_widget(Paragraph::new(shown).block(block.title_bottom(place)), area);
}

fn told(line: &Line, palette: Palette) -> TextLine<'static> {
    match line {
        Line::Change { change, by, time } => TextLine::from(vec![
            Span::styled(safe(change), palette.doubtful()),
            Span::raw(format!("  {}", safe(by))),
            Span::styled(format!("  claims {}", safe(time)), Palette::dim()),
        ]),
        Line::Deed(text) => TextLine::raw(format!("    {}", safe(text))),
    }
}
