//! `starling top`

mod draw;
mod event;
mod feed;
mod state;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{
    self as terminal_event, Event as Input, KeyCode, KeyEventKind, KeyModifiers,
};
use starling_api::ExitCode as Exit;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::args::Global;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use draw::{Palette, draw};
use event::{Event, Key};
use state::State;

/// Time between two pictures. A key is answered at once.
const PICTURE_PERIOD: Duration = Duration::from_millis(500);

/// Events read ahead. When there are so many, the node's answers wait.
const EVENTS_MAX: usize = 256;

/// Keys read ahead.
const KEYS_MAX: usize = 16;

/// Show live what the node and its peers do: members and lag, throughput, documents that change, the mesh,
/// offences, and a document's history.
///
/// The keys are on the screen's last line. A node that goes away is waited for. NO_COLOR is respected.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {}

pub(crate) async fn run(global: &Global, _args: TopArgs, out: &mut Output) -> Outcome {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::usage("top needs a terminal").next(
            "for scripts there are `starling status`, `members`, `peers` and `watch` with --output json",
        ));
    }
    let session = Session::open(global)?;
    let space = session.client.space(&session.space().await?).await?.id;
    let palette = Palette { colour: out.is_coloured() };
    let mut signals = Signals::listen().map_err(|error| cannot(&error))?;
    let mut screen = Screen::open().map_err(|error| cannot(&error))?;
    let mut keys = keys();
    let (events, mut happened) = mpsc::channel(EVENTS_MAX);
    let (wants, wanted) = watch::channel(None);
    let mut feed = pin!(feed::run(&session.client, &space, events, wanted));
    let mut state = State::new(space.clone());
    let began = Instant::now();
    let mut pictures = tokio::time::interval(PICTURE_PERIOD);
    pictures.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(event) = happened.recv() => {
                state = state.after(event);
                continue;
            }
            pressed = keys.recv() => match pressed {
                Some(Pressed::Key(key)) => state = state.after(Event::Key { key }),
                Some(Pressed::Interrupt) => return Ok(Exit::Interrupted),
                #[cfg(debug_assertions)]
                Some(Pressed::Panic) => panic!("F12 was pressed, as a test does"),
                None => return Err(Failure::failed("the terminal cannot be read any more")),
            },
            _ = pictures.tick() => {}
            () = &mut feed => {}
            () = signals.heard() => return Ok(Exit::Interrupted),
        }
        if state.ended {
            return Ok(Exit::Done);
        }
        let want = state.wanted();
        wants.send_if_modified(|wanted| std::mem::replace(wanted, want.clone()) != want);
        state = state
            .after(Event::Tick { now_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) });
        screen.0.draw(|frame| draw(frame, &state, palette)).map_err(|error| cannot(&error))?;
    }
}

fn cannot(error: &io::Error) -> Failure {
    Failure::failed("the terminal cannot be used").caused_by(error)
}

/// The terminal while it is ours; given back when it is dropped, and before a panic is told.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The cursor is shown again when the terminal itself is dropped.
        ratatui::restore();
    }
}

/// What came from the keyboard.
enum Pressed {
    Key(Key),
    /// Ctrl-C, which is no signal while the terminal is ours.
    Interrupt,
    /// For the test that a panic gives the terminal back.
    #[cfg(debug_assertions)]
    Panic,
}

/// Reads keys on a thread of its own, which ends with the process.
fn keys() -> mpsc::Receiver<Pressed> {
    let (to, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while let Ok(input) = terminal_event::read() {
            if let Some(pressed) = pressed(&input)
                && to.blocking_send(pressed).is_err()
            {
                return;
            }
        }
    });
    keys
}

fn pressed(input: &Input) -> Option<Pressed> {
    let Input::Key(pressed) = input else { return None };
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    let key = match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => {
            return Some(Pressed::Interrupt);
        }
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Tab => Key::NextPane,
        KeyCode::BackTab => Key::PreviousPane,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Enter | KeyCode::Right => Key::Open,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => Key::Close,
        #[cfg(debug_assertions)]
        KeyCode::F(12) => return Some(Pressed::Panic),
        _ => return None,
    };
    Some(Pressed::Key(key))
}

/// The signals that end `top`.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [one, two, three] = kinds.map(signal);
        Ok(Self([one?, two?, three?]))
    }

    async fn heard(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
