//! Recorded events, played again: the state they lead to, and how it looks at three sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw::{Palette, draw};
use super::event::{Event, Figures, Key};
use super::state::{Pane, State};

/// A minute at the node `harbour`: changes, a hostile name, a member away, offences, and the node lost.
const RECORDED: &str = include_str!("recorded.ndjson");

/// The node came back, and a document's history was opened.
const HISTORY: &str = include_str!("history.ndjson");

fn played(recorded: &[&str]) -> State {
    let lines = recorded.iter().flat_map(|text| text.lines());
    let events = lines.map(|line| serde_json::from_str::<Event>(line).expect("a recorded event"));
    events.fold(State::new("a".repeat(64)), State::after)
}

fn pressed(state: State, keys: &[Key]) -> State {
    keys.iter().fold(state, |state, key| state.after(Event::Key { key: *key }))
}

fn drawn(state: &State, (width, height): (u16, u16), colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
    terminal.draw(|frame| draw(frame, state, Palette { colour })).expect("memory takes everything");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines =
        buffer.content.chunks(width).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 12), (200, 60)];

#[test]
fn recorded_events_lead_to_one_state() {
    let state = played(&[RECORDED]);
    assert_eq!(state, played(&[RECORDED]));
    assert_eq!(state.hottest()[0].0, "config/web");
    assert_eq!(state.hottest()[0].1.changes, 6);
    assert_eq!(state.past, [10, 2], "of the two seconds between three readings");
    assert_eq!((state.rates.written, state.rates.admitted), (0.0, 2.0));
    let offences: Vec<_> =
        state.offences.iter().map(|offence| (offence.what.as_str(), offence.count)).collect();
    assert_eq!(offences, [("offence: garbage", 1), ("refused: bad-signature", 1), ("offence: garbage", 2)]);
    let lost = state.lost.as_ref().expect("the node is lost");
    assert_eq!((lost.0, lost.1.contains("api.sock")), (2_000, true), "the first reason stays");
    assert_eq!(state.after(Event::Back).lost, None);
}

#[test]
fn every_size_shows_what_matters() {
    let state = played(&[RECORDED]);
    for size in SIZES {
        let shown = text(&drawn(&state, size, true));
        for said in ["harbour", "no answer for 2 s", "config/web", "q quit"] {
            assert!(shown.contains(said), "{said} at {size:?}:\n{shown}");
        }
    }
    for size in [SIZES[0], SIZES[2]] {
        let shown = text(&drawn(&state, size, true));
        for said in [
            "4 members",
            "away",
            "in sync",
            "50 behind",
            "2 connected",
            "to quic",
            "blocked 42 s",
            "offence: garbage",
            "0 from here, 2 from others",
            "(deleted)",
            "fleet: 12 documents",
        ] {
            assert!(shown.contains(said), "{said} at {size:?}:\n{shown}");
        }
    }
}

#[test]
fn what_does_not_fit_the_first_line_is_left_out_whole_and_bytes_are_told_where_there_is_room() {
    let state = played(&[RECORDED]);
    let first = |size| text(&drawn(&state, size, true)).lines().next().map(str::to_owned);
    let start = "harbour  fleet: 12 documents, 340 changes  2 peers";
    assert_eq!(first((50, 24)).as_deref(), Some(start));
    assert_eq!(first((80, 24)), Some(format!("{start}  store 1.2 MiB  room 34.0 GiB")));
    assert_eq!(first((120, 24)), Some(format!("{start}  store 1.2 MiB  room 34.0 GiB  up 1 min 2 s  0.1.0")));
    let told = |size| text(&drawn(&state, size, true)).contains("1.5 MiB    2.0 KiB");
    assert!(!told(SIZES[0]) && told(SIZES[2]));
}

#[test]
fn a_small_terminal_shows_one_pane_and_tab_leads_to_the_others() {
    let state = played(&[RECORDED]);
    let mut seen = Vec::new();
    let mut now = state;
    for said in ["documents that change", "4 members", "mesh:", "offences", "changes a second"] {
        let shown = text(&drawn(&now, SIZES[1], true));
        assert!(shown.contains(said), "{said}:\n{shown}");
        seen.push(now.pane);
        now = pressed(now, &[Key::NextPane]);
    }
    assert_eq!(now.pane, Pane::Documents, "around");
    assert_eq!(seen.len(), 5);
    assert_eq!(pressed(now, &[Key::PreviousPane]).pane, Pane::Throughput);
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    for state in [played(&[RECORDED]), played(&[RECORDED, HISTORY])] {
        for size in SIZES {
            let buffer = drawn(&state, size, true);
            let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
            assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(steers)), "{size:?}");
        }
    }
    let shown = text(&drawn(&played(&[RECORDED]), SIZES[2], true));
    assert!(shown.contains("notes/\\u{1b}]0;owned\\u{7}"), "{shown}");
}

#[test]
fn without_colour_there_is_none() {
    let coloured = |colour| {
        let states = [played(&[RECORDED]), played(&[RECORDED, HISTORY])];
        let buffers: Vec<_> = states.iter().map(|state| drawn(state, SIZES[0], colour)).collect();
        buffers
            .iter()
            .flat_map(|buffer| &buffer.content)
            .any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
    };
    assert!(coloured(true));
    assert!(!coloured(false));
}

#[test]
fn a_history_is_opened_scrolled_refreshed_and_closed() {
    let state = played(&[RECORDED, HISTORY]);
    assert_eq!(state.wanted(), Some(("config/web".to_owned(), 0)));
    for size in SIZES {
        let shown = text(&drawn(&state, size, true));
        for said in ["history of config/web", "c0c0c0c0c0c0  ship", "set /colour to", "Esc back"] {
            assert!(shown.contains(said), "{said} at {size:?}:\n{shown}");
        }
    }
    assert!(text(&drawn(&state, SIZES[0], true)).contains("older changes: starling history"));
    let last = pressed(state.clone(), &[Key::Last, Key::Down, Key::PageDown]);
    assert!(text(&drawn(&last, SIZES[0], true)).contains("line 5 of 5"));
    let top = last.open.as_ref().map(|open| open.top);
    assert_eq!(top, Some(4), "never past the end");
    let change = RECORDED.lines().find(|line| line.contains("config/web")).expect("a change");
    let again = state.clone().after(serde_json::from_str(change).expect("an event"));
    assert_eq!(again.wanted(), Some(("config/web".to_owned(), 1)), "it is asked for again");
    assert_eq!(pressed(state, &[Key::Close]).wanted(), None);
}

#[test]
fn keys_never_leave_what_there_is() {
    let state = played(&[RECORDED]);
    let last = pressed(state.clone(), &[Key::Last, Key::Down, Key::Down]);
    assert_eq!(last.row, state.hot.len() - 1);
    assert_eq!(pressed(last, &[Key::First, Key::Up]).row, 0);
    assert!(pressed(state, &[Key::Quit]).ended);
    let empty = pressed(State::default(), &[Key::Down, Key::Open, Key::Last, Key::PageUp]);
    assert_eq!((empty.row, empty.open), (0, None));
    for size in [(1, 1), (3, 2), (20, 5)] {
        drawn(&State::default(), size, true);
        drawn(&played(&[RECORDED, HISTORY]), size, true);
    }
}

#[test]
fn what_is_kept_is_bounded_and_cools() {
    let mut state = played(&[RECORDED]);
    let change = RECORDED.lines().find(|line| line.contains("config/web")).expect("a change");
    for number in 0..1_000 {
        let event = change.replace("config/web", &format!("d/{number}"));
        state = state.after(serde_json::from_str(&event).expect("an event"));
    }
    assert_eq!(state.hot.len(), 256);
    assert!(state.hot.contains_key("config/web"), "the hottest stays");
    for second in 0..1_000_u64 {
        let offences = [("offence: garbage".to_owned(), second + 10)].into();
        let figures = Figures { offences, ..Figures::default() };
        state = state.after(Event::Tick { now_ms: 5_000 + second * 1_000 }).after(Event::Figures { figures });
    }
    assert_eq!((state.past.len(), state.offences.len()), (240, 64));
    assert!(state.hot.is_empty(), "nothing changed for long");
}
